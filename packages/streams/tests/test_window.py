"""Windows give the same whatever batches are cut, and whenever the run is cut off."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Batch, ConfigError, Context, RunError, run
from penstock.testing import FakeClock, Idle, ListInput, ListOutput
from penstock_streams.expressions import call, field
from penstock_streams.window import Window

TIMES = [0, 1, 5, 12, 9, 25, 3, 31, 70]
RECORDS = [{"t": t, "c": "xy"[t % 2], "v": t} for t in TIMES]
COLLECT = {"v": "collect(v)"}


def windows(records: list[Any], batch_size: int = 512, **options: Any) -> list[Any]:
    out = ListOutput()
    run(ListInput(values=records, batch_size=batch_size), Window(**options), out)
    return out.values


def bounds(**options: Any) -> list[Any]:
    made = windows(RECORDS, aggregate=COLLECT, **options)
    return [(one["start"], one["end"], one["v"]) for one in made]


def test_tumbling_windows_follow_one_another():
    made = bounds(kind="tumbling", time="t", size=10, lateness=100)
    assert made == [
        (0, 10, [0, 1, 5, 9, 3]),
        (10, 20, [12]),
        (20, 30, [25]),
        (30, 40, [31]),
        (70, 80, [70]),
    ]


def test_hopping_windows_overlap():
    made = windows(RECORDS[:4], kind="hopping", time="t", size="10s", every="5s", aggregate=COLLECT)
    assert [(one["start"], one["v"]) for one in made] == [
        (-5, [0, 1]),
        (0, [0, 1, 5]),
        (5, [5, 12]),
        (10, [12]),
    ]


def test_hopping_windows_with_gaps_between_them_leave_records_out():
    out = ListOutput()
    report = run(
        ListInput(values=[{"t": t} for t in (0, 1, 2, 5, 6)]),
        Window(kind="hopping", time="t", size=2, every=5, aggregate={"n": "count()"}),
        out,
    )
    assert out.values == [{"start": 0, "end": 2, "n": 2}, {"start": 5, "end": 7, "n": 2}]
    assert report.balance.filtered == 1


def test_a_sliding_window_ends_with_each_record():
    made = bounds(kind="sliding", time="t", size=10, lateness=100)
    assert made[:5] == [
        (-10, 0, [0]),
        (-9, 1, [0, 1]),
        (-7, 3, [0, 1, 3]),
        (-5, 5, [0, 1, 3, 5]),
        (-1, 9, [0, 1, 3, 5, 9]),
    ]


def test_a_session_lasts_until_nothing_comes_for_a_while():
    made = bounds(kind="session", time="t", gap=5, lateness=100)
    assert made == [(0, 17, [0, 1, 3, 5, 9, 12]), (25, 30, [25]), (31, 36, [31]), (70, 75, [70])]


def test_count_windows_hold_so_many_records_of_each_key():
    made = windows(RECORDS, kind="count", size=2, by="c", aggregate=COLLECT)
    assert made == [
        {"c": "y", "v": [1, 5]},
        {"c": "x", "v": [0, 12]},
        {"c": "y", "v": [9, 25]},
        {"c": "y", "v": [3, 31]},
        {"c": "x", "v": [70]},
    ]


def test_a_key_change_window_holds_records_in_a_row_with_one_key():
    made = windows([{"t": t} for t in (31, 40, 61, 62, 0)], kind="change", key="t // 30")
    assert [(one["key"], len(one["records"])) for one in made] == [(1, 2), (2, 2), (0, 1)]


def test_a_window_keyed_0_is_not_lost():
    made = windows([{"t": t} for t in (-5, 0, 3)], kind="change", key="t // 30")
    assert [(one["key"], len(one["records"])) for one in made] == [(-1, 1), (0, 2)]
    made = windows([{"t": 0}], kind="tumbling", time="t", size=10)
    assert made == [{"start": 0, "end": 10, "records": [{"t": 0}]}]


def test_windows_are_separate_for_the_values_of_by():
    made = windows(RECORDS[:4], kind="tumbling", time="t", size=10, by=["c"], aggregate=COLLECT)
    assert made == [
        {"c": "x", "start": 0, "end": 10, "v": [0]},
        {"c": "y", "start": 0, "end": 10, "v": [1, 5]},
        {"c": "x", "start": 10, "end": 20, "v": [12]},
    ]


def test_times_may_be_datetimes_and_stay_what_they_are():
    zone = timezone.utc
    times = [datetime(2026, 11, 20, 12, 0, second, 500_000, zone) for second in (1, 7, 12)]
    made = windows([{"t": t} for t in times], kind="tumbling", time="t", size="10s")
    assert [(one["start"], len(one["records"])) for one in made] == [
        (datetime(2026, 11, 20, 12, 0, 0, 0, zone), 2),
        (datetime(2026, 11, 20, 12, 0, 10, 0, zone), 1),
    ]
    naive = windows([{"t": times[0].replace(tzinfo=None)}], kind="tumbling", time="t", size="10s")
    assert naive[0]["end"] == datetime(2026, 11, 20, 12, 0, 10)


# ---- aggregates ---------------------------------------------------------------------------------


class Spread:
    """An aggregate of somebody's own."""

    purpose = "added"

    def __init__(self) -> None:
        self.bounds: list[Any] = []

    def add(self, values: Any) -> int:
        self.bounds = [min([*self.bounds, *values]), max([*self.bounds, *values])]
        return 0

    def result(self) -> Any:
        return self.bounds[1] - self.bounds[0]

    def state(self) -> Any:
        return self.bounds

    def restore(self, state: Any) -> None:
        self.bounds = state


