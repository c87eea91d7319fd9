import os
import subprocess
import sys

import pytest

from penstock.errors import ConfigError
from penstock.syntaxes import MAX_BYTES, MAX_DEPTH, MAX_VALUES, kind, read_text
from penstock.syntaxes.json import JsonSyntax
from penstock.syntaxes.toml import TomlSyntax
from penstock.syntaxes.yaml import YamlSyntax

PIPELINE = {
    "inputs": {"orders": {"use": "csv", "path": "orders.csv", "retry": 3, "timeout": 1.5}},
    "outputs": {"out": {"use": "json", "pretty": True, "text": "a: #b\n\t'\"\\é😀", "empty": ""}},
    "pipes": {"main": ["orders", "out"], "none": [], "nested": [[1, 2], [{"a": -1}, {}]]},
    "numbers": {"big": 2**70, "small": 1e-9, "zero": 0, "minus": -7, "no": "no", "date": "12:30"},
}

WRITTEN = {
    YamlSyntax: """\
inputs:
  orders: {use: csv, path: orders.csv, retry: 3, timeout: 1.5}
outputs:
  out:
    use: json
    pretty: true
    text: "a: #b\\n\\t'\\"\\\\é\\U0001F600"
    empty: ''
pipes:
  main: [orders, out]
  none: []
  nested:
    - [1, 2]
    - - {a: -1}
      - {}
numbers:
  big: 1180591620717411303424
  small: 1e-9
  zero: 0
  minus: -7
  no: no
  date: 12:30
""",
    TomlSyntax: """\
[inputs.orders]
use = "csv"
path = 'orders.csv'
retry = 3
timeout = 1.5
[outputs]
out.use = "json"
out.pretty = true
out.text = "a: #b\\n\\t'\\"\\\\é😀"
out.empty = ""
[pipes]
main = ["orders", "out"]
none = []
nested = [[1, 2], [{a = -1}, {}]]
[numbers]
big = 1180591620717411303424
small = 1e-9
zero = 0
minus = -7
no = "no"
date = "12:30"
""",
    JsonSyntax: """\
{"inputs": {"orders": {"use": "csv", "path": "orders.csv", "retry": 3, "timeout": 1.5}},
 "outputs": {"out": {
   "use": "json", "pretty": true, "text": "a: #b\\n\\t'\\"\\\\é\\ud83d\\ude00", "empty": ""}},
 "pipes": {"main": ["orders", "out"], "none": [], "nested": [[1, 2], [{"a": -1}, {}]]},
 "numbers": {"big": 1180591620717411303424, "small": 1e-9, "zero": 0, "minus": -7,
   "no": "no", "date": "12:30"}}
""",
}


def paths(value, path=()):
    yield path
    if isinstance(value, dict):
        inner = value.items()
    else:
        inner = enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from paths(item, (*path, key))


