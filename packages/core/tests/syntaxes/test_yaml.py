import math
from datetime import date, datetime, timedelta, timezone

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.errors import ConfigError, Place
from penstock.syntaxes._yaml_text import PlainLoader, explain
from penstock.syntaxes.yaml import YamlSyntax

UTC = timezone.utc
NAIVE = datetime(2024, 2, 29, 10, 20, 30)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[
            (word, word)
            for word in ["no", "yes", "on", "off", "y", "N", "No", "oN", "tRUE", "nULL"]
        ],
        *[(word, True) for word in ["true", "True", "TRUE"]],
        *[(word, False) for word in ["false", "False", "FALSE"]],
        *[(word, None) for word in ["null", "Null", "NULL", "~", ""]],
        *[("010", 10), ("0o10", 8), ("0x1F", 31), ("-7", -7), ("+7", 7), ("00", 0)],
        *[(word, word) for word in ["1_000", "12:30:45", "0b11", "-0x1", "1.2.3", "1e", ".", "+"]],
        *[("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("+1.5E-1", 0.15)],
        *[(".inf", float("inf")), ("-.Inf", float("-inf")), ("+.INF", float("inf"))],
        ("2024-02-29", date(2024, 2, 29)),
        ("2024-02-29T10:20:30", NAIVE),
        ("2024-02-29 10:20:30.1234567", NAIVE.replace(microsecond=123456)),
        ("2024-02-29t10:20:30.5Z", datetime(2024, 2, 29, 10, 20, 30, 500000, UTC)),
        (
            "2024-02-29 10:20:30-07:30",
            datetime(2024, 2, 29, 10, 20, 30, 0, timezone(-timedelta(hours=7, minutes=30))),
        ),
        *[(word, word) for word in ["2024-2-29", "2024-02-29T10:20", "2024-02"]],
        *[('"1"', "1"), ("'true'", "true"), ('""', ""), ('"2024-02-30"', "2024-02-30")],
        *[("!!str 1", "1"), ("!!str", ""), ("! 12", "12"), ("!!int '12'", 12), ("!!float 1", 1.0)],
        *[
            ('!!bool "true"', True),
            ("!!null ''", None),
            ("!!timestamp '2024-01-02'", date(2024, 1, 2)),
        ],
        *[("!!seq [1]", [1]), ("!!map {b: 1}", {"b": 1}), ("!<tag:yaml.org,2002:int> 3", 3)],
        *[("a\tb", "a\tb"), ("x\t# comment", "x"), ("[1,\t2]", [1, 2]), ("a \t\n  b", "a b")],
        ("|\n  one\n  two\n", "one\ntwo\n"),
    ],
)
def test_a_word_is_what_yaml_1_2_says(yaml_syntax, word, value):
    found = yaml_syntax.parse(f"a: {word}", "p").data["a"]
    assert (type(found), found) == (type(value), value)


def test_not_a_number_is_a_number(yaml_syntax):
    found = yaml_syntax.parse("a: .nan", "p").data["a"]
    assert math.isnan(found)


def test_places_are_those_of_keys_and_items(yaml_syntax):
    text = "# orders\n? a\n: - 1\n  - b: {c: x, 'd': 2}\né: &x [2]\n"
    assert yaml_syntax.parse(text, "p").places == {
        (): Place("p", 2, 1),
        ("a",): Place("p", 2, 3),
        ("a", 0): Place("p", 3, 5),
        ("a", 1): Place("p", 4, 5),
        ("a", 1, "b"): Place("p", 4, 5),
        ("a", 1, "b", "c"): Place("p", 4, 9),
        ("a", 1, "b", "d"): Place("p", 4, 15),
        ("é",): Place("p", 5, 1),
        ("é", 0): Place("p", 5, 8),
    }


def test_an_alias_repeats_the_value_and_keeps_its_places(yaml_syntax):
    document = yaml_syntax.parse("a: &x {b: [1]}\nc: *x\nd: [*x]\n", "p")
    assert document.data == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}]}
    assert document.data["a"] is not document.data["c"]
    assert document.places["c",] == Place("p", 2, 1)
    assert document.places["c", "b"] == Place("p", 1, 8)
    assert document.places["d", 0] == Place("p", 3, 5)


def test_an_alias_may_be_a_key(yaml_syntax):
    assert yaml_syntax.parse("a: &x b\n*x : 1", "p").data == {"a": "b", "b": 1}


