"""What joins give, what they leave out, and that they say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from penstock import ConfigError, Input, MemoryStore, RunError, TransactionalOutput, component, run
from penstock.build import pipeline_of
from penstock.testing import Idle, ListInput, ListOutput
from penstock_streams.expressions import field
from penstock_streams.joins import JoinInput, On


def listed(values: list[Any], size: int = 512) -> ListInput:
    return ListInput(values=values, batch_size=size)


def joined(on: Any, shape: str = "nested", size: int = 512, **streams: list[Any]) -> list[Any]:
    out = ListOutput()
    inputs = {name: listed(values, size) for name, values in streams.items()}
    run(JoinInput(inputs=inputs, on=on, shape=shape), out)
    return out.values


def numbers(*values: int) -> list[dict[str, int]]:
    return [{"id": value, "n": n} for n, value in enumerate(values)]


SAME = {"b": On(left="id", right="id")}


def test_rows_have_the_fields_of_both_sides():
    made = joined(
        {"b": On(left="id", right="order")},
        "rows",
        a=[{"id": 1, "city": "x"}, {"id": 2, "city": "y"}],
        b=[{"order": 1, "paid": 5}, {"order": 1, "paid": 6}, {"order": 3, "paid": 7}],
    )
    assert made == [
        {"id": 1, "city": "x", "order": 1, "paid": 5},
        {"id": 1, "city": "x", "order": 1, "paid": 6},
    ]


def test_a_field_of_the_right_side_whose_name_is_taken_gets_the_name_of_its_input():
    made = joined(SAME, "rows", a=[{"id": 1, "n": 1}], b=[{"id": 1, "n": 2, "x": 0}])
    assert made == [{"id": 1, "n": 1, "b_n": 2, "x": 0}]
    made = joined(SAME, "rows", a=[{"id": 1, "n": 1, "b_n": 0}], b=[{"id": 1, "n": 2}])
    assert made == [{"id": 1, "n": 1, "b_n": 0, "b_b_n": 2}]


@pytest.mark.parametrize("size", [1, 3, 512])
@pytest.mark.parametrize("match", ["equal", "asof"])
def test_what_is_joined_may_be_anything_even_what_counts_as_false(match, size):
    """Lists, zeros and None are elements like others, where a function finds their keys."""
    given = [[0], 0, None, [3, 4], "", {}, 6.0, [], *range(8, 20)]
    ids = dict(zip(map(id, given), range(len(given))))
    key = {"b": On(left="id", right=lambda one: ids[id(one)], match=match)}
    made = joined(key, size=size, a=numbers(*range(20)), b=given)
    assert [one["b"] for one in made] == [[one] for one in given]


def test_duplicates_on_both_sides_give_every_combination():
    made = joined(SAME, "rows", a=numbers(1, 1, 2), b=numbers(1, 1, 1))
    assert [(one["n"], one["b_n"]) for one in made] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2),
    ]  # fmt: skip


def test_many_matches_of_many_are_given_in_batches_of_bounded_size():
    out = ListOutput()
    inputs = {"a": listed(numbers(*[1] * 90)), "b": listed(numbers(*[1] * 90))}
    run(JoinInput(inputs=inputs, on=SAME), out)
    assert len(out.values) == 8100
    assert max(len(batch.records) for batch in out.batches) <= 512


def test_few_matches_of_many_are_given_together():
    out = ListOutput()
    inputs = {"a": listed(numbers(*range(8000)), 500), "b": listed(numbers(*range(0, 8000, 50)))}
    run(JoinInput(inputs=inputs, on=SAME, shape="nested"), out)
    assert [one["a"]["id"] for one in out.values] == [*range(0, 8000, 50)]
    assert [len(batch.records) for batch in out.batches] == [40, 40, 40, 40]  # of 4 x 500 each


def test_what_is_given_together_does_not_wait_when_nothing_is_ready():
    out = ListOutput()
    a = [*numbers(1, 2), Idle(), {"id": 3}, {"id": 4}]
    run(JoinInput(inputs={"a": listed(a, 1), "b": listed(numbers(1, 2, 3, 4))}, on=SAME), out)
    assert [len(batch.records) for batch in out.batches] == [2, 2]


def test_a_star_keeps_what_has_a_match_in_every_stream():
    on = {"b": On(left="id", right="id"), "c": On(left=field("id") + 1, right="id")}
    made = joined(on, a=numbers(1, 2, 3), b=numbers(1, 2), c=numbers(2, 4))
    assert made == [{"a": {"id": 1, "n": 0}, "b": [{"id": 1, "n": 0}], "c": [{"id": 2, "n": 0}]}]


def test_a_chain_joins_what_is_joined():
    on = {"b": On(left="id", right="id"), "c": On(left="n", right="id", to="b")}
    made = joined(on, a=numbers(1, 2), b=numbers(1, 1, 2), c=numbers(1))
    assert made == [
        {"a": {"id": 1, "n": 0}, "b": [{"b": {"id": 1, "n": 1}, "c": [{"id": 1, "n": 0}]}]}
    ]
    rows = joined(on, "rows", a=numbers(1, 2), b=numbers(1, 1, 2), c=numbers(1))
    assert rows == [{"id": 1, "n": 0, "b_n": 1, "c_id": 1, "c_n": 0}]


def test_a_left_join_keeps_the_records_without_a_match():
    on = {"b": On(left="id", right="id", kind="left")}
    assert joined(on, "rows", a=[{"id": 1}, {"id": 2}], b=[{"id": 2, "x": 0}]) == [
        {"id": 1},
        {"id": 2, "x": 0},
    ]
    assert joined(on, a=[{"id": 1}], b=[]) == [{"a": {"id": 1}, "b": []}]


def test_an_outer_join_keeps_those_of_both_sides_in_the_order_of_their_keys():
    on = {"b": On(left="id", right="id", kind="outer")}
    made = joined(on, a=[{"id": 2}, {"id": 4}], b=[{"id": 1}, {"id": 2}, {"id": 3}, {"id": 9}])
    assert [(one["a"] and one["a"]["id"], [b["id"] for b in one["b"]]) for one in made] == [
        (None, [1]),
        (2, [2]),
        (None, [3]),
        (4, []),
        (None, [9]),
    ]


def test_an_outer_join_of_three_is_one_of_a_join_and_the_third():
    pair = JoinInput(
        inputs={"a": listed([{"id": 1}, {"id": 3}]), "b": listed([{"id": 1}, {"id": 2}])},
        on={"b": On(left="id", right="id", kind="outer")},
        shape="nested",
    )
    key = "a['id'] if a else b[0]['id']"
    out = ListOutput()
    three = JoinInput(
        inputs={"ab": pair, "c": listed([{"id": 2}, {"id": 4}])},
        on={"c": On(left=key, right="id", kind="outer")},
        shape="nested",
    )
    run(three, out)
    assert out.values == [
        {"ab": {"a": {"id": 1}, "b": [{"id": 1}]}, "c": []},
        {"ab": {"a": None, "b": [{"id": 2}]}, "c": [{"id": 2}]},
        {"ab": {"a": {"id": 3}, "b": []}, "c": []},
        {"ab": None, "c": [{"id": 4}]},
    ]


def test_an_as_of_join_takes_the_last_record_that_is_not_later():
    on = {"b": On(left="t", right="t", match="asof", kind="left", tolerance=5, by="s")}
    made = joined(
        on,
        a=[{"t": 3, "s": "x"}, {"t": 10, "s": "x"}, {"t": 10, "s": "y"}, {"t": 14, "s": "x"}],
        b=[{"t": 1, "s": "x"}, {"t": 3, "s": "x"}, {"t": 4, "s": "y"}, {"t": 9, "s": "x"}],
    )
    assert [[b["t"] for b in one["b"]] for one in made] == [[3], [9], [], [9]]


def test_an_as_of_join_of_times_has_a_tolerance_in_seconds():
    start = datetime(2026, 11, 20)
    on = {"b": On(left="t", right="u", match="asof", tolerance="10s")}
    made = joined(
        on,
        "rows",
        a=[{"t": start + timedelta(seconds=9)}, {"t": start + timedelta(seconds=11)}],
        b=[{"u": start, "x": 1}],
    )
    assert made == [{"t": start + timedelta(seconds=9), "u": start, "x": 1}]


def test_the_by_of_an_as_of_join_may_be_called_differently_on_either_side():
    on = {"b": On(left="t", right="t", match="asof", by=["s", "symbol"])}
    made = joined(
        on, "rows", a=[{"t": 3, "s": 1}], b=[{"t": 1, "symbol": 1}, {"t": 2, "symbol": 2}]
    )
    assert made == [{"t": 3, "s": 1, "b_t": 1, "symbol": 1}]


@pytest.mark.parametrize(
    "keys",
    [
        [Decimal("0.1"), Decimal("0.2")],
        ["a", "b"],
        [datetime(2026, 1, 1), datetime(2026, 1, 2)],
        [(1, "a"), (1, "b")],
        [0.5, 1],
    ],
)
def test_keys_are_whatever_can_be_compared_and_kept(keys):
    records = [{"id": key} for key in keys]
    out = ListOutput()
    store = MemoryStore()
    join = JoinInput(inputs={"a": listed(records, 1), "b": listed(records, 1)}, on=SAME)
    run(join, out, store=store)
    assert out.values == records


def test_one_stream_may_be_joined_with_itself():
    robots = [{"t": t, "x": t * t} for t in range(0, 50, 10)]
    on = {"later": On(left=field("t") + 10, right="t")}
    made = joined(on, "rows", now=robots, later=robots)
    assert [(one["t"], one["later_x"] - one["x"]) for one in made] == [
        (0, 100), (10, 300), (20, 500), (30, 700),
    ]  # fmt: skip


def test_records_that_several_matches_share_are_copied():
    @dataclass
    class Kept:
        id: int

    made = joined(SAME, a=numbers(1, 1), b=[{"id": 1}])
    made[0]["b"][0]["id"] = 99
    assert made[1]["b"] == [{"id": 1}]


# ---- what is left out ---------------------------------------------------------------------------


def test_what_is_skipped_is_counted_in_the_report():
    inputs = {"a": listed(numbers(1, 3, 5, 7), 2), "b": listed(numbers(2, 3, 4, 5, 6, 9), 1)}
    report = run(JoinInput(inputs=inputs, on=SAME), ListOutput())
    assert report.nodes[0].observations == {
        "a": {"read": 4, "unmatched": 2, "set_aside": 0},
        "b": {"read": 6, "unmatched": 3, "set_aside": 0},
    }


@pytest.mark.parametrize("size", [1, 512])
def test_a_key_that_falls_is_a_dead_letter_and_the_rest_is_joined(size):
    out = ListOutput()
    inputs = {"a": listed(numbers(1, 5, 2, 6), size), "b": listed(numbers(1, 2, 5, 6), size)}
    report = run(JoinInput(inputs=inputs, on=SAME), out)
    assert [one["id"] for one in out.values] == [1, 5, 6]
    [group] = report.failures
    assert group.message == "id is 2 and came after 5; keys must not fall"
    assert group.example == "join/a:3"


def test_a_key_that_falls_stops_the_run_when_it_is_told_to():
    inputs = {"a": listed(numbers(1, 5, 2)), "b": listed(numbers(1, 2, 5))}
    with pytest.raises(RunError) as caught:
        run(JoinInput(inputs=inputs, on=SAME, disorder="stop"), ListOutput())
    assert str(caught.value) == (
        "a:3: id is 2 and came after 5; keys must not fall; sort the input, or set such records "
        "aside with disorder: collect"
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"idd": 1}, "a.left: the record has no field 'id'; did you mean 'idd'?"),
        ({"id": None}, "id is None, so it is joined with nothing"),
        ({"id": float("nan")}, "id is nan, so it is joined with nothing"),
        (
            {"id": "x"},
            "id is 'x', which cannot be compared with 1 before it; make them one type",
        ),
        ("text", "a.left: a str has no fields"),
    ],
)
@pytest.mark.parametrize("size", [1, 512])
def test_a_record_without_a_key_is_set_aside_and_says_why(record, message, size):
    out = ListOutput()
    inputs = {"a": listed([{"id": 1}, record, {"id": 2}], size), "b": listed(numbers(1, 2), size)}
    report = run(JoinInput(inputs=inputs, on=SAME), out)
    assert [one["id"] for one in out.values] == [1, 2]
    assert [group.message for group in report.failures] == [message]


def test_an_expression_that_fails_says_so_in_its_own_words():
    inputs = {"a": listed([{"id": "x"}, {"id": "2"}]), "b": listed(numbers(2))}
    out = ListOutput()
    report = run(JoinInput(inputs=inputs, on={"b": On(left="int(id)", right="id")}), out)
    assert [one["b_id"] for one in out.values] == [2]
    assert report.failures[0].message.startswith("a.left: ")
    report = run(JoinInput(inputs=inputs, on={"b": On(left=field("id") // 1, right="id")}), out)
    assert report.failures[0].message.startswith("a.left: TypeError: ")


def test_keys_of_two_types_that_cannot_be_compared_stop_the_run_with_advice():
    with pytest.raises(RunError) as caught:
        joined(SAME, a=numbers(1), b=[{"id": "1"}])
    assert str(caught.value).startswith(
        "b: its keys cannot be compared with those that they are joined to: "
    )
    assert str(caught.value).endswith("; make both of one type, as by int(id)")


def test_rows_are_made_of_mappings_only():
    @dataclass
    class Order:
        id: int

    with pytest.raises(RunError, match=r"rows are made of mappings: .*; join them with shape"):
        joined({"b": On(left=lambda one: one.id, right="id")}, "rows", a=[Order(1)], b=numbers(1))


# ---- as an input --------------------------------------------------------------------------------


def test_an_idle_moment_of_any_part_ends_nothing():
    a = [{"id": 1}, Idle(), {"id": 2}, Idle(), Idle(), {"id": 3}]
    b = [Idle(), {"id": 1}, Idle(), {"id": 1}, Idle(), {"id": 3}, Idle()]
    made = joined(SAME, a=a, b=b)
    assert [(one["a"]["id"], len(one["b"])) for one in made] == [(1, 2), (3, 1)]


def test_a_long_search_shows_that_it_is_alive():
    inputs = {"a": listed(numbers(900)), "b": listed(numbers(*range(901)), 1)}
    out = ListOutput()
    join = JoinInput(inputs=inputs, on=SAME)
    report = run(join, out)
    assert len(out.values) == 1
    assert report.nodes[0].observations["b"]["unmatched"] == 900


def test_its_parts_are_told_what_is_committed_and_closed():
    a, b = listed(numbers(1, 2, 3), 1), listed(numbers(1, 2, 3), 1)
    run(JoinInput(inputs={"a": a, "b": b}, on=SAME), ListOutput())
    assert a.commits[-1] == {"a": 3}
    assert b.commits[-1] in ({"b": 2}, {"b": 3})
    assert (a.closed, b.closed) == (1, 1)


@component
class _Log(ListInput):
    finite = False


def test_it_is_a_log_when_one_of_its_parts_is():
    assert JoinInput(inputs={"a": listed([]), "b": listed([])}, on=SAME).finite
    assert not JoinInput(inputs={"a": listed([]), "b": _Log()}, on=SAME).finite


def test_a_join_of_logs_goes_on_in_the_next_run():
    store, out = MemoryStore(), ListOutput()
    first = {"a": numbers(1, 2), "b": numbers(1, 1)}
    more = {"a": numbers(1, 2, 3, 4), "b": numbers(1, 1, 3, 4)}
    made = []
    for streams in (first, more):
        inputs: dict[str, Input] = {name: _Log(values=all_) for name, all_ in streams.items()}
        run(JoinInput(inputs=inputs, on=SAME, shape="nested"), out, store=store)
        made.append([one["a"]["id"] for one in out.values])
    assert made == [[1], [3, 4]]


class _Dies(TransactionalOutput):
    """Keeps what is committed, and dies when it has been given so many records."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.values: list[Any] = []
        self.kept: Any = None

    def checkpoint(self, pipeline: str) -> Any:
        self.pending: list[Any] = []
        return self.kept

    def write(self, batch: Any) -> None:
        self.after -= len(batch.records)
        if -len(batch.records) <= self.after < 0:
            raise ValueError("it died")
        self.pending += batch.records

    def commit(self, checkpoint: Any) -> None:
        self.values += self.pending
        self.pending, self.kept = [], checkpoint


