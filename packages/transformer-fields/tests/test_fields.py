"""What each option does to a record, and the sentences about records and options that are wrong."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from decimal import Decimal

import pytest

from penstock import Batch, ConfigError, Context, RecordError, Rows
from penstock_fields import Cast, Fields, Substitution

DONE = [
    ({"rename": {"a": "x"}}, {"a": 1, "b": 2}, {"x": 1, "b": 2}),
    ({"rename": {"a": "b", "b": "a"}}, {"a": 1, "b": 2}, {"b": 1, "a": 2}),
    ({"rename": {"a b": "x.y"}}, {"a b": 1}, {"x.y": 1}),
    ({"default": {"a": 0, "b": [1]}}, {"a": None}, {"a": 0, "b": [1]}),
    ({"default": {"a": 0}}, {"a": ""}, {"a": ""}),
    ({"default": {"a": 0}, "nulls": ["", "-"]}, {"a": "-"}, {"a": 0}),
    (
        {"substitute": {"a": {"pattern": r"\D", "replacement": ""}}},
        {"a": "1-2", "b": "-"},
        {"a": "12", "b": "-"},
    ),
    (
        {"substitute": {"a": [{"pattern": r"\."}, {"pattern": "(,)", "replacement": r".\1"}]}},
        {"a": "1.234,5"},
        {"a": "1234.,5"},
    ),
    ({"substitute": {"a": {"pattern": "x"}}}, {"a": None}, {"a": None}),
    (
        {"cast": {"a": "int", "b": "float", "c": "decimal", "d": "bool"}},
        {"a": "1", "b": "2.5", "c": "1.10", "d": "yes"},
        {"a": 1, "b": 2.5, "c": Decimal("1.10"), "d": True},
    ),
    (
        {"cast": {"a": {"use": "date", "format": "%d.%m.%Y"}, "b": "json", "c": "text"}},
        {"a": "31.01.2024", "b": "[1]", "c": 5},
        {"a": date(2024, 1, 31), "b": [1], "c": "5"},
    ),
    ({"cast": {"a": "int", "b": "float"}}, {"a": None, "b": None}, {"a": None, "b": None}),
    ({"cast": {"a": "int"}, "nulls": ["", "NA"]}, {"a": "NA"}, {"a": None}),
    ({"cast": {"a": "float"}, "nulls": ["", "NA"]}, {"a": "1"}, {"a": 1.0}),
    ({"rename": {"a": "b"}, "cast": {"b": "int"}}, {"a": "1"}, {"b": 1}),
    ({"constants": {"a": {"k": [1]}, "b": 1.5}}, {"a": 0}, {"a": {"k": [1]}, "b": 1.5}),
    ({"set": {"b": "a + 1", "c": "b * 2", "a": "c"}}, {"a": 1}, {"a": 4, "b": 2, "c": 4}),
    ({"set": {"b": 'field("a b") + 1'}}, {"a b": 1}, {"a b": 1, "b": 2}),
    ({"where": "a > 1"}, {"a": 1}, None),
    ({"where": "a > 1"}, {"a": 2}, {"a": 2}),
    ({"where": "b > 1", "set": {"b": "a * 2"}}, {"a": 1}, {"a": 1, "b": 2}),
    ({"where": "a > 5", "cast": {"a": "int", "b": "int"}}, {"a": "1", "b": "bad"}, None),
    ({"where": "not has('b')", "rename": {"b": "c"}, "missing": "ignore"}, {"b": 1}, {"c": 1}),
    ({"nest": {"p": ["b", "a"]}}, {"a": 1, "b": 2, "c": 3}, {"c": 3, "p": {"b": 2, "a": 1}}),
    ({"nest": {"a": {"x": "a"}}}, {"a": 1, "c": 3}, {"c": 3, "a": {"x": 1}}),
    (
        {"unnest": ["p"]},
        {"a": 0, "p": {"x": 1, "y": 2}, "b": 3},
        {"a": 0, "p.x": 1, "p.y": 2, "b": 3},
    ),
    (
        {"unnest": ["p", "p_q"], "separator": "_", "rename": {"p_q_r": "r"}},
        {"p": {"q": {"r": 1}}},
        {"r": 1},
    ),
    ({"unnest": ["p"]}, {"p": None, "a": 1}, {"a": 1}),
    ({"unnest": ["p"], "missing": "ignore"}, {"a": 1}, {"a": 1}),
    ({"select": ["c", "a"]}, {"a": 1, "b": 2, "c": 3}, {"c": 3, "a": 1}),
    ({"drop": ["a"]}, {"a": 1, "b": 2}, {"b": 2}),
    (
        {"missing": "ignore", "rename": {"x": "y"}, "cast": {"x": "int"}, "drop": ["x"]},
        {"a": 1},
        {"a": 1},
    ),
    (
        {"missing": "ignore", "select": ["x", "a"], "substitute": {"x": {"pattern": "y"}}},
        {"a": 1},
        {"a": 1},
    ),
    ({"missing": "ignore", "nest": {"p": ["a", "x"]}}, {"a": 1}, {"p": {"a": 1}}),
    ({"missing": "ignore", "set": {"b": "coalesce(x, a)"}}, {"a": 1}, {"a": 1, "b": 1}),
    ({"set": {"b": "x if has('x') else 0"}}, {"a": 1}, {"a": 1, "b": 0}),
    (
        {"missing": "ignore", "set": {"b": "get(x, 'k') is None and has('x') is None"}},
        {},
        {"b": False},
    ),
    (
        {"constants": {"k": "ab"}, "set": {"b": "k[0] if k is not None else 0"}},
        {},
        {"k": "ab", "b": "a"},
    ),
    ({}, {"a": 1}, {"a": 1}),
]


def both_ways(fields, record):
    """The batches for a record that comes as a row, and for one that comes as a dict."""
    if all(type(name) is str for name in record):
        row = Rows(tuple(record), [list(record.values())])
        yield from fields.process(Batch(row))
    yield from fields.process(Batch([record]))


@pytest.mark.parametrize(
    ("options", "record", "wanted"), DONE, ids=[str(o)[:60] for o, _, _ in DONE]
)
def test_an_option_does_what_the_page_says(options, record, wanted):
    before = copy.deepcopy(record)
    for batch in both_ways(Fields(**options), record):
        assert not batch.failures
        got = batch.records[0] if batch.records else None
        assert got == wanted
        assert got is None or list(got) == list(wanted), "fields are in this order"
        assert (batch.consumed, batch.dropped) == (1, 0 if wanted else 1)
    assert record == before


FAILED = [
    ({"rename": {"a": "x"}}, {"b": 1}, "rename.a: the record has no field 'a'; there are b"),
    ({"rename": {"a": "b"}}, {"a": 1, "b": 2}, "rename.a: the record already has a field 'b'"),
    ({"rename": {"b": "a"}}, {"a": 1, "b": 2}, "rename.b: the record already has a field 'a'"),
    (
        {"cast": {"qty": "int"}},
        {"Qty": 1},
        "cast.qty: the record has no field 'qty'; did you mean 'Qty'?",
    ),
    ({"cast": {"a": "int"}}, {"a": "12.5"}, "a: cannot read '12.5' as int"),
    ({"cast": {"a": "int"}}, {"a": "1_000"}, "a: cannot read '1_000' as int"),
    ({"cast": {"a": "int"}}, {"a": 12.5}, "a: cannot read 12.5 as int"),
    ({"cast": {"a": "float"}}, {"a": "nan"}, "a: cannot read 'nan' as float"),
    ({"cast": {"a": "float"}}, {"a": float("inf")}, "a: cannot read inf as float"),
    ({"cast": {"a": "float"}}, {"a": "-inf"}, "a: cannot read '-inf' as float"),
    ({"cast": {"a": "float"}}, {"a": "1_0"}, "a: cannot read '1_0' as float"),
    ({"cast": {"a": "float"}, "nulls": ["x"]}, {"a": "nan"}, "a: cannot read 'nan' as float"),
    (
        {"cast": {"a": "int"}},
        {"a": ""},
        "a: cannot read '' as int; list '' in nulls to take it as nothing",
    ),
    (
        {"cast": {"a": {"use": "date", "format": "%d.%m.%Y"}}},
        {"a": "2024"},
        "a: cannot read '2024' as date in the format '%d.%m.%Y'",
    ),
    (
        {"substitute": {"a": {"pattern": "x"}}},
        {"a": 5},
        "a: must be text for a pattern, got 5",
    ),
    (
        {"substitute": {"a": {"pattern": "x"}}},
        {"b": 5},
        "substitute.a: the record has no field 'a'; there are b",
    ),
    (
        {"set": {"b": "a + x"}},
        {"a": 1},
        "set.b: the record has no field 'x'; there are a",
    ),
    (
        {"set": {"b": "a + 1"}},
        {"a": "1"},
        "set.b: can only concatenate str (not \"int\") to str, with a='1'; "
        "is 'a' meant to be a number?",
    ),
    (
        {"constants": {"k": 5}, "set": {"b": "k['x']"}},
        {},
        "set.b: 'int' object is not subscriptable, with k=5",
    ),
    (
        {"set": {"b": "x['y']"}, "missing": "ignore"},
        {},
        "set.b: 'NoneType' object is not subscriptable",
    ),
    ({"set": {"b": "has('a')[0]"}}, {"a": 1}, "set.b: 'bool' object is not subscriptable"),
    ({"where": "a / 0"}, {"a": 1}, "where: division by zero, with a=1"),
    (
        {"where": "a > 5", "cast": {"a": "int", "b": "int"}},
        {"a": "6", "b": "bad"},
        "b: cannot read 'bad' as int",
    ),
    (
        {"nest": {"b": ["a"]}},
        {"a": 1, "b": 2},
        "nest.b: the record already has a field 'b'",
    ),
    ({"nest": {"b": ["a"]}}, {"c": 1}, "nest.b: the record has no field 'a'; there are c"),
    ({"select": ["a"]}, {"c": 1}, "select: the record has no field 'a'; there are c"),
    ({"drop": ["a"]}, {"c": 1}, "drop: the record has no field 'a'; there are c"),
    ({"unnest": ["a"]}, {"c": 1}, "unnest: the record has no field 'a'; there are c"),
    ({"unnest": ["a"]}, {"a": 1}, "unnest.a: must be a mapping, got 1"),
    (
        {"unnest": ["a"]},
        {"a.b": 1, "a": {"b": 2}},
        "unnest.a: the record already has a field 'a.b'",
    ),
]


@pytest.mark.parametrize(
    ("options", "record", "sentence"), FAILED, ids=[s[:60] for _, _, s in FAILED]
)
def test_a_record_that_fails_is_set_aside_with_a_sentence(options, record, sentence):
    before = copy.deepcopy(record)
    for batch in both_ways(Fields(**options), record):
        assert not batch.records
        [failure] = batch.failures
        assert str(failure.error) == sentence
        assert isinstance(failure.error, RecordError)
        assert failure.record == before, "as it came in"
        assert failure.ordinal == 1


@pytest.mark.parametrize("record", [5, None, "text", ["a"], object])
@pytest.mark.parametrize("options", [{"cast": {"a": "int"}}, {"unnest": ["a"]}])
def test_a_record_that_is_no_mapping_fails(options, record):
    [batch] = Fields(**options).process(Batch([{"a": {}}, record]))
    assert str(batch.failures[-1].error) == f"the record must be a mapping, got {record!r}"
    assert batch.failures[-1].ordinal == 2


WRONG = [
    ({"where": "a.b"}, "where: a dot after a value cannot be used at column 1; write a['b']"),
    (
        {"set": {"total": "1 + len2(x)"}},
        "set.total: unknown function 'len2' at column 5; did you mean 'len'?",
    ),
    ({"cast": {"a": {"use": "int", "format": "%d"}}}, "cast.a.format: int takes no format"),
    (
        {"cast": {"a": {"use": "date", "format": "d"}}},
        "cast.a.format: cannot be a format, got 'd'; write one such as '%d.%m.%Y'",
    ),
    ({"rename": {"a": "x", "b": "x"}}, "rename.b: 'a' is also renamed to 'x'"),
    (
        {"substitute": {"a": {"pattern": "(a*)*"}}},
        "substitute.a: the pattern '(a*)*' could take forever: it has a repeat inside a repeat",
    ),
    (
        {"substitute": {"a": {"pattern": "a", "replacement": r"\1"}}},
        "substitute.a: invalid group reference 1 at position 1",
    ),
    (
        {"substitute": {"a": {"pattern": "a", "replacement": r"\g<x>"}}},
        "substitute.a: unknown group",
    ),
    ({"select": ["a"], "drop": ["b"]}, "select and drop cannot be used together; give one of them"),
    ({"select": ["a", "a"]}, "select: 'a' stands there twice"),
    ({"drop": ["a", "a"]}, "drop: 'a' stands there twice"),
    ({"unnest": ["a", "a"]}, "unnest: 'a' stands there twice"),
    ({"nest": {"p": ["a", "a"]}}, "nest.p: 'a' stands there twice"),
    ({"nest": {"p": ["a"], "q": ["a"]}}, "nest.q: 'a' is already moved to 'p'"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG, ids=[s[:50] for _, s in WRONG])
def test_wrong_options_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(ConfigError) as caught:
        Fields(**options)
    dot = ": " if sentence.startswith("select and drop") else "."
    assert str(caught.value).startswith(f"Fields{dot}{sentence}")


def test_everything_that_is_wrong_is_said_at_once_each_at_its_place():
    with pytest.raises(ConfigError) as caught:
        Fields(
            rename={"a": "x", "b": "x"},
            set={"good": "a + 1", "total": "len2(x)", "more": "1 +"},
            where="a.b",
            cast={"a": {"use": "int", "format": "%d"}},
        )
    assert {problem.path for problem in caught.value.problems} == {
        "Fields.rename.b",
        "Fields.set.total",
        "Fields.set.more",
        "Fields.where",
        "Fields.cast.a.format",
    }


def test_an_unknown_cast_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        Fields(cast={"a": "integer"})
    assert "Fields.cast.a: must be 'int', 'float', 'decimal'" in str(caught.value)


def test_options_can_be_given_as_objects():
    cast = Cast(use="date", format="%Y")
    fields = Fields(cast={"a": cast}, substitute={"b": Substitution(pattern="x")})
    assert fields.transform({"a": "2024", "b": "axb"}) == {"a": date(2024, 1, 1), "b": "ab"}


def test_it_can_be_compared_printed_and_pickled_also_when_it_is_open():
    fields = Fields(rename={"a": "b"}, where="b > 1")
    fields.open(Context("tidy"))
    assert fields.transform({"a": 2}) == {"b": 2}
    again = pickle.loads(pickle.dumps(fields))
    assert again == fields
    assert again.transform({"a": 1}) is None
    assert fields != Fields(rename={"a": "b"})
    assert repr(fields) == "Fields(rename={'a': 'b'}, where='b > 1')"


def test_transform_raises_what_is_wrong_with_a_record():
    with pytest.raises(RecordError, match=r"^a: cannot read 'x' as int$"):
        Fields(cast={"a": "int"}).transform({"a": "x"})


def test_records_do_not_share_what_options_give_them():
    fields = Fields(constants={"a": [1]}, default={"b": {"c": []}})
    one, two = fields.transform({}), fields.transform({})
    one["a"].append(2)
    one["b"]["c"].append(2)
    assert two == {"a": [1], "b": {"c": []}}
    assert fields.transform({}) == two


def test_every_record_keeps_its_ordinal():
    rows = Rows(("a",), [["1"], ["x"], ["5"], ["0"], ["7"]])
    fields = Fields(cast={"a": "int"}, where="a > 2")
    for records in (rows, list(rows)):
        [batch] = fields.process(Batch(records, "orders", range(11, 16)))
        assert batch.records == [{"a": 5}, {"a": 7}]
        assert list(batch.ordinals) == [13, 15]
        assert [(failure.ordinal, failure.record) for failure in batch.failures] == [
            (12, {"a": "x"})
        ]
        assert (batch.source, batch.consumed, batch.dropped) == ("orders", 5, 2)


def test_ordinals_stay_a_range_when_every_record_goes_on():
    [batch] = Fields(cast={"a": "int"}).process(Batch([{"a": 1}], ordinals=range(5, 6)))
    assert batch.ordinals == range(5, 6)
    [batch] = Fields(cast={"a": "int"}).process(Batch([{"a": "x"}, {"a": 1}]))
    assert list(batch.ordinals) == [2]


def test_an_empty_batch_stays_empty():
    for records in ([], Rows(("a",), [])):
        [batch] = Fields(cast={"a": "int"}).process(Batch(records))
        assert (list(batch.records), batch.consumed) == ([], 0)


def test_unnest_names_the_records_that_fail_in_their_order():
    fields = Fields(unnest=["p"], cast={"p.x": "int"})
    records = [{"p": {"x": "bad"}}, {"p": 5}, {"p": {"x": "1"}}, {"p": {}}]
    [batch] = fields.process(Batch(records))
    assert batch.records == [{"p.x": 1}]
    assert list(batch.ordinals) == [3]
    assert [(failure.ordinal, str(failure.error)) for failure in batch.failures] == [
        (1, "p.x: cannot read 'bad' as int"),
        (2, "unnest.p: must be a mapping, got 5"),
        (4, "cast.p.x: the record has no field 'p.x'; it has no fields"),
    ]
    assert batch.failures[0].record == {"p": {"x": "bad"}}


class Name(str):
    """A name whose repr would be code."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "1/0"


class Key:
    def __repr__(self) -> str:
        return "1/0"


@pytest.mark.parametrize(
    "name", [Name("a"), Key(), 5, None, (1, 2), "'", '"]; 1/0 #', "\\", "\ud800", "{x}"]
)
def test_no_name_of_a_field_becomes_code(name):
    assert Fields(constants={"n": 1}).transform({name: "1", "b": 2}) == {name: "1", "b": 2, "n": 1}
    if isinstance(name, str):
        fields = Fields(
            rename={name: name + "2"}, cast={name + "2": "int"}, nest={"p": [name + "2"]}
        )
        for batch in both_ways(fields, {name: "1"}):
            assert batch.records == [{"p": {name + "2": 1}}]


def test_a_mapping_that_is_no_dict_is_taken_and_a_dict_given():
    from collections import OrderedDict
    from types import MappingProxyType

    for made in (OrderedDict, MappingProxyType):
        for fields in (Fields(set={"b": "a"}), Fields(rename={"a": "b"})):
            record = fields.transform(made({"a": 1}))
            assert record["b"] == 1
            assert type(record) is dict