def test_merged_keys_give_way_to_own_keys_and_to_earlier_merges(yaml_syntax):
    text = """\
base: &base {use: csv, path: a, retry: 1}
more: &more {<<: *base, path: b, key: id}
orders:
  <<: [*more, *base]
  path: c
quoted: {"<<": 1}
"""
    document = yaml_syntax.parse(text, "p")
    assert document.data["orders"] == {"path": "c", "key": "id", "use": "csv", "retry": 1}
    assert document.data["quoted"] == {"<<": 1}
    assert document.places["orders", "path"] == Place("p", 5, 3)
    assert document.places["orders", "key"] == Place("p", 2, 34)
    assert ("orders", "<<") not in document.places


DRY = "remove it; values are plain data"
QUOTE = "put it in quotes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: 2024-02-30",
            (
                "p:1:4: a: there is no such date or time as 2024-02-30 "
                "(day is out of range for month); correct it, or put it in quotes"
            ),
        ),
        (
            "a:\n- 2024-01-01 24:00:00",
            (
                "p:2:3: a.0: there is no such date or time as "
                "2024-01-01 24:00:00 (hour must be in 0..23); correct it, or put it in quotes"
            ),
        ),
        (
            "a: 2024-01-01 10:00:00+25:00",
            (
                "p:1:4: a: there is no such date or time as "
                "2024-01-01 10:00:00+25:00 (offset must be in -23:59..23:59); "
                "correct it, or put it in quotes"
            ),
        ),
        ("a: {1: x}", f"p:1:5: a: a key must be text, not a number (1); {QUOTE}"),
        ("true: x", f"p:1:1: a key must be text, not true or false (true); {QUOTE}"),
        ("2024-01-01: x", f"p:1:1: a key must be text, not a date or time (2024-01-01); {QUOTE}"),
        ("?\n: x", f"p:1:2: a key must be text, not nothing; {QUOTE}"),
        (
            "2024-02-30: x",
            (
                "p:1:1: there is no such date or time as 2024-02-30 "
                "(day is out of range for month); correct it, or put it in quotes"
            ),
        ),
        (
            "{a: 1}: 2",
            (
                "p:1:1: a key must be text, not a list or mapping; "
                "put text in quotes if it begins with '{' or '['"
            ),
        ),
        (
            "1: 1e999\n2: x",
            (
                "p:1:1: a key must be text, not a number (1); put it in quotes\n"
                "p:1:4: 1e999 is too large for a number; put it in quotes\n"
                "p:2:1: a key must be text, not a number (2); put it in quotes"
            ),
        ),
        (
            "a: !!python/object/apply:os.system [id]",
            f"p:1:4: a: tag '!!python/object/apply:os.system' is not allowed here; {DRY}",
        ),
        (
            "a: !!python/name:os.system",
            (f"p:1:4: a: tag '!!python/name:os.system' is not allowed here; {DRY}"),
        ),
        ("a: !env X", f"p:1:4: a: tag '!env' is not allowed here; {DRY}"),
        ("a: !!set {x}", f"p:1:4: a: tag '!!set' is not allowed here; {DRY}"),
        ("a: !!binary aGk=", f"p:1:4: a: tag '!!binary' is not allowed here; {DRY}"),
        ("a: !!str [x]", f"p:1:4: a: tag '!!str' is not allowed here; {DRY}"),
        ("a: !!map x", f"p:1:4: a: tag '!!map' is not allowed here; {DRY}"),
        (
            "a: !!int x",
            ("p:1:4: a: 'x' is not a whole number, as its tag says; correct it, or drop the tag"),
        ),
        (
            "a: !!float x",
            ("p:1:4: a: 'x' is not a number, as its tag says; correct it, or drop the tag"),
        ),
        (
            "a: !!bool yes",
            ("p:1:4: a: 'yes' is not true or false, as its tag says; correct it, or drop the tag"),
        ),
        ("a: !!null x", "p:1:4: a: 'x' is not null, as its tag says; correct it, or drop the tag"),
        (
            "a: !!timestamp x",
            ("p:1:4: a: 'x' is not a date or time, as its tag says; correct it, or drop the tag"),
        ),
        ("a: 1e999", "p:1:4: a: 1e999 is too large for a number; put it in quotes"),
        ("a: *x", "p:1:4: no anchor 'x' before this alias; write '&x' at the value it repeats"),
        ("a: &x [*x]", "p:1:8: *x stands inside itself; remove it"),
        ("<<: 1", "p:1:5: '<<' merges only mappings; name an anchor of a mapping"),
        (
            "a: &x {}\nb: {<<: [*x, 1]}",
            ("p:2:14: b: '<<' merges only mappings; name an anchor of a mapping"),
        ),
        ("a: 1\n---\nb: 2", "p:2:1: a second document begins here; keep one pipeline in a file"),
        (
            "a: &x 2024-02-30\nb: *x\nc: [*x]",
            (
                "p:1:4: a: there is no such date or time as "
                "2024-02-30 (day is out of range for month); correct it, or put it in quotes"
            ),
        ),
        (
            "a: &x {b: 1, b: 2}\nc: *x",
            ("p:1:14: a.b: this key was given before, at p:1:8; keep one of the two"),
        ),
        # from here on the parsers say it in their own words
        (
            "a: b: c",
            (
                "p:1:5: a second ':' in one value; "
                "put the text in quotes, or the key on a line of its own"
            ),
        ),
        ("a:\n\tb: 1", "p:2:1: a tab cannot indent a line; use spaces"),
        ("a: @x", "p:1:4: text cannot begin with '@'; put it in quotes"),
        ("a: `x`", "p:1:4: text cannot begin with '`'; put it in quotes"),
        ("a: [1, 2\nb: 3", "p:1:4: this list is not closed; add ',' or ']', or quotes around text"),
        (
            "a: {b: 1\nc: 3",
            ("p:1:4: this mapping is not closed; add ',' or '}', or quotes around text"),
        ),
        ("a: 'x\n", "p:1:4: this quote is never closed; add a quote at the end of the text"),
        (
            "a: 1\nb\n",
            "p:2:1: a key without a ':'; write 'key: value', and indent text of many lines",
        ),
        (
            "a:\n  - b\n c: d",
            (
                "p:3:2: this does not line up with the lines above; "
                "indent it like its neighbours, or put text in quotes"
            ),
        ),
        (
            "a: - b",
            (
                "p:1:4: a list cannot begin here; "
                "put '- ' on a line of its own, or the text in quotes"
            ),
        ),
        ("a: ]", "p:1:4: no value before this; add the value, or put text in quotes"),
        (
            "a: *",
            (
                "p:1:5: an anchor or alias without a name; "
                "put text that begins with '&' or '*' in quotes"
            ),
        ),
        (
            "a: !x!y 1",
            ("p:1:4: this is not a tag that YAML knows; put text that begins with '!' in quotes"),
        ),
        ("%YAML 2.0\n---\na: 1", "p:1:1: only YAML 1.1 and 1.2 can be read; remove the %YAML line"),
        (
            "%TAG x\n---\na: 1",
            (
                "p:1:6: a line that begins with '%' is not a directive YAML knows; "
                "remove the line, or put the text in quotes"
            ),
        ),
        (
            "a: |1 b",
            "p:1:7: text cannot stand beside '|' or '>'; begin it on the next line, indented",
        ),
        ("a: ? b", "p:1:4: a key cannot begin here; put text that begins with '?' in quotes"),
        ("|\n a\nb", "p:3:1: more text after a whole value; write 'key: value' on each line"),
        (
            "a: &x &y 1",
            (
                "p:1:7: this does not line up with the lines above; "
                "indent it like its neighbours, or put text in quotes"
            ),
        ),
    ],
)
def test_says_where_what_is_wrong_and_what_to_do(yaml_syntax, refusal, text, message):
    assert refusal(yaml_syntax, text) == message


