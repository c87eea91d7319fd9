"""`penstock run --workers`: several processes of one pipeline, as one command."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

PARTS = '''
"""Inputs that several processes may read, as a group does: each has records of its own."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

from penstock import Batch, ConnectError, Input, Inputs, Output, RecordError, Stage, component, option


class Shares(Input):
    shared = True
    finite = False
    records = 3

    def read(self, positions):
        Path(f"pid-{self.context.pipeline[-1]}").write_text(str(os.getpid()))
        done = positions.get(self.context.name, 0)
        for number in range(done + 1, self.records + 1):
            yield Batch([number], "", [number], number)


class Waits(Shares):
    def read(self, positions):
        yield from super().read(positions)
        while not Path("enough").exists():
            yield None


class Away(Waits):
    """The second worker comes when the first is at work and the server is away: as often as it may
    try, and once more."""

    tries = 6

    def open(self, context):
        super().open(context)
        if context.pipeline[-1] == "1":
            return
        while not Path("out.txt").exists() or "@1 3" not in Path("out.txt").read_text():
            time.sleep(0.05)
        with open("tries", "a") as file:
            file.write(".")
        if len(Path("tries").read_text()) < self.tries:
            raise ConnectError("is away", where="server")
        Path("enough").write_text("")


class Gone(Away):
    tries = 99


class SecondDies(Waits):
    def open(self, context):
        super().open(context)
        if context.pipeline[-1] == "2":
            os.kill(os.getpid(), 9)


class NeverThere(Shares):
    def open(self, context):
        raise ConnectError("is not there", where="server")


class Alone(Shares):
    shared = False


@component
class Joins(Shares):
    """Each record of one with one of the other, would it run."""

    of: Annotated[dict[str, Any], Inputs()] = option(help="The inputs.")


class Writes(Output):
    def write(self, batch):
        with open("out.txt", "a") as file:
            for record in batch.records:
                file.write(f"{self.context.pipeline} {record}\\n")


class Rewinds(Writes):
    delivery = "rewindable"


class HandsOver(Shares):
    hands_over = True


class Keeps(Stage):
    def snapshot(self):
        return {}


class Parted(Keeps):
    partitioned = True


@component
class CanBeParted(Keeps):
    partitioned: bool = option(default=False, help="Each partition has its own.")


@component
class Sometimes(Keeps):
    """Keeps a state only if asked to."""

    much: bool = option(default=False, help="Keep one.")

    @property
    def keeps_state(self):
        return self.much

    def process(self, batch):
        yield Batch(batch.records, batch.source, batch.ordinals)


def odd(record):
    if record % 2 == 0:
        raise RecordError("is even")
    return record


def dies(record):
    if record == 2 and not Path("died").exists():
        Path("died").write_text("")
        os.kill(os.getpid(), 9)
    return record


def always_dies(record):
    os.kill(os.getpid(), 9)


def fails(record):
    if Path("pid-2").exists() and os.getpid() == int(Path("pid-2").read_text()):
        raise SystemExit("broken")
    while True:
        time.sleep(0.05)
