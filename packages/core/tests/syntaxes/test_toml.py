import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from penstock.errors import ConfigError, Place
from penstock.syntaxes import toml
from penstock.syntaxes.toml import TomlSyntax

# --- documents made at random, written in every way TOML allows

bare_keys = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=3)
raw = st.text("ab#[]{}=.,'\"\\ é😀", max_size=6)


def basic(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


keys = bare_keys | raw.map(basic) | raw.filter(lambda text: "'" not in text).map("'{}'".format)
blanks = st.sampled_from(["", " ", "\t", "  "])
breaks = st.sampled_from(["", "\n", " # it's a [comment] = {\n", "\n\n  "])
many = st.sampled_from(
    [
        '"""\na = 1\n[b]\n"quoted" \\"""" # \'\n\\\\"""',
        "'''\n[[c]]\n''x\\'''''",
        '"""x"""""',
        '""""""',
    ]
)
scalars = st.one_of(
    st.sampled_from(
        ["1", "-0.5", "0xff", "inf", "nan", "true", "1979-05-27T07:32:00Z", "07:32:00", "''"]
    ),
    st.just("1979-05-27 07:32:00.5-07:00"),
    raw.map(basic),
    many,
)


@st.composite
def pairs(draw, values):
    name = draw(st.lists(keys, min_size=1, max_size=3))
    dot = f"{draw(blanks)}.{draw(blanks)}"
    return f"{dot.join(name)}{draw(blanks)}={draw(blanks)}{draw(values)}"


@st.composite
def arrays(draw, values):
    items = draw(st.lists(values, max_size=3))
    comma = f"{draw(breaks)},{draw(breaks)}"
    last = draw(st.sampled_from(["", ","])) if items else ""
    return f"[{draw(breaks)}{comma.join(items)}{draw(breaks)}{last}{draw(breaks)}]"


def inline_tables(values):
    return st.lists(pairs(values), max_size=3).map(lambda items: "{ " + ", ".join(items) + " }")


values = st.recursive(scalars, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=5)
headers = st.lists(keys, min_size=1, max_size=3).map(" . ".join)
lines = st.one_of(
    pairs(values), headers.map("[ {} ]".format), headers.map("[[{}]]".format), st.just("# [x] = ")
)
documents = st.lists(lines.flatmap(lambda line: blanks.map(line.__add__)), min_size=1).map(
    "\n".join
)


def paths(value, path=()):
    yield path
    if isinstance(value, dict):
        inner = value.items()
    else:
        inner = enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from paths(item, (*path, key))


@settings(deadline=None)
@given(documents)
@example("a.b = 1\n[[c]]\n[c.d]\n[[c.e]]\n[[c.e]]\nx = 1\n[[c]]\n[[c.e]]\ny = [{z = 1}, {z = 2}]\n")
def test_every_path_the_parser_finds_has_its_place(text):
    try:
        document = TomlSyntax().parse(text, "p")
    except ConfigError:
        assume(False)
    assert set(document.places) == set(paths(document.data))
    written = text.split("\n")
    for path, place in document.places.items():
        if path and isinstance(path[-1], str):
            rest = written[place.line - 1][place.column - 1 :]
            assert rest.startswith((path[-1], f"'{path[-1]}'", basic(path[-1])))


@settings(deadline=None)
@given(st.lists(lines, max_size=4).map("\n".join), st.text("[]{}=.,\"'#\n\\a1 ", max_size=12))
def test_any_text_is_read_or_refused_with_sentences(start, end):
    problems = []
    try:
        TomlSyntax().parse(start + end, "p")
    except ConfigError as error:
        problems = error.problems
    assert all(problem.place and problem.hint for problem in problems)


def test_places_are_those_of_keys_and_items():
    text = """\
# a = 1
[ a . "b c" ]
x = [1,
  # two
  { y.z = 2, 'q' = '}' }]
[[t]]
[[t.u]]
v = '''
w = 1'''
[[t]]
"""
    assert TomlSyntax().parse(text, "p").places == {
        (): Place("p", 1, 1),
        ("a",): Place("p", 2, 3),
        ("a", "b c"): Place("p", 2, 7),
        ("a", "b c", "x"): Place("p", 3, 1),
        ("a", "b c", "x", 0): Place("p", 3, 6),
        ("a", "b c", "x", 1): Place("p", 5, 3),
        ("a", "b c", "x", 1, "y"): Place("p", 5, 5),
        ("a", "b c", "x", 1, "y", "z"): Place("p", 5, 7),
        ("a", "b c", "x", 1, "q"): Place("p", 5, 14),
        ("t",): Place("p", 6, 3),
        ("t", 0): Place("p", 6, 1),
        ("t", 0, "u"): Place("p", 7, 5),
        ("t", 0, "u", 0): Place("p", 7, 1),
        ("t", 0, "u", 0, "v"): Place("p", 8, 1),
        ("t", 1): Place("p", 10, 1),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = csv", "p:1:5: invalid value; put text in quotes; true and false are in lower case"),
        ("a = 2024-02-30", "p:1:5: invalid date or datetime; correct it, or put it in quotes"),
        (
            "[x]\na = 1 2",
            (
                "p:2:7: expected newline or end of document after a statement; "
                "put each key on a line of its own, and text in quotes"
            ),
        ),
        ("a: 1", "p:1:2: expected '=' after a key in a key/value pair; write key = value"),
        ("a = [1\n", "p:2:1: unclosed array; add ',' or ']'"),
        ("a = {b = 1", "p:1:11: unclosed inline table; add ',' or '}'"),
        ("a = 'x", 'p:1:7: expected "\'"; close the quote'),
        ('a = """x', "p:1:9: unterminated string; close the quote"),
        (
            'a = "C:\\data"',
            (
                "p:1:10: unescaped '\\' in a string; "
                "write '\\\\' for a backslash, or use single quotes"
            ),
        ),
        (
            'a = "x\n"',
            (
                "p:1:7: illegal character '\\n'; remove it, or write it as an escape; "
                "a text of many lines has three quotes"
            ),
        ),
        (
            "!",
            (
                "p:1:1: invalid statement; write key = value or [table]; "
                "quote keys with other characters"
            ),
        ),
        (
            "a.é = 1",
            (
                "p:1:3: invalid initial character for a key part; "
                "write a key; quote keys with other characters"
            ),
        ),
        ("[a]\nb = 1\n[a]\n", "p:3:2: a: this key was given before, at p:1:2; keep one of the two"),
        ("a = 1\n[a]\n", "p:2:2: a: this key was given before, at p:1:1; keep one of the two"),
        (
            "a = {b = 1, b = 2}",
            ("p:1:13: a.b: this key was given before, at p:1:6; keep one of the two"),
        ),
        ("a = 1\na.b = 2", "p:2:8: cannot overwrite a value; keep one of the two"),
        ("'\nb", 'p:2:2: expected "\'"; close the quote'),
        (
            '"\\q" = 1',
            (
                "p:1:4: unescaped '\\' in a string; "
                "write '\\\\' for a backslash, or use single quotes"
            ),
        ),
    ],
)
def test_says_where_what_is_wrong_and_what_to_do(refusal, text, message):
    assert refusal(TomlSyntax(), text) == message


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "{a=" * 1_000_000,
        "a = " + "[{a=" * 500_000,
        "a." * 1_000_000 + "b = 1",
        '"a".' * 1_000_000 + "b = 1",
        "[" + "a." * 1_000_000 + "b]",
        "[[" + "a." * 1_000_000 + "b]]",
        "[" + ".".join("a" * 64) + "]",
        "[" + ".".join("a" * 60) + "]\n" + ".".join("b" * 5) + " = 1",
    ],
)
def test_depth_in_any_form_is_refused(refusal, text):
    assert "is nested more than 64 levels deep; make it flatter" in refusal(TomlSyntax(), text)


def test_brackets_in_texts_and_comments_are_not_depth():
    text = f'a = "{"[" * 100}"\n# {"[" * 100}\nb = \'{"{" * 100}\'\nc = """\n{"[" * 100}"""'
    assert list(TomlSyntax().parse(text, "p").data) == ["a", "b", "c"]


@pytest.mark.parametrize("header", ["[a{0}]", "[[a]]", "a{0} = 1"])
def test_very_many_keys_or_tables_are_refused(refusal, header):
    text = "\n".join(header.format(number) for number in range(150_000))
    assert "the file holds more than 100000 values" in refusal(TomlSyntax(), text)


def test_a_parser_without_stack_left_is_a_sentence_too(refusal, monkeypatch):
    def overflow(text):
        raise RecursionError

    monkeypatch.setattr(toml, "_loads", overflow)
    assert (
        refusal(TomlSyntax(), "a = 1") == "p: is nested more than 64 levels deep; make it flatter"
    )