def test_a_backslash_in_double_quotes_is_explained(yaml_syntax, refusal):
    message = refusal(yaml_syntax, 'a: "C:\\data"')
    assert message.startswith(("p:1:7: ", "p:1:8: "))  # one parser has read it, the other has not
    assert message[7:] == (
        "a '\\' that begins no known escape; write '\\\\' for a backslash, or use single quotes"
    )


def test_an_error_without_a_known_meaning_is_passed_on():
    error = explain(yaml.YAMLError("odd\n words"), "", "p")
    assert str(error) == "p: odd words; correct the YAML, or put text in quotes"


@pytest.mark.parametrize("escape", ["\\ud800", "\\U00110000", "\\UFFFFFFFF"])
def test_escapes_that_are_no_character_are_refused(yaml_syntax, refusal, escape):
    message = refusal(yaml_syntax, f'a: "{escape}"')
    assert message.startswith("p:1:")
    if yaml_syntax.loader is PlainLoader and escape != "\\ud800":
        assert message.endswith("a number here is out of range; correct the escape")


def test_an_absurd_version_is_refused(yaml_syntax, refusal):
    assert refusal(yaml_syntax, f"%YAML 1.{'9' * 5000}\n---\na: 1").startswith("p:1:")


@pytest.mark.parametrize("character", ["\x7f", "\x80", "\ufffe", "\ufeff"])
def test_characters_that_yaml_does_not_have_are_refused(yaml_syntax, refusal, character):
    expected = f"p:2:6: character {character!r} is not allowed in a file; "
    assert refusal(yaml_syntax, f"a: 1\nb: 'x{character}'").startswith(expected[:-2])


