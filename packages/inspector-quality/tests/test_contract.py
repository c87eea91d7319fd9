import json

import pytest

from penstock import ConfigError, ConnectError
from penstock_quality import Contract

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": "string", "format": "email"},
        "address": {"$ref": "#/$defs/address"},
        "items": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
    "$defs": {"address": {"type": "object", "properties": {"zip": {"minLength": 5}}}},
}


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({}, "'id' is a required property"),
        ({"id": "7"}, "id: '7' is not of type 'integer'"),
        ({"id": 7, "address": {"zip": "12"}}, "address.zip: '12' is too short"),
        ({"id": 7, "items": [{"sku": 1}, {}]}, "items.1: 'sku' is a required property"),
        ({"id": 7, "email": "ann"}, "email: 'ann' is not a 'email'"),
        ("text", "'text' is not of type 'object'"),
    ],
)
def test_objects_with_the_place_and_what_is_wrong_there(inspect, record, sentence):
    good = {"id": 1, "email": "ann@example.org", "address": {"zip": "12345"}, "items": []}
    inspected = inspect(Contract(schema=ORDER), [good, record])
    assert inspected.failed == [(2, sentence)]
    assert inspected.passed == [(1, good)]


def test_formats_may_be_left_unchecked(inspect):
    assert inspect(Contract(schema=ORDER, formats=False), [{"id": 1, "email": "x"}]).failed == []


def test_long_messages_are_cut(inspect):
    inspected = inspect(Contract(schema={"type": "string"}), [{"x": "y" * 1000}])
    (sentence,) = inspected.sentences
    assert sentence.startswith("{'x': 'yyy")
    assert sentence.endswith("yyy'} is not of type 'string'")
    assert len(sentence) < 210


def test_the_draft_is_the_one_that_the_schema_names(inspect):
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": True}
    schema = {**draft4, "minimum": 5}
    assert inspect(Contract(schema=schema), [5, 6]).failed == [
        (1, "5 is less than or equal to the minimum of 5")
    ]


def test_the_schema_may_be_in_a_file(inspect, tmp_path):
    path = tmp_path / "order.json"
    path.write_text(json.dumps(ORDER))
    assert inspect(Contract(schema=path), [{"id": 1}, {}]).failed == [
        (2, "'id' is a required property")
    ]


def test_flag_lets_records_pass(inspect):
    inspected = inspect(Contract(schema=ORDER, action="flag"), [{"id": 1}, {}])
    assert len(inspected.passed) == 2
    assert inspected.observed["flagged"] == 1


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (
            {"type": "objct"},
            "Contract: the schema is wrong: type: 'objct' is not valid under any of the",
        ),
        ({"properties": {"a": 5}}, "Contract: the schema is wrong: properties.a: 5 is not of type"),
        (
            {"$schema": "https://example.org/own"},
            "Contract: the schema's $schema is no known draft, got 'https://example.org/own'",
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/b"}}},
            "Contract: the schema refers to '#/$defs/b', which is not in it; "
            "put it under $defs, as nothing is fetched",
        ),
        (
            {"items": {"$ref": "https://example.org/schema.json"}},
            "Contract: the schema refers to 'https://example.org/schema.json', which is not in it; "
            "put it under $defs, as nothing is fetched",
        ),
    ],
)
def test_a_wrong_schema_is_found_before_any_record(refused, schema, sentence):
    assert refused(Contract, {"schema": schema}).startswith(sentence)


def test_references_may_go_by_the_ids_of_the_schema(inspect):
    schema = {
        "$id": "https://example.org/order",
        "properties": {"a": {"$ref": "short"}, "b": {"$ref": "#name"}},
        "$defs": {
            "short": {"$id": "short", "maxLength": 2},
            "name": {"$anchor": "name", "type": "string"},
        },
    }
    assert inspect(Contract(schema=schema), [{"a": "abc"}, {"b": 1}]).sentences == [
        "a: 'abc' is too long",
        "b: 1 is not of type 'string'",
    ]


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (None, ConnectError, "{path}: cannot read the schema: No such file or directory"),
        (b"{", ConfigError, "{path}:1:2: the schema is not JSON: Expecting property name"),
        (b"\xff", ConfigError, "{path}: the schema is not UTF-8"),
        (b"[]", ConfigError, "{path}: the schema must be a mapping, got list"),
        (b'{"type": 5}', ConfigError, "{path}: the schema is wrong: type: 5 is not valid"),
    ],
)
def test_a_wrong_schema_file_is_explained(inspecting, tmp_path, content, error, sentence):
    path = tmp_path / "schema.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error) as caught:
        inspecting(Contract(schema=path))
    assert str(caught.value).startswith(sentence.format(path=path))
