"""An input that cannot be read again, behind a durable log: what was read is never lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock import Batch, Context, Failure, Input, RunError
from penstock.build import load_pipeline
from penstock.errors import ConfigError
from penstock.plugins import Plugins
from penstock.spooling import SpooledInput


class Live(Input):
    """Gives each batch once, whoever asks."""

    capability = "ephemeral"

    def __init__(self, *batches: list[Any], failures: list[Failure] | None = None) -> None:
        self.batches, self.failures = list(batches), failures or []
        self.answered: list[Any] = []

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done = 0
        while self.batches:
            records = self.batches.pop(0)
            ordinals = range(done + 1, done + len(records) + 1)
            done += len(records)
            yield Batch(records, "", ordinals, done, self.failures)
            yield None

    def commit(self, positions: Mapping[str, Any]) -> None:
        self.answered.append(dict(positions))


def opened(inner: Input, folder: Path) -> SpooledInput:
    made = SpooledInput(inner)
    made.open(Context("live", pipeline="p", state=folder))
    return made


def read(spooled: SpooledInput, positions: Mapping[str, Any] | None = None) -> list[Batch]:
    return [batch for batch in spooled.read(positions or {}) if batch is not None]


def shown(batches: list[Batch]) -> list[Any]:
    return [(list(b.records), list(b.ordinals), b.resume) for b in batches]


def test_what_was_not_committed_is_read_first_and_the_live_input_after_it(tmp_path: Path) -> None:
    first = opened(Live([1, 2], [3]), tmp_path)
    assert shown(read(first)) == [([1, 2], [1, 2], 1), ([3], [3], 2)]
    first.close()
    second = opened(Live([4]), tmp_path)
    assert shown(read(second, {"live": 1})) == [([3], [3], 2), ([4], [4], 3)]
    second.close()


def test_a_sender_is_answered_when_its_record_is_durable_and_before_it_goes_on(
    tmp_path: Path,
) -> None:
    live = Live([1, 2], [3])
    spooled = opened(live, tmp_path)
    batches = spooled.read({})
    next(batches)
    assert live.answered == [{"live": 2}]
    again = opened(Live(), tmp_path)
    assert shown(read(again)) == [([1, 2], [1, 2], 1)]
    again.close()
    spooled.close()


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_end_of_the_log_is_cut_off(tmp_path: Path, cut: int) -> None:
    spooled = opened(Live([1, 2], [3]), tmp_path)
    read(spooled)
    spooled.close()
    (log,) = tmp_path.glob("*.log")
    os.truncate(log, log.stat().st_size - cut)
    again = opened(Live([4]), tmp_path)
    assert shown(read(again)) == [([1, 2], [1, 2], 1), ([4], [3], 2)]
    again.close()
    last = opened(Live(), tmp_path)
    assert shown(read(last)) == [([1, 2], [1, 2], 1), ([4], [3], 2)]
    last.close()


def test_what_is_committed_leaves_the_log_and_numbers_go_on(tmp_path: Path) -> None:
    spooled = opened(Live([1, 2], ["x" * 100_000]), tmp_path)
    read(spooled)
    (log,) = tmp_path.glob("*.log")
    spooled.commit({"live": 1})
    spooled.commit({"live": 2})
    assert log.stat().st_size < 1000
    spooled.close()
    again = opened(Live([5]), tmp_path)
    assert shown(read(again, {"live": 2})) == [([5], [4], 3)]
    again.close()


def test_a_long_log_is_written_anew_while_a_part_of_it_is_committed(tmp_path: Path) -> None:
    spooled = opened(Live(["x" * 1_200_000], [2], [3]), tmp_path)
    batches = spooled.read({})
    next(batches)
    next(batches)
    next(batches)
    spooled.commit({"live": 1})
    (log,) = tmp_path.glob("*.log")
    assert log.stat().st_size < 1000
    assert shown([b for b in batches if b]) == [([3], [3], 3)]
    spooled.commit({})
    spooled.close()
    again = opened(Live(), tmp_path)
    assert shown(read(again, {"live": 1})) == [([2], [2], 2), ([3], [3], 3)]
    again.close()


def test_what_an_input_has_in_its_hands_when_a_run_stops_is_kept(tmp_path: Path) -> None:
    class Half(Live):
        def partial(self) -> Batch | None:
            return Batch([8, 9], "", [2, 3], 3)

    half = Half([7])
    first = opened(half, tmp_path)
    assert shown(read(first)) == [([7], [1], 1)]
    first.close()
    assert half.answered == [{"live": 1}, {"live": 3}]
    again = opened(Live([10]), tmp_path)
    assert shown(read(again, {"live": 1})) == [([8, 9], [2, 3], 2), ([10], [4], 3)]
    again.close()


def test_records_that_cannot_be_read_are_kept_as_well(tmp_path: Path) -> None:
    spooled = opened(Live([1], failures=[Failure("?", 2, ValueError("no"))]), tmp_path)
    read(spooled)
    spooled.close()
    again = opened(Live(), tmp_path)
    ((failure,),) = [batch.failures for batch in read(again)]
    assert (failure.record, failure.ordinal, str(failure.error)) == ("?", 2, "ValueError: no")
    again.close()


def test_a_record_that_a_log_cannot_give_back_is_told(tmp_path: Path) -> None:
    spooled = opened(Live([{"a": {1}}]), tmp_path)
    with pytest.raises(RunError) as caught:
        read(spooled)
    assert str(caught.value) == (
        "{1} cannot be kept in the log of a spooled input; convert it to text or a number before "
        "that"
    )
    spooled.close()


def test_without_a_state_folder_it_does_not_open() -> None:
    spooled = SpooledInput(Live())
    with pytest.raises(RunError) as caught:
        spooled.open(Context("live"))
    assert str(caught.value) == (
        "live: an input that is spooled needs a state folder; give the run a store with a folder"
    )
    spooled.close()


PARTS = '''
import os

from penstock import Batch, Input, Output, RecordInput


class Lines(Input):
    """Standard input, a line of eight bytes at a time; acknowledges what is safe."""

    capability = "ephemeral"

    def read(self, positions):
        done = 0
        while line := os.read(0, 8):
            done += 1
            self.line = line
            yield Batch([line.decode().strip()], "", [done], done)

    def commit(self, positions):
        with open("acknowledged", "ab") as file:
            file.write(self.line)


class Again(RecordInput):
    def records(self, skip):
        return iter(())


class File(Output):
    """A file that is cut back to what was durable."""

    delivery = "rewindable"

    def resume(self, mark, epoch):
        self.file = open("out", "a+b")
        self.file.truncate(mark or 0)

    def write(self, batch):
        self.file.writelines(record.encode() + b"\\n" for record in batch.records)

    def prepare(self, epoch):
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def close(self):
        if hasattr(self, "file"):
            self.file.close()
'''
PIPELINE = """
inputs: {live: {use: "parts:Lines", spool: true}}
outputs: {out: {use: "parts:File"}}
pipes: {main: [live, out]}
epoch: {records: 37}
"""


def write(folder: Path, text: str = PIPELINE) -> Path:
    (folder / "parts.py").write_text(PARTS, encoding="utf-8")
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return folder / "a.yaml"


def test_only_an_input_that_cannot_be_read_again_is_spooled(tmp_path: Path) -> None:
    path = write(tmp_path, PIPELINE.replace("parts:Lines", "parts:Again"))
    with pytest.raises(ConfigError) as caught:
        load_pipeline(path, Plugins(discover=False))
    assert (
        "inputs.live.spool: only an input that cannot be read again is spooled; this is "
        "replayable; leave it out" in str(caught.value)
    )


def test_a_spooled_input_is_replayable(tmp_path: Path) -> None:
    graph = load_pipeline(write(tmp_path), Plugins(discover=False)).graph()
    assert graph.nodes["live"].component.capability == "replayable"


@pytest.mark.holds("ephemeral with spool", "rewindable")
def test_standard_input_of_processes_that_are_killed_loses_nothing_that_was_read(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    chance = random.Random(7)
    ours, theirs = os.pipe()
    feeder = subprocess.Popen(
        [sys.executable, "-c", "for n in range(3000): print(f'{n:07}', flush=True)"], stdout=theirs
    )
    os.close(theirs)
    killed, code = 0, -signal.SIGKILL
    while code:
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "run", "-q", "a.yaml"], cwd=tmp_path, stdin=ours
        )
        before = acknowledged(tmp_path)
        while process.poll() is None and len(acknowledged(tmp_path)) < len(before) + 100:
            time.sleep(0.002)
        if killed < 6:
            time.sleep(chance.random() / 20)
            process.kill()
            killed += 1
        code = process.wait(timeout=60)
    os.close(ours)
    feeder.wait()
    written = (tmp_path / "out").read_text().split()
    assert len(set(written)) == len(written)
    assert set(written) >= set(acknowledged(tmp_path))
    assert len(written) >= 3000 - killed  # at most the line that each had in its hands


def acknowledged(folder: Path) -> list[str]:
    path = folder / "acknowledged"
    return path.read_text().split() if path.exists() else []