def typed(value):
    """The value with its types, as 1, 1.0 and True are equal."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_same_pipeline_in_each_syntax_is_the_same_data(syntax, mark, line_end):
    text = mark + WRITTEN[type(syntax)].replace("\n", line_end)
    document = syntax.parse(text, "orders")
    assert typed(document.data) == typed(PIPELINE)
    assert document.name == "orders"


def test_every_value_has_a_place(syntax):
    document = syntax.parse(WRITTEN[type(syntax)], "orders")
    assert set(document.places) == set(paths(PIPELINE))


def test_a_place_is_where_the_key_stands(syntax):
    text = WRITTEN[type(syntax)]
    lines = text.splitlines()
    document = syntax.parse(text, "orders")
    for path, place in document.places.items():
        if path and isinstance(path[-1], str):
            assert place.file == "orders"
            assert lines[place.line - 1][place.column - 1 :].lstrip('"').startswith(path[-1])


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_refused(syntax, refusal, text):
    assert refusal(syntax, text) == "p: is empty; declare inputs and pipes"


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        (YamlSyntax(), "# only a comment\n"),
        (YamlSyntax(), "---\n...\n"),
        (YamlSyntax(), "{}"),
        (TomlSyntax(), "# only a comment\n"),
        (JsonSyntax(), "{}"),
    ],
)
def test_a_file_that_declares_nothing_is_refused(refusal, syntax, text):
    assert refusal(syntax, text) == "p: is empty; declare inputs and pipes"


@pytest.mark.parametrize(
    ("text", "got"),
    [("[1]", "a list"), ('"x"', "text"), ("12", "a number"), ("true", "true or false")],
)
@pytest.mark.parametrize("syntax", [YamlSyntax(), JsonSyntax()], ids=["yaml", "json"])
def test_the_top_level_is_a_mapping(refusal, syntax, text, got):
    expected = f"p:1:1: must be a mapping of sections, got {got}; declare inputs and pipes"
    assert refusal(syntax, text) == expected


def test_values_have_names_for_people():
    assert [kind(None), kind({}), kind(object())] == ["nothing", "a mapping", "a date or time"]


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b", "\ud800"])
def test_stray_characters_are_refused_with_their_place(syntax, refusal, character):
    text = {
        YamlSyntax: "a: 1\nb: 'x{}'",
        TomlSyntax: "a = 1\nb ='x{}'",
        JsonSyntax: '{{"a":\n"12x{}"}}',
    }
    column = {YamlSyntax: 6, TomlSyntax: 6, JsonSyntax: 5}
    assert refusal(syntax, text[type(syntax)].format(character)) == (
        f"p:2:{column[type(syntax)]}: character {character!r} is not allowed in a file; "
        "remove it, or write it as an escape in double quotes"
    )


def test_a_text_over_the_limit_is_refused(syntax, refusal):
    text = refusal(syntax, " " * (MAX_BYTES + 1))
    assert text == "p: is larger than 8 MiB; keep data in files that inputs read"


def nested(syntax, depth):
    """A document whose mappings and lists stand `depth` deep."""
    inner = "[" * (depth - 1) + "]" * (depth - 1)
    return {YamlSyntax: "a: {}", TomlSyntax: "a = {}", JsonSyntax: '{{"a": {}}}'}[
        type(syntax)
    ].format(inner)


def test_nesting_up_to_the_limit_is_read(syntax):
    data = syntax.parse(nested(syntax, MAX_DEPTH), "p").data
    assert str(data).count("[") == MAX_DEPTH - 1


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1_000_000])
def test_deeper_nesting_is_refused_where_it_begins(syntax, refusal, depth):
    start = nested(syntax, 2).index("[")
    assert refusal(syntax, nested(syntax, depth)) == (
        f"p:1:{start + MAX_DEPTH}: is nested more than {MAX_DEPTH} levels deep; make it flatter"
    )


def test_more_values_than_the_limit_are_refused(syntax, refusal):
    text = {YamlSyntax: "a: [{}]", TomlSyntax: "a = [{}]", JsonSyntax: '{{"a": [{}]}}'}[
        type(syntax)
    ]
    fits = syntax.parse(text.format("1, " * (MAX_VALUES - 3) + "1"), "p")
    assert len(fits.places) == MAX_VALUES
    message = refusal(syntax, text.format("1, " * MAX_VALUES + "1"))
    assert "the file holds more than 100000 values; keep data in files that inputs read" in message


def test_each_duplicate_key_is_named_with_the_first(syntax, refusal):
    text = {
        YamlSyntax: "a: 1\nb:\n  c: 1\n  c: 2\na: 2\n",
        TomlSyntax: "a = 1\n\nb.c = 1\nb.c = 2\na = 2\n",
        JsonSyntax: '{"a": 1,\n"b": {\n"c": 1,\n"c": 2},\n"a": 2}',
    }[type(syntax)]
    first, second = refusal(syntax, text).splitlines()
    for line, path, message in ((4, "b.c", first), (5, "a", second)):
        assert message.startswith(f"p:{line}:")
        assert f": {path}: this key was given before, at p:{ {'a': 1}.get(path, 3) }:" in message
        assert message.endswith("; keep one of the two")


def test_not_more_than_a_hundred_problems_are_listed(syntax, refusal):
    text = {
        YamlSyntax: "a: 1\n" * 1000,
        TomlSyntax: "a = 1\n" * 1000,
        JsonSyntax: "{" + '"a": 1,\n' * 1000 + '"a": 1}',
    }[type(syntax)]
    assert len(refusal(syntax, text).splitlines()) == 100


def test_numbers_too_long_for_python_are_refused(syntax, refusal):
    text = {YamlSyntax: "a: {}", TomlSyntax: "a = {}", JsonSyntax: '{{"a": {}}}'}[type(syntax)]
    assert "a number of 5000 digits; put it in quotes" in refusal(syntax, text.format("1" * 5000))


def test_reading_takes_off_a_byte_order_mark(tmp_path):
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n")
    assert read_text(tmp_path / "p.yaml") == "a: é\r\n"


def unreadable(path):
    with pytest.raises(ConfigError) as caught:
        read_text(path)
    return str(caught.value).removeprefix(str(path))


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path):
    assert unreadable(tmp_path / "pipeline.yaml") == ": no such file; check the path"
    (tmp_path / "pipeline.yml").touch()
    expected = ": no such file; did you mean 'pipeline.yml'?"
    assert unreadable(tmp_path / "pipeline.yaml") == expected
    assert unreadable(tmp_path / "no" / "p.yaml") == ": no such file; check the path"


def test_a_folder_is_not_a_pipeline(tmp_path):
    assert unreadable(tmp_path) == ": is a folder; name the file in it"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_as_it_is(tmp_path):
    (tmp_path / "p.yaml").touch(mode=0)
    expected = ": may not be read; ask its owner, or change its mode"
    assert unreadable(tmp_path / "p.yaml") == expected


def test_a_file_without_permission(tmp_path, monkeypatch):
    def denied(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", denied)
    expected = ": may not be read; ask its owner, or change its mode"
    assert unreadable(tmp_path / "p.yaml") == expected


def test_a_path_that_cannot_be_opened(tmp_path):
    assert (
        unreadable(tmp_path / ("x" * 300)) == ": cannot be read: file name too long; check the path"
    )
    assert unreadable(tmp_path / "a\0b") == ": cannot be read: embedded null byte; check the path"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_that_are_not_utf_8_have_a_place(tmp_path, mark):
    (tmp_path / "p.yaml").write_bytes(mark + "a: é\nbé: ".encode() + b"\xe9t\xe9\n")
    expected = ":2:5: byte 0xe9 is not UTF-8; save the file as UTF-8"
    assert unreadable(tmp_path / "p.yaml") == expected


def test_a_file_over_the_limit_is_not_read(tmp_path):
    (tmp_path / "p.yaml").write_bytes(b" " * (MAX_BYTES + 1))
    expected = ": is larger than 8 MiB; keep data in files that inputs read"
    assert unreadable(tmp_path / "p.yaml") == expected


@pytest.mark.parametrize("module", ["yaml", "toml", "json"])
def test_a_syntax_imports_no_other_parser(module):
    code = f"import sys, penstock.syntaxes.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    parsers = {"yaml", "tomllib", "tomli", "json"} & set(done.stdout.split())
    assert parsers == {module} - {"toml"}