def test_every_aggregate_is_there_and_one_may_bring_ones_own():
    [made] = windows(
        RECORDS,
        kind="count",
        size=100,
        aggregate={
            "n": "count()",
            "sum": "sum(v)",
            "min": "min(v)",
            "max": "max(v)",
            "mean": "mean(v)",
            "first": "first(v)",
            "last": "last(v)",
            "own": (Spread, field("v") * 2),
        },
    )
    assert made == {
        "n": 9,
        "sum": 156,
        "min": 0,
        "max": 70,
        "mean": 156 / 9,
        "first": 0,
        "last": 70,
        "own": 140,
    }


def test_an_aggregate_of_ones_own_is_named_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "spreading.py").write_text(
        "class Total:\n"
        "    def __init__(self): self.sum = 0\n"
        "    def add(self, values): self.sum += sum(values)\n"
        "    def result(self): return self.sum\n"
        "    def state(self): return self.sum\n"
        "    def restore(self, state): self.sum = state\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    made = windows(RECORDS, kind="count", size=100, aggregate={"x": "spreading:Total(v)"})
    assert made == [{"x": 156}]


# ---- late records -------------------------------------------------------------------------------


def test_a_late_record_is_a_dead_letter_that_says_so():
    report = run(
        ListInput(values=RECORDS), Window(kind="tumbling", time="t", size=10), ListOutput()
    )
    assert report.letters == 2
    [group] = report.failures
    assert group.message == "came late: its time is 9, and windows are closed up to 12"


def test_late_records_may_be_dropped_and_are_counted():
    out = ListOutput()
    report = run(
        ListInput(values=RECORDS), Window(kind="tumbling", time="t", size=10, late="drop"), out
    )
    assert (report.letters, report.balance.filtered) == (0, 2)
    assert sum(len(one["records"]) for one in out.values) == len(RECORDS) - 2


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "tumbling", "size": 10},
        {"kind": "hopping", "size": 10, "every": 5},
        {"kind": "sliding", "size": 10},
        {"kind": "session", "gap": 5},
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_late_records_are_a_stream_of_their_own(options, batch_size):
    options = {**options, "time": "t", "lateness": 2}
    source = ListInput(values=RECORDS, batch_size=batch_size)
    late, out = ListOutput(), ListOutput()
    report = run(
        [source, Window(**options, late="drop"), out],
        [source, Window(**options, give="late"), late],
    )
    windows_, rest = (node for node in report.nodes if node.use == "Window")
    assert windows_.filtered == len(late.values) == rest.sent
    assert len(late.values) >= 1


