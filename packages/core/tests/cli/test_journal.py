"""`penstock runs`: earlier runs, one of them, and which one read a record."""

from __future__ import annotations

import pytest


@pytest.fixture
def journal(cli, numbers):
    """Two runs of numbers.yaml, the second of fewer records."""
    cli("run", "numbers.yaml", "-q")
    cli("run", "numbers.yaml", "-q", "--set", "count.upto=2")
    return numbers


def test_newest_first(cli, journal):
    lines = [line.split() for line in cli("runs", "numbers.yaml").out.splitlines()]
    assert lines[0] == (
        ["run", "pipeline", "started", "status", "seconds", "read", "written", "filtered", "dead"]
    )
    assert [(line[4], line[6:]) for line in lines[1:]] == [
        ("ok", ["2", "2", "0", "0"]),
        ("letters", ["4", "3", "0", "1"]),
    ]


def test_as_json_and_only_so_many(cli, journal):
    assert len(cli("runs", "numbers.yaml", "--json").json) == 2
    [newest] = cli("runs", "numbers.yaml", "--limit", "1", "--json").json
    assert newest["balance"]["read"] == 2
    assert len(cli("runs", "numbers.yaml", "--limit", "9" * 30, "--json").json) == 2


@pytest.mark.parametrize("arguments", [["numbers.yaml", "last"], ["last"]])
def test_the_last_report_again(cli, journal, arguments):
    out = cli("runs", *arguments).out
    assert out.startswith("node")
    assert "read 2 = written 2 + filtered 0 + dead 0" in out


def test_one_by_its_id_or_its_beginning(cli, journal):
    ids = [one["run_id"] for one in cli("runs", "--json").json]
    assert f"run {ids[1]}" in cli("runs", "numbers.yaml", ids[1]).out
    assert cli("runs", ids[1], "--json").json["run_id"] == ids[1]
    done = cli("runs", "2")
    assert done.code == 2
    assert done.err == "penstock runs: 2 runs begin with '2'; `penstock runs` lists them\n"
    assert "penstock runs: no run 'x'" in cli("runs", "numbers.yaml", "x").err


def test_which_run_read_a_record(cli, journal):
    lines = [line.split() for line in cli("runs", "numbers.yaml", "--key", "2").out.splitlines()]
    assert lines[0] == ["run", "pipeline", "record"]
    assert [line[1:] for line in lines[1:]] == [["numbers", "count:2"]] * 2
    [first] = cli("runs", "--key", "4", "--json").json
    assert (first["source"], first["ordinal"]) == ("count", 4)
    assert cli("runs", "numbers.yaml", first["run_id"], "--key", "2", "--json").json


def test_a_key_that_nobody_read(cli, journal):
    assert cli("runs", "--key", "9").out == (
        "no record with the key '9'; `key:` on an input says what to index by\n"
    )


def test_no_runs_of_this_pipeline(cli, journal):
    (journal / "numbers.yaml").rename(journal / "others.yaml")
    assert cli("runs", "others.yaml").out == "no runs\n"


KILLED = """
from penstock import Batch, Input, component

@component
class Killed(Input):
    def read(self, positions):
        import os, signal
        done = positions.get("killed", 0)
        if done == 0:
            yield Batch([{"n": 1}, {"n": 2}], "", None, 2)
            yield Batch([{"n": 3}], "", [3], 3)
            os.kill(os.getpid(), signal.SIGKILL)
        yield Batch([{"n": 4}], "", [4], 4)
"""


def test_a_run_that_was_killed_is_shown_as_cut_off(cli, functions):
    functions.write("deadly.py", KILLED)
    functions.write(
        "a.yaml",
        """
        epoch: {records: 2}
        inputs: {killed: {use: "deadly:Killed"}}
        outputs: {kept: {use: "functions:keep"}}
        pipes: {main: [killed, kept]}
        """,
    )
    assert functions.penstock("run", "a.yaml", "-q").code == -9
    [_, line] = cli("runs", "a.yaml").out.splitlines()
    words = line.split()
    assert words[4:6] == ["cut", "off"]
    assert words[-4:] == ["2", "2", "0", "0"]  # by its last checkpoint
    assert "a: cut off in 0.00 s, run " in cli("runs", "a.yaml", "last").out

    assert functions.penstock("run", "a.yaml", "-q").code == 0
    statuses = [one["status"] for one in cli("runs", "a.yaml", "--json").json]
    assert statuses == ["ok", "cut off"]


def test_a_run_that_goes_on_is_shown_as_under_way(cli, journal):
    from penstock.holder import this_process
    from penstock.stores.sqlite import SqliteStore

    store = SqliteStore(journal / ".penstock")
    begun = {**store.reports("numbers")[0], "run_id": "3", "status": "running", "started": 9e9}
    store.keep_report(begun)
    store.lease("numbers", this_process(), 9e9, 9e9, lambda _: False)
    store.close()
    statuses = [one["status"] for one in cli("runs", "numbers.yaml", "--json").json]
    assert statuses == ["running", "ok", "letters"]
    assert "numbers: under way in" in cli("runs", "last").out
