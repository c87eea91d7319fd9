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