def test_the_source_that_is_furthest_behind_holds_the_windows_open():
    window = Window(kind="tumbling", time="t", size=10, aggregate={"n": "count()"})
    window.open(Context("window"))
    made = []
    for source, time in (("a", 1), ("b", 2), ("a", 50), ("b", 8), ("b", 30)):
        made.append([b.records for b in window.process(Batch([{"t": time}], source, [1]))])
    assert made == [[], [], [], [], [[{"start": 0, "end": 10, "n": 3}]]]


def test_a_source_that_falls_silent_holds_no_window_open_for_long():
    window = Window(kind="tumbling", time="t", size=10, aggregate={"n": "count()"}, idle_after=5)
    clock = FakeClock(100.0)
    window.open(Context("window", clock=clock))
    for source, time in (("a", 1), ("b", 2)):
        assert list(window.process(Batch([{"t": time}], source, [1]))) == []
    clock.sleep(4)
    assert list(window.process(Batch([{"t": 15}], "a", [2]))) == []
    assert list(window.idle(clock.now())) == []
    clock.sleep(2)
    assert [one.records for one in window.idle(clock.now())] == [[{"start": 0, "end": 10, "n": 2}]]
    clock.sleep(9)
    assert [one.records for one in window.idle(clock.now())] == [[{"start": 10, "end": 20, "n": 1}]]


def test_a_key_of_the_clock_closes_its_window_while_nothing_comes():
    moments = iter([20, 20, 20, 41])
    clock = lambda _: next(moments) // 20  # noqa: E731
    out = ListOutput()
    source = ListInput(values=[{"n": 1}, {"n": 2}, Idle(), Idle(), {"n": 3}], batch_size=9)
    moments = iter([20, 20, 20, 41, 41])
    run(source, Window(kind="change", key=call(clock) + 0), out)
    assert [[one["n"] for one in made["records"]] for made in out.values] == [[1, 2], [3]]


# ---- whatever happens ---------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {"kind": "tumbling", "time": "t", "size": 4},
    {"kind": "tumbling", "time": "t", "size": 4, "by": "c", "aggregate": {"s": "sum(v)"}},
    {"kind": "hopping", "time": "t", "size": 6, "every": 2, "aggregate": {"s": "mean(v)"}},
    {"kind": "sliding", "time": "t", "size": 5, "by": "c", "aggregate": {"v": "list(v)"}},
    {"kind": "session", "time": "t", "gap": 3, "by": "c"},
    {"kind": "count", "size": 3, "by": "c"},
    {"kind": "change", "key": "t // 5", "aggregate": {"v": "last(v)"}},
]
records = st.lists(
    st.fixed_dictionaries(
        {
            "t": st.integers(0, 30),
            "c": st.sampled_from("xy"),
            "v": st.none() | st.integers(-3, 3) | st.floats(-1, 1),
        }
    ),
    max_size=25,
)


def opened(options: dict[str, Any], cls: type[Window] = Window, state: Any = None) -> Window:
    stage = cls(**options)
    stage.open(Context("window"))
    if state is not None:
        stage.restore(json.loads(json.dumps(state)))
    return stage


def through(
    options: dict[str, Any], values: list[Any], size: int, restarted: type[Window] | None = None
) -> tuple[list[Any], int]:
    """What comes out and how many records failed. `restarted`: after every batch the stage is given
    up, and one of this class goes on from its snapshot."""
    stage = opened(options)
    batches = []
    for start in range(0, len(values), size):
        part = values[start : start + size]
        batches += stage.process(Batch(part, "in", range(start + 1, start + len(part) + 1)))
        if restarted is not None:
            stage = opened(options, restarted, stage.snapshot())
    batches += stage.finish()
    assert sum(batch.consumed for batch in batches) == len(values)
    made = [record for batch in batches for record in batch.records]
    return made, sum(len(batch.failures) for batch in batches)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options["kind"])