@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize("kind", ["inner", "left", "outer"])
def test_a_run_that_dies_at_any_record_is_resumed_exactly(engine, kind, monkeypatch):
    monkeypatch.setattr("penstock_streams.joins.BATCH_SIZE", 1)
    a, b = numbers(1, 1, 2, 4, 4, 5, 3, 7), numbers(0, 1, 2, 2, 4, 6, 7, 7)

    def pipeline(out: Any) -> Any:
        inputs = {"a": listed(a, 3), "b": listed(b, 2)}
        on = {"b": On(left="id", right="id", kind=kind)}
        made = pipeline_of([[JoinInput(inputs=inputs, on=on, shape="nested"), out]], engine=engine)
        made.spec.epoch = {"records": 2}
        return made

    whole = ListOutput()
    letters = pipeline(whole).run().letters
    for after in range(len(whole.values)):
        store, out = MemoryStore(), _Dies(after)
        with pytest.raises(RunError, match="it died"):
            pipeline(out).run(store=store)
        report = pipeline(out).run(store=store)
        assert out.values == whole.values
        assert report.letters == letters


def test_the_parts_that_cannot_be_read_again_are_refused():
    @component
    class Once(ListInput):
        capability = "ephemeral"

    with pytest.raises(ConfigError) as caught:
        JoinInput(inputs={"a": Once(), "b": listed([])}, on=SAME)
    assert str(caught.value) == (
        "JoinInput: inputs.a is ephemeral: a join resumes by reading again"
    )


