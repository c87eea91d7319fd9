"""A pattern either is quick on every text that it is tried on, or refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_expressions import bounded_pattern

HARMLESS = [
    r"[A-Z]{3}\d+",
    r"\s+",
    r"^\s*(\w+)\s*=\s*(\w+)\s*$",
    r"(\d+,)*\d+",
    r"(\d{1,3}\.){3}\d{1,3}",
    r"[\w.+-]+@[\w-]+\.[\w.-]+",
    r"(?:ab|cd)*",
    r"(?:GET|POST) \S+",
    r"\d{4}-\d{2}-\d{2}",
    r".*foo.*",
    r"(?i)straße",
    r"(?P<name>a)(?=b)(?!c)",
    r"a|b|",
    r"x{0,20}",
    r"[^,]*(?:,[^,]*){4}",
    r"\bword\b",
]


@pytest.mark.parametrize("pattern", HARMLESS)
def test_a_harmless_pattern_is_taken(pattern):
    assert bounded_pattern(pattern).search("") == bool(re.search(pattern, ""))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+$", "it has a repeat inside a repeat"),
        ("(a*)*", "it has a repeat inside a repeat"),
        ("(a|a)*b", "choices inside a repeat begin with the same characters"),
        ("(a|ab)*c", "choices inside a repeat begin with the same characters"),
        ("(x+x+)+y", "it has a repeat inside a repeat"),
        ("(.*,)*x", "it has a repeat inside a repeat"),
        (r"(\w+\s?)*$", "it has a repeat inside a repeat"),
        ("a?" * 40 + "a" * 40, "many of its parts can match the same text"),
        ("a*" * 5 + "b", "too many of its repeats can match the same text"),
        (r"(a)\1", "it refers back to a group"),
        (r"(a)?(?(1)b|c)", "it refers back to a group"),
        ("(?:){100}", "it repeats something empty"),
        ("(?:^)*", "it repeats something empty"),
        ("(?i)([a-z]1|[A-Z]2)*", "choices inside a repeat begin with the same characters"),
    ],
)
def test_a_pattern_that_could_take_forever_is_refused(pattern, reason):
    with pytest.raises(ValueError) as caught:
        bounded_pattern(pattern)
    assert str(caught.value) == f"the pattern {pattern!r} could take forever: {reason}"


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(", "'(' is no pattern: missing ), unterminated subpattern at position 0"),
        ("x" * 1001, "a pattern has at most 1000 characters, got 1001"),
        ("a{99999999999999999999}", "'a{99999999999999999999}' is no pattern: the repetition"),
        ("\bx", r"the pattern has a backspace in it; write r'\b' for the edge of a word"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern, sentence):
    with pytest.raises(ValueError) as caught:
        bounded_pattern(pattern)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("pattern", "length"), [("a*a*b", 20_000), (".*.*x", 1_000), ("a*b", 20_000)]
)
def test_a_slow_pattern_is_tried_on_short_texts_only(pattern, length):
    made = bounded_pattern(pattern)
    with pytest.raises(ValueError) as caught:
        made.search("a" * 10_000_001)
    assert f"and the pattern {pattern!r} is tried on at most " in str(caught.value)
    allowed = int(str(caught.value).rsplit(" ", 1)[1])
    assert allowed <= length
    assert not made.search("a" * allowed)


def test_blanks_of_a_long_text_can_be_replaced():
    assert bounded_pattern(r"\s+").substitute(" ", "a  b\n" * 100_000) == "a b " * 100_000


def test_a_group_can_be_put_into_the_replacement():
    assert bounded_pattern(r"(\d+)-(\d+)").substitute(r"\2/\1", "1-2 3-4") == "2/1 4/3"


PIECES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", "x", "ab"])
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2,5}", "{3}"])),
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
    ),
    max_leaves=8,
)


@given(PATTERNS)
def test_whatever_is_taken_is_quick_on_the_text_that_it_hates(pattern):
    try:
        made = bounded_pattern(pattern)
    except ValueError:
        return
    for text in ("a" * 200 + "!", "ab" * 100 + "!", "b" * 200, "1" * 200 + "a"):
        assert made.search(text) == bool(re.search(pattern, text))  # or not in our lifetime
        assert made.matches(text) == bool(re.fullmatch(pattern, text))
