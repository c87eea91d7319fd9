"""One declaration of an option serves the constructor, files, messages, schema and masking."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from penstock import ByteSize, ConfigError, Duration, component, option
from penstock.options import mask, options_of, read_options, schema_of, secrets_of, short, type_name


def one_character(value: str) -> None:
    if len(value) != 1:
        raise ValueError("must be one character")


@component
class Nested:
    """An option that has options."""

    depth: int = option(help="How deep.")


@component
class Everything:
    """One option of every kind."""

    path: Path = option(help="File to read.")
    delimiter: str = option(help="Separator.", default=",", check=one_character)
    mode: Literal["append", "replace"] = option(help="How to write.", default="append")
    count: int = option(help="How many.", default=1)
    share: float = option(help="Which part.", default=0.5)
    flag: bool = option(help="Whether.", default=False)
    wait: Duration = option(help="How long.", default=1.0, example="30s")
    size: ByteSize = option(help="How large.", default=1024)
    names: list[str] = option(help="Which ones.", default=[])
    sizes: dict[str, int] = option(help="How large each.", default={})
    key: str | list[str] = option(help="Which fields.", default="id")
    limit: int | None = option(help="At most.", default=None)
    nested: Nested | None = option(help="Deeper.", default=None)
    password: str = option(help="Secret word.", default="", secret=True)
    words: list[str] = option(help="Secret words.", default=[], secret=True)

    def check(self) -> None:
        if self.count > 5 and self.flag:
            raise ValueError("count above 5 and flag do not go together")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("path", "a/b.csv", Path("/base/a/b.csv")),
        ("path", "/a.csv", Path("/a.csv")),
        ("path", "-", Path("-")),
        ("count", "12", 12),
        ("count", 12, 12),
        ("share", 1, 1.0),
        ("share", "0.25", 0.25),
        ("flag", "yes", True),
        ("flag", "off", False),
        ("wait", "1.5h", 5400.0),
        ("wait", "250ms", 0.25),
        ("wait", 3, 3.0),
        ("size", "64KiB", 65536),
        ("size", "1MB", 1000000),
        ("names", ["a", "b"], ["a", "b"]),
        ("sizes", {"a": "1"}, {"a": 1}),
        ("key", "a", "a"),
        ("key", ["a"], ["a"]),
        ("limit", None, None),
        ("limit", "3", 3),
        ("nested", {"depth": "3"}, Nested(depth=3)),
        ("delimiter", ";", ";"),
    ],
)
def test_values_are_converted(name: str, given: Any, value: Any) -> None:
    values, problems = read_options(Everything, {"path": "x", name: given}, Path("/base"))

    assert problems == []
    assert values[name] == value
    assert type(values[name]) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pth": 1}, "pth: no such option; did you mean 'path'?"),
        ({"delimiter": ";;"}, "delimiter: must be one character, got ';;'"),
        (
            {"mode": "apend"},
            "mode: must be 'append' or 'replace', got 'apend'; did you mean 'append'?",
        ),
        ({"count": "x"}, "count: must be a whole number, got 'x'"),
        ({"count": True}, "count: must be a whole number, got True"),
        ({"share": "x"}, "share: must be a number, got 'x'"),
        ({"flag": 3}, "flag: must be true or false, got 3"),
        (
            {"wait": "3 parsecs"},
            "wait: must be a duration such as '30s' or '1.5h', got '3 parsecs'",
        ),
        ({"wait": -1}, "wait: must be a duration such as '30s' or '1.5h', got -1"),
        ({"size": "big"}, "size: must be a size in bytes such as '64KiB' or '1MB', got 'big'"),
        ({"names": "a"}, "names: must be a list, got 'a'; write [a]"),
        ({"names": ["a", 2]}, "names.1: must be text, got 2; write it in quotes"),
        ({"sizes": {"a": "x"}}, "sizes.a: must be a whole number, got 'x'"),
        ({"sizes": []}, "sizes: must be a mapping, got []"),
        ({"key": 5}, "key: must be text or a list of text, got 5; write it in quotes"),
        ({"limit": "x"}, "limit: must be a whole number, got 'x'"),
        ({"nested": {"depht": 1}}, "nested.depht: no such option; did you mean 'depth'?"),
        ({"nested": {}}, "nested.depth: is required; give how deep"),
        ({"nested": 3}, "nested: must be a mapping of depth, got 3"),
        ({"path": 3}, "path: must be a path, got 3"),
        ({"path": ""}, "path: must be a path, got ''"),
        ({"count": 6, "flag": True}, "count above 5 and flag do not go together"),
        ({"password": 5}, "password: must be text; write it in quotes"),
        ({"words": "hunter2"}, "words: must be a list"),
    ],
)
def test_every_mistake_has_its_sentence(given: dict[str, Any], message: str) -> None:
    _, problems = read_options(Everything, {"path": "x", **given})

    assert message in [str(problem) for problem in problems]


def test_all_mistakes_are_found_at_once() -> None:
    _, problems = read_options(Everything, {"cuont": 1, "flag": 3, "wait": "x"})

    assert [problem.path for problem in problems] == ["cuont", "path", "flag", "wait"]


def test_the_constructor_checks_as_a_file_does() -> None:
    with pytest.raises(ConfigError) as raised:
        Everything(path=3, delimiter=";;")  # type: ignore[arg-type]

    assert str(raised.value) == (
        "Everything.path: must be a path, got 3\n"
        "Everything.delimiter: must be one character, got ';;'"
    )
    assert Everything(path="x", wait="2m").wait == 120.0  # type: ignore[arg-type]


def test_components_compare_pickle_and_print_without_secrets() -> None:
    one = Everything(path=Path("x"), password="hunter2", count=3)

    assert pickle.loads(pickle.dumps(one)) == one
    assert one != Everything(path=Path("x"))
    assert repr(one) == "Everything(path=PosixPath('x'), count=3, password=***)".replace(
        "PosixPath", type(Path()).__name__
    )
    assert secrets_of(one) == {"hunter2"}


def test_a_mutable_default_is_not_shared() -> None:
    one, two = Everything(path=Path("x")), Everything(path=Path("x"))
    one.names.append("a")

    assert two.names == []
    assert options_of(Everything)["names"].default == []


def test_secrets_and_passwords_in_urls_are_masked() -> None:
    text = mask("cannot reach db://me:pa55@host with hunter2", ["hunter2"])

    assert text == "cannot reach db://me:***@host with ***"


def test_types_have_names_for_readers() -> None:
    names = {name: type_name(one.type) for name, one in options_of(Everything).items()}

    assert names["path"] == "a path"
    assert names["mode"] == "'append' or 'replace'"
    assert names["names"] == "a list of text"
    assert names["sizes"] == "a mapping to whole numbers"
    assert names["key"] == "text or a list of text"
    assert names["wait"] == "a duration"
    assert names["limit"] == "a whole number"


def test_the_schema_agrees_with_the_validation() -> None:
    import jsonschema

    schema = schema_of(Everything)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)

    good = {"path": "x", "wait": "30s", "count": "${N}", "nested": {"depth": 1}, "limit": None}
    assert list(validator.iter_errors(good)) == []
    for bad in ({}, {"path": "x", "pth": 1}, {"path": "x", "flag": 3}, {"path": "x", "mode": "m"}):
        assert list(validator.iter_errors(bad)), bad
    assert schema["properties"]["wait"]["description"] == "How long."


# ---- text that names a file ---------------------------------------------------------------------


class AtBase:
    """A note that puts a name behind a folder."""

    def place(self, value: str, base: Path) -> str:
        if "?" in value:
            raise ValueError("must be a name without '?'")
        return f"{base}#{value}"


@component
class Placed:
    name: Annotated[str, AtBase()] = option(help="A name.")
    more: list[Annotated[str, AtBase()]] = option(help="Names.", default=[])


def test_the_note_of_a_type_places_a_value_at_the_base() -> None:
    given = {"name": "a", "more": ["b", "c"]}
    placed = {"name": "/base#a", "more": ["/base#b", "/base#c"]}

    assert read_options(Placed, given, Path("/base")) == (placed, [])
    assert read_options(Placed, given) == (given, [])
    assert Placed(name="a").name == "a"


@pytest.mark.parametrize(
    ("given", "message"),
    [("a?", "name: must be a name without '?', got 'a?'"), (5, "name: must be text, got 5")],
)
def test_a_value_that_cannot_be_placed_is_a_problem(given: Any, message: str) -> None:
    _, [problem] = read_options(Placed, {"name": given}, Path("/base"))

    assert str(problem).startswith(message)


def test_the_home_of_a_user_who_does_not_exist() -> None:
    _, problems = read_options(Everything, {"path": "~nouser/x.csv"}, Path("/base"))
    assert [str(one) for one in problems] == [
        "path: must be a path, got '~nouser/x.csv'; there is no such user"
    ]


LONG = "x" * 5_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, LONG) for name in ("count", "share", "flag", "wait", "size", "mode", "nested")),
        *((name, LONG) for name in ("names", "sizes", "limit", "delimiter")),
        ("key", {"a": LONG}),
        ("path", [LONG]),
        ("count", LONG.encode()),
        ("names", [[LONG]]),
    ],
)
def test_a_long_value_is_shown_by_its_beginning(name: str, value: Any) -> None:
    _, [problem] = read_options(Everything, {"path": "a", name: value})
    assert len(str(problem)) < 200
    assert "…" in str(problem)


def test_a_value_of_up_to_60_characters_is_shown_whole() -> None:
    assert short("x" * 58) == repr("x" * 58)
    assert short("x" * 59) == "'" + "x" * 58 + "…"
    assert short(list("ab")) == "['a', 'b']"
