from __future__ import annotations

from threading import Event, Thread

import pytest

from penstock import RunError
from penstock.testing import FakeClock, ListInput, ListOutput
from penstock_console.progress import Progress


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def run(start, clock):
    return start(ListInput(), ListOutput(), clock=clock)


def work(run, read, *, failed=0):
    """As if the run had read, written and failed so many more."""
    source, output = run.inputs[0], run.outputs[0]
    run.read += read
    source.sent += read
    output.received += read
    output.sent += read - failed
    output.failed += failed


def block(progress, width=79):
    return ["".join(span.text for span in line) for line in progress.block(width)]


def styles(progress, text):
    return [span.style for line in progress.block(79) for span in line if span.text == text]


def test_a_line_says_what_was_read_written_and_failed_and_how_fast(run, clock):
    progress = Progress(run)
    clock.sleep(10)
    work(run, 120_000, failed=12)
    assert progress.line() == "shop: 120 000 read, 119 988 written, 12 failed, 12 000/s"


def test_a_rate_is_that_of_the_last_seconds(run, clock):
    progress = Progress(run)
    for _ in range(10):
        clock.sleep(1)
        work(run, 1000)
        progress.line()
    assert progress.line().endswith(", 1 000/s")
    for _ in range(5):
        clock.sleep(1)
        progress.line()
    assert progress.line() == "shop: 10 000 read, 10 000 written, 0/s"


def test_a_rate_between_lines_that_are_far_apart_is_that_between_them(run, clock):
    progress = Progress(run)
    for read in (10_000, 20_000, 0):
        clock.sleep(10)
        work(run, read)
        line = progress.line()
        assert line.endswith(f", {read // 10_000} 000/s" if read else ", 0/s")


def test_a_run_that_is_to_stop_says_so(run):
    run.stop("interrupted")
    assert Progress(run).line().endswith(", stopping")


def test_a_block_has_a_line_for_each_node(run, clock):
    progress = Progress(run)
    clock.sleep(2)
    work(run, 2000, failed=5)
    assert block(progress) == [
        "shop: 2 000 read, 1 995 written, 5 failed, 1 000/s, 0:02",
        "  node      in    out  failed  rate/s",
        "  list          2 000       0   1 000",
        "  list2  2 000  1 995       5   1 000",
    ]


def test_failures_are_red_as_soon_as_there_are_some(run):
    progress = Progress(run)
    work(run, 10)
    assert styles(progress, "0")
    assert set(styles(progress, "0")) == {""}
    work(run, 10, failed=3)
    assert styles(progress, "3") == ["red"]


def test_an_input_that_knows_its_size_has_a_bar(run, clock):
    progress = Progress(run)
    run.inputs[0].progress = 0.0
    block(progress)
    run.inputs[0].progress = 0.25
    clock.sleep(10)
    assert block(progress)[2].endswith("  █████░░░░░░░░░░░░░░░   25 %  0:30 left")
    assert "%" not in block(progress)[3]


def test_the_time_left_counts_from_where_a_run_went_on(run, clock):
    run.inputs[0].progress = 0.5
    progress = Progress(run)
    clock.sleep(10)
    run.inputs[0].progress = 0.75
    assert block(progress)[2].endswith("75 %  0:10 left")


def test_no_time_is_promised_before_anything_is_known(run, clock):
    run.inputs[0].progress = 0.5
    progress = Progress(run)
    assert block(progress)[2].endswith("50 %")
    clock.sleep(10)
    assert block(progress)[2].endswith("50 %")


def test_an_input_that_has_ended_is_read_to_its_end(run, clock):
    progress = Progress(run)
    run.inputs[0].progress, run.inputs[0].ended = 0.98, True
    clock.sleep(10)
    assert block(progress)[2].endswith("  ████████████████████  100 %")


@pytest.mark.parametrize("said", [-1.0, 7.0])
def test_a_share_that_cannot_be_is_brought_to_the_nearest_that_can(run, said):
    run.inputs[0].progress = said
    assert block(Progress(run))[2].endswith("  0 %" if said < 0 else "100 %")


def test_on_a_narrow_terminal_the_bar_is_short_and_names_are_cut(start, clock):
    run = start(ListInput(), ListOutput(), clock=clock)
    run.nodes["list"].name = "orders_of_all_the_branches"
    run.inputs[0].progress = 0.5
    lines = block(Progress(run), 63)
    assert lines[2].startswith("  orders_of… ")
    assert lines[2].endswith("  ███░░░   50 %")
    assert max(map(len, lines)) <= 63


def test_columns_do_not_become_narrower(run):
    progress = Progress(run)
    work(run, 1_000_000)
    before = block(progress)[1]
    run.inputs[0].sent = run.outputs[0].received = run.outputs[0].sent = 0
    assert block(progress)[1] == before


def test_what_waits_is_shown_while_an_engine_has_queues(start):
    reading, writing = Event(), Event()

    class Slow(ListOutput):
        def write(self, batch):
            reading.set()
            assert writing.wait(20)
            return super().write(batch)

    run = start(ListInput(values=list(range(50)), batch_size=1), Slow(), engine="threads")
    run.display = None  # this test looks by itself
    progress = Progress(run)
    thread = Thread(target=run.execute)
    thread.start()
    try:
        assert reading.wait(20)
        while run.waiting()["slow"] < 16:
            assert thread.is_alive()
        lines = block(progress)
    finally:
        writing.set()
        thread.join()
    assert lines[1].split() == ["node", "in", "out", "failed", "queue", "rate/s"]
    assert lines[3].split()[:5] == ["slow", "1", "0", "0", "16"]
    assert run.read == 50


def test_looking_at_a_run_that_failed_is_no_failure(start, clock):
    run = start(ListInput(values=[1]), ListOutput(fail=RunError("full")), clock=clock, display=None)
    progress = Progress(run)
    run.execute()
    assert progress.line() == "shop: 1 read, 0 written, 0/s"
