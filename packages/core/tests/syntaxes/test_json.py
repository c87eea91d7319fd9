import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import Place
from penstock.syntaxes.json import JsonSyntax

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), values, min_size=1), st.sampled_from([None, 0, 3]), st.booleans())
def test_reads_what_the_standard_library_writes(data, indent, ascii_only):
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    assert JsonSyntax().parse(text, "p").data == data


def test_places_are_those_of_keys_and_items():
    document = JsonSyntax().parse('\n{"a": [1,\n  {"é😀": 2, "b": 3}]}', "p")
    assert document.places == {
        (): Place("p", 2, 1),
        ("a",): Place("p", 2, 2),
        ("a", 0): Place("p", 2, 8),
        ("a", 1): Place("p", 3, 3),
        ("a", 1, "é😀"): Place("p", 3, 4),
        ("a", 1, "b"): Place("p", 3, 13),
    }


def test_whole_numbers_stay_whole():
    data = JsonSyntax().parse('{"a": [1, -0, 1.0, 1e2, 0.5E-1]}', "p").data
    assert repr(data["a"]) == "[1, 0, 1.0, 100.0, 0.05]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', "p:1:8: a ',' with no value after it; remove the ','"),
        ('{"a": [1,\n]}', "p:1:9: a ',' with no value after it; remove the ','"),
        ('{"a": [1,,2]}', "p:1:9: a ',' with no value after it; remove the ','"),
        (
            '{"a": 1 // one\n}',
            "p:1:9: a comment, which JSON does not have; remove it, or write YAML or TOML",
        ),
        (
            '{"a": /* one */ 1}',
            "p:1:7: a comment, which JSON does not have; remove it, or write YAML or TOML",
        ),
        (
            '# one\n{"a": 1}',
            "p:1:1: a comment, which JSON does not have; remove it, or write YAML or TOML",
        ),
        ('{"a": NaN}', "p:1:7: NaN is not JSON; use null, or put it in quotes"),
        ('{"a": -Infinity}', "p:1:7: -Infinity is not JSON; use null, or put it in quotes"),
        ('{"a": 1e999}', "p:1:7: 1e999 is too large for a number; put it in quotes"),
        ('{"a": -1e999}', "p:1:7: -1e999 is too large for a number; put it in quotes"),
        ('{"a": True}', "p:1:7: True is not JSON; did you mean true?"),
        ('{"a": None}', "p:1:7: None is not JSON; did you mean null?"),
        ('{"a": 010}', "p:1:7: 010 is not a JSON number; correct it, or put it in quotes"),
        ('{"a": +1}', "p:1:7: +1 is not a JSON number; correct it, or put it in quotes"),
        ('{"a": .5}', "p:1:7: .5 is not a JSON number; correct it, or put it in quotes"),
        ('{"a": 1.2.3}', "p:1:7: 1.2.3 is not a JSON number; correct it, or put it in quotes"),
        ('{"a": csv}', "p:1:7: csv stands without quotes; put text in double quotes"),
        ("{\"a\": 'csv'}", "p:1:7: text in single quotes; use double quotes"),
        ('{"a": }', "p:1:7: no value before '}'; add the value"),
        ('{"a": [,1]}', "p:1:8: no value before ','; add the value"),
        ('{"a":', "p:1:6: the file ends where a value should be; add the value"),
        ('{"a" 1}', "p:1:6: no ':' after the key 'a'; write ': ' and a value"),
        ('{"a": 1\n "b": 2}', "p:2:2: no ',' or '}' after the value; add a ',' or '}'"),
        ('{"a": [1 2]}', "p:1:10: no ',' or ']' after the value; add a ',' or ']'"),
        ('{"a": [1, 2}', "p:1:12: no ',' or ']' after the value; add a ',' or ']'"),
        ("{a: 1}", "p:1:2: the key a stands without quotes; put it in double quotes"),
        ("{'a': 1}", "p:1:2: a key in single quotes; use double quotes"),
        ("{: 1}", "p:1:2: no key before ':'; write \"key\": value"),
        ("{", "p:1:1: this '{' is never closed; add '}'"),
        ('{"a"', "p:1:1: this '{' is never closed; add '}'"),
        ('{"a": 1,\n', "p:1:1: this '{' is never closed; add '}'"),
        ('{"a": {"b": 1}', "p:1:1: this '{' is never closed; add '}'"),
        ('{"a":\n [1, 2', "p:2:2: this '[' is never closed; add ']'"),
        ('{"a": "x}', "p:1:7: this quote is never closed; add '\"' at the end of the text"),
        ('{"a": "x\ny"}', "p:1:9: '\\n' inside a text in quotes; write it as \\n"),
        ('{"a": "\\x"}', "p:1:8: a '\\' that begins no known escape; write '\\\\' for a backslash"),
        (
            '{"a": "\\ud800"}',
            "p:1:7: the text has half of a surrogate pair; write both halves, or the character",
        ),
        ('{"a": 1} {', "p:1:10: text after the end of the document; remove it, or a bracket above"),
    ],
)
def test_says_where_what_is_wrong_and_what_to_do(refusal, text, message):
    assert refusal(JsonSyntax(), text) == message


def test_a_document_on_one_long_line_is_read_in_one_pass():
    text = "{" + ", ".join(f'"{n:060}": {{"a": 1}}' for n in range(30_000)) + "}"
    document = JsonSyntax().parse(text, "p")
    assert document.places[f"{29_999:060}",] == Place("p", 1, text.rindex('"0') + 1)
