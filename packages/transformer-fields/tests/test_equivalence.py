"""The generated functions do what an interpreter does that was written to be obvious.

The interpreter is slow, evaluates everything in the order of the documentation, and shares no code
with the package but the readers of values.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Batch, Rows
from penstock_expressions import reader
from penstock_fields import Fields, machine

NAMES = ["a", "b", "c", "d e", "x"]


def times(left, right):
    if isinstance(left, (str, list)) or isinstance(right, (str, list)):
        raise TypeError
    return left * right


EXPRESSIONS = {  # each with the same thing said in Python
    "a": lambda f: f["a"],
    "a + b": lambda f: f["a"] + f["b"],
    "a * b": lambda f: times(f["a"], f["b"]),
    "a * 2": lambda f: times(f["a"], 2),
    "c > 1": lambda f: f["c"] > 1,
    'field("d e") == a': lambda f: f["d e"] == f["a"],
    "has('x')": lambda f: "x" in f,
    "x if has('x') else 7": lambda f: f.get("x", 7),
    "coalesce(b, a)": lambda f: next((v for v in [f["b"], f["a"]] if v is not None), None),
    "a and b or c": lambda f: (f["a"] and f["b"]) or f["c"],
    "1": lambda f: 1,
    "a != c": lambda f: f["a"] != f["c"],
    "text(a)[:1]": lambda f: reader("text")(f["a"])[:1],
}


class Failed(Exception):
    pass


UNREADABLE = object()
"""The value of a field that failed: what needs it fails too, and what does not goes on."""


class View(dict):
    """Fields as an expression sees them."""

    lenient = False

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if value is UNREADABLE:
            raise Failed
        return value

    def __missing__(self, name):
        if self.lenient:
            return
        raise Failed


def evaluate(text, fields):
    """A field that is named has to be readable, even if its value is not looked at in the end."""
    for name in NAMES:
        if re.search(rf"\b{name}\b", text.replace("has('x')", "")) and name in fields:
            fields[name]
    return EXPRESSIONS[text](fields)


NONE = {
    **{option: {} for option in ("rename", "default", "substitute", "cast", "constants")},
    "set": {},
    "nest": {},
    "where": None,
    "select": [],
    "drop": [],
    "nulls": [],
    "missing": "fail",
}


def interpret(plan, record):
    """The result of a record, None if it is dropped, or Failed."""
    plan = {**NONE, **plan}
    failed = []

    def lacks(name):
        if name not in fields and plan["missing"] == "fail":
            failed.append(name)
        return name not in fields

    def attempt(name, function, *arguments):
        try:
            fields[name] = function(*arguments)
        except Exception:
            failed.append(name)
            fields[name] = UNREADABLE

    fields = record
    for name in plan["rename"]:
        lacks(name)
    fields = View()
    fields.lenient = plan["missing"] == "ignore"
    for name, value in record.items():
        if plan["rename"].get(name, name) in fields:
            failed.append(name)
        fields[plan["rename"].get(name, name)] = value
    for name, value in plan["default"].items():
        if fields.get(name) in [None, *plan["nulls"]]:
            fields[name] = value
    for name, rule in plan["substitute"].items():
        if not lacks(name) and fields.get(name) is not None:
            attempt(name, re.sub, rule["pattern"], rule["replacement"], fields.get(name))
    for name, kind in plan["cast"].items():
        if not lacks(name) and fields.get(name) in plan["nulls"]:
            fields[name] = None
        elif name in fields:
            attempt(name, reader(kind), fields.get(name))
    fields.update(plan["constants"])
    for name, text in plan["set"].items():
        attempt(name, evaluate, text, fields)
    if plan["where"] is not None:
        attempt("where?", evaluate, plan["where"], fields)
        if not fields.pop("where?"):
            return None
    for name, members in plan["nest"].items():
        made = {member: fields.get(member) for member in members if not lacks(member)}
        for member in made:
            del fields[member]
        if name in fields:
            failed.append(name)
        fields[name] = made
    if plan["select"]:
        kept = {name: fields.get(name) for name in plan["select"] if not lacks(name)}
        fields = View(kept)
    for name in plan["drop"]:
        if not lacks(name):
            del fields[name]
    if failed:
        raise Failed
    return dict(fields)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.5, 1.0, -2.25, float("nan")]),
    st.sampled_from(["", "1", "2.5", " 3 ", "1_0", "nan", "x", "-", "yes", "inf"]),
    st.just([1]),
)
SOME = st.sampled_from(NAMES)


def unique(values):
    return len(set(map(str, values.values()))) == len(values)


@st.composite
def plans(draw):
    plan = {
        "rename": draw(st.dictionaries(SOME, SOME, max_size=2).filter(unique)),
        "default": draw(st.dictionaries(SOME, st.sampled_from([0, "1", 2.5, [3]]), max_size=2)),
        "substitute": draw(
            st.dictionaries(SOME, st.just({"pattern": "[x-]", "replacement": "1"}), max_size=1)
        ),
        "cast": draw(
            st.dictionaries(
                SOME, st.sampled_from(["int", "float", "bool", "text", "decimal"]), max_size=3
            )
        ),
        "constants": draw(st.dictionaries(SOME, st.sampled_from([1, "k", None, 0.5]), max_size=1)),
        "set": draw(st.dictionaries(SOME, st.sampled_from(list(EXPRESSIONS)), max_size=3)),
        "where": draw(st.none() | st.sampled_from(list(EXPRESSIONS))),
        "nest": draw(st.dictionaries(SOME, st.lists(SOME, unique=True, max_size=2), max_size=1)),
        "missing": draw(st.sampled_from(["fail", "ignore"])),
        "nulls": draw(st.sampled_from([[], [""], ["", "-"]])),
    }
    plan[draw(st.sampled_from(["select", "drop"]))] = draw(st.lists(SOME, unique=True, max_size=2))
    return plan


def expected(plan, records):
    found = []
    for record in records:
        try:
            found.append(interpret(plan, record))
        except Failed:
            found.append("failed")
    return found


def results(plan, records):
    """What became of each record of a batch: its result, None, or "failed"."""
    [batch] = Fields(**plan).process(Batch(records))
    found = dict.fromkeys(range(1, len(records) + 1))
    found.update(zip(batch.ordinals, batch.records, strict=True))
    found.update((failure.ordinal, "failed") for failure in batch.failures)
    assert batch.consumed == len(batch.records) + len(batch.failures) + batch.dropped
    for failure in batch.failures:
        assert failure.record == records[failure.ordinal - 1]
        assert str(failure.error)
    return list(found.values())


def same(got, wanted):
    """Equal, of the same types, with the fields in the same order, and NaN where NaN is."""
    return repr(got) == repr(wanted)


@given(plans(), st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=6))
def test_rows_become_what_the_interpreter_makes_of_them(plan, rows):
    table = Rows(("a", "b", "c", "d e"), rows)
    assert same(results(plan, table), expected(plan, table))


@given(plans(), st.lists(st.dictionaries(SOME, VALUES), min_size=1, max_size=8))
def test_mappings_become_what_the_interpreter_makes_of_them(plan, records):
    assert same(results(plan, records), expected(plan, records))


@given(plans(), st.lists(st.dictionaries(SOME | st.sampled_from("pqrst"), VALUES), max_size=8))
def test_records_of_ever_new_fields_are_treated_alike(plan, records):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "MOST_SHAPES", 0)
        patch.setattr(machine, "MOST_COMPILED", 2)
        assert same(results(plan, records), expected(plan, records))


@given(plans(), st.lists(st.dictionaries(SOME, VALUES), min_size=1, max_size=8))
def test_nothing_is_dropped_without_a_condition(plan, records):
    assert None not in results({**plan, "where": None}, records)
