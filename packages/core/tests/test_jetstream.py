"""What jetstream promised of its pipes and did not always keep, on every engine.

The numbers are those of the rows that describe it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock import ConfigError, Inspector, Plugins, RecordError, Report, load_pipeline
from penstock.testing import ListInput, ListOutput

HEAD = """
inputs:
  one: {use: "penstock.testing:ListInput", values: [1, 2, 3, 4], batch_size: 1}
  two: {use: "penstock.testing:ListInput", values: [10, 20], batch_size: 1}
transformers:
  same: "jetstream_parts:same"
outputs:
  out: "jetstream_parts:keep"
  copy: "jetstream_parts:keep_copy"
pipes:
"""
PARTS = """
kept, copied = [], []

def same(record):
    return record

def keep(record):
    kept.append(record)

def keep_copy(record):
    copied.append(record)
"""


class Ran:
    def __init__(self, folder: Path, engine: str, pipes: str, monkeypatch: Any) -> None:
        import sys

        (folder / "jetstream_parts.py").write_text(PARTS)
        (folder / "pipeline.yaml").write_text(HEAD + pipes)
        monkeypatch.delitem(sys.modules, "jetstream_parts", raising=False)
        made = load_pipeline(folder / "pipeline.yaml", Plugins(discover=False), engine=engine)
        self.report: Report = made.start().execute()
        parts = sys.modules["jetstream_parts"]
        self.kept, self.copied = parts.kept, parts.copied


@pytest.fixture(params=["inline", "threads"])
def ran(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda pipes: Ran(tmp_path, request.param, pipes, monkeypatch)


def test_j10_a_pipe_starts_with_an_input(ran: Any) -> None:
    with pytest.raises(
        ConfigError, match="a pipe must begin with an input, 'same' is a transformer"
    ):
        ran("  main: [same, out]")


def test_j11_without_an_output_records_are_printed(ran: Any, capsys: Any) -> None:
    ran("  main: [one, same]")

    assert capsys.readouterr().out == "1\n2\n3\n4\n"


def test_j16_any_number_of_records_will_do(start: Any) -> None:
    for count in (0, 1, 511, 512, 513, 5000):
        out = ListOutput()
        start(ListInput(values=list(range(count))), out).execute()
        assert out.values == list(range(count))


def test_j17_an_input_in_mid_pipe_appends_its_records(ran: Any) -> None:
    done = ran("  main: [one, same, two, out]")

    assert done.kept == [1, 2, 3, 4, 10, 20]
    assert str(done.report.balance) == "read 6 = written 6 + filtered 0 + dead 0"


def test_j17_or_mixes_them_in(ran: Any) -> None:
    done = ran("  main: [one, same, {mix: two}, out]")

    assert sorted(done.kept) == [1, 2, 3, 4, 10, 20]
    assert [n for n in done.kept if n < 10] == [1, 2, 3, 4]
    if done.report.engine == "inline":
        assert done.kept.index(10) < done.kept.index(3)


def test_j18_every_batch_names_the_input_that_its_records_came_from(start: Any) -> None:
    out = ListOutput()
    start([ListInput(values=[1, 2]), out], [ListInput(values=[3]), out]).execute()

    by_source = {batch.source: batch.records for batch in out.batches}
    assert by_source == {"list": [1, 2], "list3": [3]}


def test_j20_an_inspector_may_stop_the_stream_and_what_came_before_has_passed(start: Any) -> None:
    class Complete(Inspector):
        def inspect(self, record: int) -> None:
            if record == 3:
                raise RecordError("incomplete")

    out = ListOutput()
    report = start(
        ListInput(values=[1, 2, 3, 4], batch_size=1),
        Complete(),
        out,
        settings={"complete": {"on_error": "stop"}},
    ).execute()

    assert report.status == "failed"
    assert out.values == [1, 2][: len(out.values)]  # nothing after it, and nothing out of order
    if report.engine == "inline":
        assert out.values == [1, 2]


def test_j22_an_output_in_mid_pipe_copies_the_data(ran: Any) -> None:
    done = ran("  main: [one, copy, same, out]")

    assert done.copied == done.kept == [1, 2, 3, 4]
    assert str(done.report.balance) == "read 4 + copied 4 = written 8 + filtered 0 + dead 0"


def test_j23_every_connection_is_measured(ran: Any) -> None:
    nodes = ran("  main: [one, same, out]").report.nodes

    assert [(node.name, node.received, node.sent) for node in nodes] == [
        ("one", 0, 4),
        ("same", 4, 4),
        ("out", 4, 4),
    ]
    assert all(node.seconds > 0 for node in nodes)