@given(records, st.integers(1, 6), st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_windows_do_not_depend_on_batches_and_survive_a_restart_anywhere(
    options, values, size, lateness
):
    options = {**options, "lateness": lateness} if "time" in options else options
    whole = through(options, values, 1000)
    assert through(options, values, size) == whole
    assert through(options, values, size, restarted=Window) == whole


class _Forgets(Window):
    """What is tempting: a snapshot of the open windows alone."""

    def restore(self, state: Any) -> None:
        super().restore(state)
        self._marks, self._watermark = {}, float("-inf")


def test_a_snapshot_without_the_watermark_would_open_closed_windows_again():
    options = {"kind": "tumbling", "time": "t", "size": 4}
    values = [{"t": t} for t in (0, 9, 1, 9)]
    assert through(options, values, 2, restarted=Window) == through(options, values, 2)
    assert through(options, values, 2, restarted=_Forgets) != through(options, values, 2)


# ---- what is wrong with options and records -----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "tumbling"}, "Window: a tumbling window needs time and size"),
        ({"kind": "session", "time": "t"}, "Window: a session window needs gap"),
        ({"kind": "count", "size": 2, "time": "t"}, "Window: a count window takes no time"),
        ({"kind": "count", "size": 1.5}, "Window: size is a number of records, got 1.5"),
        ({"kind": "count", "size": 0}, "Window.size: must be greater than 0, got 0"),
        (
            {"kind": "count", "size": 2, "give": "late"},
            "Window: nothing is late for a count window",
        ),
        (
            {"kind": "tumbling", "time": "t", "size": 1, "aggregate": {"end": "count()"}},
            "Window: 'end' would be the name of two fields",
        ),
        (
            {"kind": "tumbling", "time": "t", "size": 1, "by": "start"},
            "Window: 'start' would be the name of two fields",
        ),
        (
            {"kind": "count", "size": 2, "aggregate": {"x": "summ(v)"}},
            "Window.aggregate: x: no such aggregate, got 'summ(v)'; did you mean 'sum'?",
        ),
        (
            {"kind": "count", "size": 2, "aggregate": {"x": "sum()"}},
            "Window.aggregate: x needs a field, got 'sum()'; write it as 'sum(amount)'",
        ),
        (
            {"kind": "count", "size": 2, "aggregate": {"x": "v"}},
            "Window.aggregate: x must be an aggregate such as 'sum(amount)', got 'v'",
        ),
        (
            {"kind": "change", "key": 5},
            "Window.key: must be a field, an expression or a function, got 5",
        ),
    ],
)
def test_an_option_that_is_wrong_is_a_sentence(options, message):
    with pytest.raises(ConfigError) as caught:
        Window(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "time: the record has no field 't'"),
        ({"time": 1}, "time: the record has no field 't'"),
        ({"t": "5", "c": 1, "v": 1}, "time: '5' is no number and no datetime; cast it first"),
        ({"t": True, "c": 1, "v": 1}, "time: True is no number and no datetime; cast it first"),
        ({"t": float("nan"), "c": 1, "v": 1}, "time: is nan"),
        ({"t": 1, "c": [], "v": 1}, "c: [] cannot be grouped by"),
        ({"t": 1, "c": 1, "v": "x"}, "sum: cannot use 'x'"),
        ([], "time: a list has no fields"),
    ],
)
def test_a_record_that_fits_no_window_is_set_aside_and_says_why(record, message):
    out = ListOutput()
    good = {"t": 1, "c": 1, "v": 2}
    report = run(
        ListInput(values=[good, record, good]),
        Window(kind="tumbling", time="t", size=5, by="c", aggregate={"sum": "sum(v)"}),
        out,
    )
    assert out.values == [{"c": 1, "start": 0, "end": 5, "sum": 4}]
    [group] = report.failures
    assert group.message.startswith(message)


def test_the_run_stops_rather_than_hold_too_many_windows():
    with pytest.raises(RunError) as caught:
        windows(RECORDS, kind="tumbling", time="t", size=1, lateness=99, max_windows=5)
    assert str(caught.value) == (
        "window: more than 5 windows are open; raise max_windows, or use fewer keys, less lateness "
        "or idle_after"
    )
