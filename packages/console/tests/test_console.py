"""One run on standard error, from its first hook to its last."""

from __future__ import annotations

import io
import threading

import pytest

from penstock import RunError
from penstock.hookspecs import Hooks
from penstock.runs import Display
from penstock.testing import FakeClock, ListInput, ListOutput
from penstock_console import plugin
from penstock_console.console import Live, Log, Watcher
from penstock_console.progress import Progress


def watching():
    return [one for one in threading.enumerate() if one.name == "penstock-console"]


def test_a_run_in_a_program_shows_nothing(start, stderr, capsys):
    run = start(ListInput(values=[1, 2, 3]), ListOutput(), display=None)
    run.execute()
    assert stderr.getvalue() == ""
    assert capsys.readouterr().out == ""
    assert run.stash == {}


def test_no_hook_is_called_with_each_batch_or_record():
    implemented = [
        name for name in vars(Hooks) if name.startswith("penstock_") and hasattr(plugin, name)
    ]
    assert implemented == ["penstock_run_started", "penstock_run_finished"]


def test_a_run_whose_report_is_json_shows_nothing(start, stderr):
    run = start(ListInput(values=[1]), ListOutput(), display=Display(progress=False))
    run.execute()
    assert stderr.getvalue() == ""
    assert not run.display.report_shown


def test_a_short_run_shows_its_report_alone(start, stderr):
    run = start(ListInput(values=[1, 2, 3]), ListOutput())
    run.execute()
    lines = stderr.getvalue().splitlines()
    assert lines[0].split() == "node use in out filtered failed seconds rate/s".split()
    assert lines[-1].startswith("shop: finished in ")
    assert run.display.report_shown
    assert not watching()


def test_colours_are_those_of_the_display(start, stderr):
    start(ListInput(values=[1]), ListOutput()).execute()
    assert "\x1b[" not in stderr.getvalue()
    start(ListInput(values=[1]), ListOutput(), display=Display(color=True)).execute()
    assert "\x1b[32mshop: finished in" in stderr.getvalue()


class Waiting(ListOutput):
    """An output that takes as long as it takes until something else has happened."""

    until = staticmethod(lambda: True)

    def write(self, batch):
        deadline = threading.Event()
        for _ in range(2000):
            if self.until():
                return super().write(batch)
            deadline.wait(0.01)
        raise RunError("waited in vain")


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_stage_that_takes_long_is_shown_while_it_works(start, stderr, screen, engine):
    output = Waiting()
    output.until = lambda: stderr.getvalue().count("shop: 3 read, 0 written") > 2
    stderr.write("$ penstock run\n")
    run = start(ListInput(values=[1, 2, 3]), output, engine=engine)
    assert run.execute().ok
    lines = str(screen(stderr.getvalue())).splitlines()
    assert lines[0] == "$ penstock run"
    assert lines[1].startswith("node "), "the block is gone, and the report in its place"
    assert lines[-1].startswith("shop: finished")
    assert not watching()


def test_a_run_that_fails_ends_its_block_and_says_why(start, stderr, screen):
    output = Waiting()

    def seen():
        if "shop: 3 read" in stderr.getvalue():
            raise RunError("no space left", where="store")
        return False

    output.until = seen
    run = start(ListInput(values=[1, 2, 3]), output)
    assert run.execute().status == "failed"
    shown = str(screen(stderr.getvalue()))
    assert shown.count("3 read") == 0
    assert shown.count("read 3") == 1
    assert shown.endswith("store: no space left\n")
    assert not watching()


def test_a_run_that_does_not_open_still_has_a_report(start, stderr):
    class Locked(ListOutput):
        def open(self, context):
            raise RunError("locked", where="store")

    run = start(ListInput(), Locked())
    run.execute()
    assert stderr.getvalue().endswith("store: locked\n")
    assert run.display.report_shown


def test_what_the_command_line_says_on_ctrl_c_is_not_drawn_over(start, terminal, screen):
    run = start(ListInput(), ListOutput(), clock=FakeClock())
    one = terminal()
    live = Live(run, Progress(run), one)
    live.update()
    one.stream.write("^Cpenstock: finishing what was read; once more to stop at once\n")
    run.stop("interrupted")
    live.update()
    live.update()
    live.end()
    lines = str(screen(one.stream.getvalue())).splitlines()
    assert lines[0] == "shop: 0 read, 0 written, 0/s, 0:00"
    assert lines[-1] == "^Cpenstock: finishing what was read; once more to stop at once"


def test_a_run_that_stops_by_itself_goes_on_in_its_place(start, terminal, screen):
    run = start(ListInput(), ListOutput(), clock=FakeClock())
    one = terminal()
    live = Live(run, Progress(run), one)
    live.update()
    run.stop("after 10 records")
    live.update()
    lines = str(screen(one.stream.getvalue())).splitlines()
    assert lines[0] == "shop: 0 read, 0 written, 0/s, stopping, 0:00"
    assert len(lines) == 4


def test_records_on_the_same_terminal_are_not_torn_by_a_block(start, stderr, monkeypatch):
    monkeypatch.setattr("sys.stdout", stderr)
    run = start(ListInput(values=[1]))
    plugin.penstock_run_started(run)
    kept = run.stash["penstock-console"]
    plugin.penstock_run_finished(run, run.execute())
    assert isinstance(kept._update.__self__, Log)


def test_a_log_has_a_line_now_and_then(start, terminal):
    clock = FakeClock()
    run = start(ListInput(), ListOutput(), clock=clock)
    stream = io.StringIO()
    log = Log(Progress(run), terminal(stream))
    for _ in range(2):
        clock.sleep(10)
        run.read += 50_000
        run.inputs[0].sent += 50_000
        log.update()
    log.end()
    assert stream.getvalue() == (
        "shop: 50 000 read, 0 written, 5 000/s\nshop: 100 000 read, 0 written, 5 000/s\n"
    )


def test_a_watcher_ends_at_once_when_it_is_told_to():
    calls = []
    watcher = Watcher(lambda: calls.append("update"), lambda: calls.append("end"), 3600)
    watcher.start()
    watcher.stop()
    assert calls == ["end"]


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


class Unread(io.StringIO):
    def write(self, _):
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, closed(), Unread()], ids=["none", "closed", "unread"])
def test_a_standard_error_that_cannot_be_written_breaks_no_run(start, monkeypatch, stream):
    output = ListOutput()
    run = start(ListInput(values=[1, 2, 3]), output)
    monkeypatch.setattr("sys.stderr", stream)
    assert run.execute().ok
    assert output.values == [1, 2, 3]
    assert run.display.report_shown, "the command line would write to the same place"


def test_an_encoding_without_our_characters_breaks_no_run(start, monkeypatch):
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, "ascii") as stream:
        run = start(ListInput(values=[1, 2]), ListOutput(refuse=[2]))
        monkeypatch.setattr("sys.stderr", stream)
        assert run.execute().letters == 1
        assert b"1 x list2: ValueError: refused" in raw.getvalue()