@pytest.mark.parametrize(
    ("on", "names", "message"),
    [
        ({}, "ab", "JoinInput: on must name every input but one, the left one of all, not a and b"),
        (
            {"a": On(left="x", right="x"), "b": On(left="x", right="x")},
            "ab",
            "JoinInput: on must name every input but one, the left one of all, not none",
        ),
        (
            {"b": On(left="x", right="x"), "z": On(left="x", right="x")},
            "ab",
            "JoinInput: on.z: no such input; there are a, b",
        ),
        (
            {"b": On(left="x", right="x", to="q")},
            "ab",
            "JoinInput: on.b.to: no such input, got 'q'",
        ),
        (
            {"b": On(left="x", right="x", to="c"), "c": On(left="x", right="x", to="b")},
            "abc",
            "JoinInput: on.b: goes round in a circle: b -> c",
        ),
        (
            {"b": On(left="x", right="x", kind="outer"), "c": On(left="x", right="x")},
            "abc",
            "JoinInput: on.b: an outer join is one of two inputs; make it a join of its own, and "
            "that an input of this one",
        ),
        (
            {"b": On(left="x", right="x", kind="outer")},
            "ab",
            "JoinInput: on.b: an outer join needs shape: nested, as rows would not say which side "
            "they are of",
        ),
        ({}, "a", "JoinInput.inputs: takes two inputs or more, not 1"),
    ],
)
def test_a_tree_that_is_none_is_refused(on, names, message):
    with pytest.raises(ConfigError) as caught:
        JoinInput(inputs={name: listed([]) for name in names}, on=on)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 5}, "On: tolerance and by are of match: asof"),
        ({"match": "asof", "kind": "outer"}, "On: a match as of a key is inner or left"),
        ({"match": "asof", "by": ["a", "b", "c"]}, "On: by is one key, or a list of two"),
    ],
)
def test_a_condition_that_contradicts_itself_is_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        On(left="x", right="x", **options)
    assert str(caught.value) == message