'''

PIPELINE = """
inputs: {{i: {{use: "parts:{input}"}}}}
transformers: {{t: {{use: "parts:{stage}"}}}}
outputs: {{o: {{use: "parts:{output}"}}}}
pipes: {{main: [i, t, o]}}
epoch: {{records: 1, seconds: {seconds}}}
"""


@pytest.fixture
def shop(folder):
    """Writes shop.yaml with these parts."""
    folder.write("parts.py", PARTS)

    def make(input="Shares", stage="odd", output="Writes", seconds=10):
        parts = {"input": input, "stage": stage, "output": output, "seconds": seconds}
        folder.write("shop.yaml", PIPELINE.format(**parts))
        return folder

    return make


def wait_for(*paths: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not all(path.exists() and path.read_text() for path in paths):
        assert time.monotonic() < end, paths
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_every_worker_is_a_run_of_its_own_and_the_command_adds_them_up(shop):
    folder = shop()
    done = folder.penstock("run", "shop.yaml", "--workers", "2")
    assert done.code == 6
    assert done.err.splitlines() == [
        "worker 1: read 3 = written 2 + filtered 0 + dead 1; letters",
        "worker 2: read 3 = written 2 + filtered 0 + dead 1; letters",
        "shop: 2 workers, read 6 = written 4 + filtered 0 + dead 2",
        "records were set aside; see them with: penstock errors shop.yaml --worker 1",
        "records were set aside; see them with: penstock errors shop.yaml --worker 2",
    ]
    written = sorted((folder / "out.txt").read_text().splitlines())
    assert written == ["shop@1 1", "shop@1 3", "shop@2 1", "shop@2 3"]
    letters = folder.penstock("errors", "shop.yaml", "--worker", "2")
    assert (letters.code, "is even" in letters.out) == (0, True)
    assert "pipeline  shop@1" in folder.penstock("state", "shop.yaml", "--worker", "1").out


def test_as_json(shop):
    folder = shop(stage="dies")
    folder.write("died", "")
    done = folder.penstock("run", "shop.yaml", "--workers", "2", "--json")
    assert done.code == 0
    assert [one["pipeline"] for one in json.loads(done.out)["workers"]] == ["shop@1", "shop@2"]


def test_quiet_says_nothing(shop):
    folder = shop(stage="dies")
    folder.write("died", "")
    done = folder.penstock("run", "shop.yaml", "--workers", "2", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
class TestWithSignals:
    def test_a_worker_that_is_killed_is_started_again_and_goes_on(self, shop):
        folder = shop(stage="dies")
        done = folder.penstock("run", "shop.yaml", "--workers", "1")
        assert done.code == 0
        assert done.err.splitlines()[0] == (
            "penstock: worker 1 was ended by SIGKILL; starting it again"
        )
        assert (folder / "out.txt").read_text().splitlines() == [
            "shop@1 1",
            "shop@1 2",
            "shop@1 3",
        ]

    def test_one_that_dies_again_and_again_ends_the_others(self, shop):
        folder = shop(stage="always_dies")
        done = folder.penstock("run", "shop.yaml", "--workers", "2")
        assert done.code == 1
        assert done.err.count("starting it again") >= 4

    def test_what_is_ended_for_another_one_does_not_say_what_was_wrong(self, shop):
        folder = shop(input="SecondDies")
        done = folder.penstock("run", "shop.yaml", "--workers", "2")
        assert done.err.count("worker 2 was ended by SIGKILL; starting it again") == 4
        assert "worker 1: read 3 = written 2 + filtered 0 + dead 1; interrupted" in done.err
        assert done.code == 1, "nobody has asked it to stop"

    def test_one_that_somebody_stops_ends_the_others(self, shop):
        folder = shop(input="Waits")
        process = folder.begin("run", "shop.yaml", "--workers", "2")
        wait_for(folder / "pid-1", folder / "pid-2")
        os.kill(int((folder / "pid-2").read_text()), signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 143

    def test_what_fails_in_one_ends_the_others(self, shop):
        folder = shop(stage="fails")
        done = folder.penstock("run", "shop.yaml", "--workers", "2", "--grace", "1s")
        assert done.code == 1
        assert "broken" in done.err

    def test_a_signal_drains_all_of_them(self, shop):
        folder = shop(input="Waits")
        process = folder.begin("run", "shop.yaml", "--workers", "2")
        wait_for(folder / "pid-1", folder / "pid-2")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 143
        assert out == ""
        assert err.count("finishing what was read") == 2
        assert "interrupted" in err

    def test_nobody_is_left_when_the_command_is_killed(self, shop):
        folder = shop(input="Waits")
        process = folder.begin("run", "shop.yaml", "--workers", "2")
        paths = (folder / "pid-1", folder / "pid-2")
        wait_for(*paths)
        workers = [int(path.read_text()) for path in paths]
        process.kill()
        process.communicate(timeout=30)
        end = time.monotonic() + 30
        while any(map(is_alive, workers)):
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def quick(monkeypatch):
    """Pauses between two starts of a worker are short."""
    monkeypatch.setattr("penstock.cli.workers.pause", lambda failures, delay, chance: 0.04)


def test_a_worker_that_finds_no_connection_tries_again_as_a_run_does(shop, cli, quick):
    folder = shop(input="Away", stage="dies", seconds=0.1)  # epochs without records are no progress
    folder.write("died", "")
    done = cli("run", "shop.yaml", "--workers", "2", "--quiet")
    assert (done.code, (folder / "tries").read_text()) == (0, "......")
    assert done.err.splitlines() == [
        f"penstock: worker 2 found no connection; starting it again in 0.0 s ({n} of 5)"
        for n in range(1, 6)
    ]


@pytest.mark.parametrize(("more", "tries"), [([], 6), (["--no-restart"], 1)])
def test_but_not_for_ever(shop, cli, quick, more, tries):
    folder = shop(input="Gone", stage="dies", seconds=0.1)
    folder.write("died", "")
    done = cli("run", "shop.yaml", "--workers", "2", "--quiet", *more)
    assert (done.code, len((folder / "tries").read_text())) == (5, tries)


def test_what_is_not_there_from_the_beginning_is_said_at_once(shop, cli):
    folder = shop(input="NeverThere", stage="dies")
    done = cli("run", "shop.yaml", "--workers", "2", "--quiet")
    assert (done.code, "starting it again" in done.err) == (5, False)
    assert not (folder / "out.txt").exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"input": "Alone"},
            "shop.yaml:2:10: inputs.i: several workers would each read all of it; read a stream "
            "with a group, or run without --workers",
        ),
        (
            {"output": "Rewinds"},
            "shop.yaml:4:11: outputs.o: takes one writer, not several workers; write to a stream "
            "or a table",
        ),
        (
            {"stage": "Keeps"},
            "shop.yaml:3:16: transformers.t: keeps state, which cannot move to another worker with "
            "its partition; run without --workers, or do this in a pipeline behind it",
        ),
        (
            {"stage": "CanBeParted"},
            "shop.yaml:3:16: transformers.t: keeps state, which cannot move to another worker with "
            "its partition; give each partition a state of its own with partitioned: true, run "
            "without --workers, or do this in a pipeline behind it",
        ),
        (
            {"stage": "Parted"},
            "shop.yaml:3:16: transformers.t: keeps a state for each partition, and an input cannot "
            "hand it over; read a stream of a broker that can, or run without --workers",
        ),
        (
            {"input": "HandsOver", "stage": "Parted"},
            "shop.yaml:3:16: transformers.t: keeps a state for each partition, which must be "
            "committed where no worker that has lost the partition still can; write to one stream "
            "of the same broker, and from there in a pipeline behind it",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(cli, shop, parts, message):
    shop(**parts)
    done = cli("run", "shop.yaml", "--workers", "2")
    assert (done.code, done.err) == (3, f"{message}\n")


JOINED = """
inputs:
  both: {use: "parts:Joins", of: {one: {use: "parts:Shares"}, other: {use: "parts:Shares"}}}
outputs: {o: {use: "parts:Writes"}}
pipes: {main: [both, o]}
"""


def test_an_input_made_of_inputs_is_refused(cli, shop):
    """Though each of them alone might be shared."""
    folder = shop()
    folder.write("shop.yaml", JOINED)
    done = cli("run", "shop.yaml", "--workers", "2")
    assert (done.code, done.err) == (
        3,
        "shop.yaml:3:3: inputs.both: is made of inputs, and several workers would each read all of "
        "them; do this in a pipeline of its own that writes to a stream, and read that stream with "
        "a group here, or run without --workers\n",
    )


def test_a_stage_that_keeps_no_state_as_its_options_are_is_no_obstacle(shop):
    done = shop(stage="Sometimes").penstock("run", "shop.yaml", "--workers", "2")
    assert (done.code, "shop: 2 workers, read 6 = written 6" in done.err) == (0, True)


@pytest.mark.parametrize("argument", ["--fresh", "--reparse"])
def test_workers_do_not_start_over(cli, shop, argument):
    shop()
    done = cli("run", "shop.yaml", "--workers", "2", argument)
    assert (done.code, done.err) == (
        2,
        f"{argument}: workers cannot start over together; give the inputs another group, or run "
        "without --workers\n",
    )


def test_a_number_of_workers_is_at_least_one(cli, shop):
    shop()
    done = cli("run", "shop.yaml", "--workers", "0")
    assert done.code == 2
    assert "--workers: must be a whole number of at least 1, got '0'" in done.err