def test_text_ending_in_an_open_list_is_refused(yaml_syntax, refusal):
    message = refusal(yaml_syntax, "a: [1,")
    assert (
        "the file ends inside a list or mapping; add ']' or '}', or put text in quotes" in message
    )


def multiplied(first, line):
    """Each line holds the one before ten times over."""
    refs = [", ".join([f"*k{number}"] * 10) for number in range(20)]
    return first + "".join(line % (n, n, refs[n - 1]) for n in range(1, 20))


BOMBS = {
    "aliases": multiplied("k0: &k0 [x]\n", "k%d: &k%d [%s]\n"),
    "merges": multiplied("k0: &k0 {x: 1}\n", "k%d: &k%d {<<: [%s]}\n"),
}


@pytest.mark.parametrize("bomb", sorted(BOMBS))
def test_aliases_that_multiply_are_refused(yaml_syntax, refusal, bomb):
    message = refusal(yaml_syntax, BOMBS[bomb])
    assert "the file holds more than 100000 values; keep data in files that inputs read" in message


def test_aliases_that_deepen_are_refused(yaml_syntax, refusal):
    chain = "k0: &k0 [x]\n" + "".join(f"k{n}: &k{n} [*k{n - 1}]\n" for n in range(1, 100))
    assert (
        refusal(yaml_syntax, chain)
        == "p:64:12: is nested more than 64 levels deep; make it flatter"
    )


@pytest.mark.parametrize("piece", ["[", "{", "{a: ", "- ", "? ", "[{a: ", "- ? "])
def test_any_nesting_is_refused_without_recursion(yaml_syntax, refusal, piece):
    message = refusal(yaml_syntax, piece * 1_000_000)
    assert "is nested more than 64 levels deep; make it flatter" in message


def test_deep_blocks_are_refused(yaml_syntax, refusal):
    text = "".join(" " * depth + "a:\n" for depth in range(2000))
    assert refusal(yaml_syntax, text) == (
        "p:65:65: is nested more than 64 levels deep; make it flatter"
    )


def test_a_very_long_text_is_a_text(yaml_syntax):
    assert yaml_syntax.parse("a: " + "x" * 5_000_000, "p").data == {"a": "x" * 5_000_000}


def test_tag_lines_cannot_pile_up(yaml_syntax, refusal):
    lines = "".join(f"%TAG !{number}! x\n" for number in range(300_000))
    assert refusal(yaml_syntax, f"{lines}---\na: 1") == "p: has too many %TAG lines; remove them"


pieces = st.sampled_from(
    [
        "a",
        "b: ",
        "c:",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        " ",
        "\t",
        "[",
        "]",
        "{",
        "}",
        ", ",
        '"',
        "'",
        "#",
        "&x ",
        "*x",
        "<<: ",
        "!!str ",
        "|\n",
        "? ",
        "1",
        "0x1F",
        "~",
        "true",
        "2024-01-01",
        "é",
        "\\n",
    ]
)


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML was built without libyaml")
@settings(deadline=None)
@given(st.lists(pieces, max_size=12).map("".join))
def test_both_parsers_read_the_same_from_what_both_accept(text):
    problems = []
    try:
        fast, plain = (
            YamlSyntax(one).parse("k: " + text, "p") for one in (yaml.CSafeLoader, PlainLoader)
        )
    except ConfigError as error:
        problems = error.problems
    assert all(problem.place and problem.hint for problem in problems)
    assume(not problems)
    assert (repr(fast.data), fast.places) == (repr(plain.data), plain.places)


def test_the_fast_parser_is_chosen_where_there_is_one(monkeypatch):
    assert YamlSyntax().loader is getattr(yaml, "CSafeLoader", PlainLoader)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert YamlSyntax().loader is PlainLoader
