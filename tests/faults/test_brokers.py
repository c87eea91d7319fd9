"""Streams in a folder under kills: what is written to one, and what is read from one into another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from faults.certificates import Wrong
from faults.killing import Killed, Launcher, kill_at_random
from faults.oracle import BAD_EVERY, Verdict, judge, payload, rows_in
from faults.pairs import Pair

from penstock_broker_file.stream import Limits, Staged, Stream

ROWS = 3000
SMALL = "{use: file, path: streams, segment_size: 20000}"


def exported(path: Path) -> Iterable[Any]:
    """The records of the stream `out`: what is committed of it, and nothing else."""
    stream = Stream(path / "out")
    tip = stream.head().tips[0]
    lines = b"".join(
        one.read_bytes()[: tip.size if int(one.stem) == tip.segment else None]
        for one in stream.segments(0)
        if int(one.stem) <= tip.segment
    )
    target = path / "out.jsonl"
    target.write_bytes(lines)
    assert lines.count(b"\n") == tip.records
    return rows_in(target)


class FromCsv(Pair):
    def make(self, folder: Path, count: int, **options: Any) -> None:
        super().make(folder, count, **options)
        path = folder / "pipeline.yaml"
        path.write_text(f"brokers:\n  bus: {SMALL}\n{path.read_text()}")


class FromStream(FromCsv):
    def make(self, folder: Path, count: int, **options: Any) -> None:
        super().make(folder, count, **options)
        path = folder / "pipeline.yaml"
        rows = "rows: {use: csv, path: in.csv, batch_size: 50}"
        stream = "rows: {use: stream, broker: bus, stream: in, until: end}"
        assert rows in path.read_text()
        path.write_text(path.read_text().replace(rows, stream))
        fill(Stream(folder / "streams" / "in"), count)


def fill(stream: Stream, count: int) -> None:
    """The rows of the CSV file as lines of a stream; some of them are no JSON."""
    stream.create(1)
    lines = [
        "{" if number % BAD_EVERY == 0 else f'{{"id": "{number}", "payload": "{payload(number)}"}}'
        for number in range(1, count + 1)
    ]
    with stream.committing() as head:
        text = "".join(f"{line}\n" for line in lines).encode()
        stream.append(head, {0: Staged(BytesIO(text), count)}, Limits(1 << 20))
        stream.publish(head, Limits(1 << 20))


OUT = "  out: {use: stream, broker: bus, stream: out}\n"
ROWS_OUT = "  rows: [rows, out]\n"
STREAMS = {"streams": judge}
PAIRS = {
    "csv to stream": FromCsv(OUT, ROWS_OUT, "keeps no checkpoint", STREAMS, read=exported),
    "stream to stream": FromStream(
        OUT, ROWS_OUT, "appends at the end of the file", STREAMS, read=exported
    ),
}


def kill(
    launcher: Launcher, folder: Path, pair: Pair, kills: int, engine: str, variant: str | None
) -> Killed:
    return kill_at_random(
        launcher,
        lambda path: pair.make(path, ROWS, engine=engine),
        lambda path: pair.judge(path, ROWS),
        folder,
        kills=kills,
        seed=kills,
        good_codes=[6],
        variant=variant,
        enough=(lambda killed: not killed.verdict.right) if variant else lambda _: False,
    )


@pytest.mark.holds("replayable", "transactional")
@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_holds_each_record_once_and_in_order(
    launcher: Launcher,
    tmp_path: Path,
    long: bool,
    certify: Callable[..., None],
    name: str,
    engine: str,
) -> None:
    pair = PAIRS[name]
    right = kill(launcher, tmp_path / "right", pair, 200 if long else 4, engine, None)
    assert right.failures == []
    assert right.verdict == Verdict()
    wrong = kill(launcher, tmp_path / "wrong", pair, 400, engine, pair.wrong)
    assert not wrong.verdict.right
    caught = Wrong(pair.wrong, wrong.kills, wrong.verdict)
    certify("kill -9", name, right.kills, right.verdict, engine=engine, wrong=caught)
