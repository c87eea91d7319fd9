"""`penstock schema`: an editor accepts what `penstock check` accepts, and says why not."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft7Validator

from penstock.cli.schema import schema
from penstock.plugins import Plugins

WEATHER = """
from penstock import hookimpl

@hookimpl
def penstock_inputs():
    return {"weather": "weather_parts:Weather"}

@hookimpl
def penstock_inspectors():
    return {"sane": "weather_parts:Sane"}
"""

PARTS = '''
from pathlib import Path
from typing import Literal

from penstock import Duration, Inspector, RecordInput, component, option

@component
class Weather(RecordInput):
    """Ask for the weather."""

    city: str = option(help="Where.", example="Oslo")
    unit: Literal["C", "F"] = option(help="Of the temperature.", default="C")
    every: Duration = option(help="How often.", default=60.0)
    days: int = option(help="How many.", default=1)
    columns: list[str] = option(help="Which.", default=[])
    path: Path | None = option(help="Where to keep it.", default=None)

    def records(self, skip):
        return iter(())

@component
class Sane(Inspector):
    """Object to nonsense."""

    def inspect(self, record):
        pass
'''


@pytest.fixture
def weather(folder):
    folder.provide("acme-weather", WEATHER)
    folder.write("site/weather_parts.py", PARTS)
    return folder


@pytest.fixture
def made(cli, weather):
    return cli("schema").json


def document(**inputs):
    return {"inputs": inputs, "pipes": {"main": list(inputs)}}


GOOD = {
    "a component": document(a={"use": "weather", "city": "Oslo"}),
    "by its plugin": document(a={"use": "acme-weather/weather", "city": "Oslo"}),
    "every option": document(
        a={
            "use": "weather",
            "city": "Oslo",
            "unit": "F",
            "every": "30s",
            "days": 3,
            "columns": ["a"],
            "path": None,
        }
    ),
    "reserved keys": document(
        a={
            "use": "weather",
            "city": "Oslo",
            "description": "x",
            "on_error": "skip",
            "retry": {"tries": 3, "delay": "1s"},
            "optional": True,
            "key": "id",
        }
    ),
    "placeholders": document(
        a={"use": "weather", "city": "${CITY}", "days": "${DAYS}", "unit": "${UNIT}"}
    ),
    "hidden keys": {
        **document(a={"use": "weather", "city": "Oslo", "x-note": 1}),
        "x-shared": {"any": "thing"},
        "_more": [1],
    },
    "a function": document(a={"use": "mine:records", "whatever": [1, {"a": 2}]}),
    "the short form": {
        "inputs": {"a": "mine:records"},
        "inspectors": {"i": "sane"},
        "outputs": {"o": "print"},
        "pipes": {"p": ["a", "i", "o"]},
    },
    "mixing": {
        **document(a={"use": "weather", "city": "Oslo"}, b={"use": "weather", "city": "Rome"}),
        "pipes": {"p": ["a", {"mix": "b"}]},
    },
    "everything else": {
        **document(a={"use": "weather", "city": "Oslo"}),
        "$schema": "penstock.schema.json",
        "name": "n",
        "description": "d",
        "version": 1,
        "engine": {"use": "threads", "queue_bytes": "1MiB"},
        "epoch": {"records": 1000, "seconds": "10s"},
    },
    "an engine by name": {**document(a="mine:f"), "engine": "inline"},
}

BAD = {
    "no pipes": {"inputs": {}},
    "an unknown section": {**document(a="mine:f"), "colour": 1},
    "an unknown name": document(a={"use": "wether", "city": "Oslo"}),
    "an unknown option": document(a={"use": "weather", "town": "Oslo"}),
    "a missing option": document(a={"use": "weather"}),
    "a wrong type": document(a={"use": "weather", "city": "Oslo", "days": "three"}),
    "a wrong choice": document(a={"use": "weather", "city": "Oslo", "unit": "K"}),
    "a wrong item": document(a={"use": "weather", "city": "Oslo", "columns": [1]}),
    "a wrong policy": document(a={"use": "weather", "city": "Oslo", "on_error": "ignore"}),
    "no use": document(a={"city": "Oslo"}),
    "an empty pipe": {**document(a="mine:f"), "pipes": {"main": []}},
    "a wrong step": {**document(a="mine:f"), "pipes": {"main": [{"blend": "a"}]}},
    "a wrong engine": {**document(a="mine:f"), "engine": "thread"},
    "a wrong version": {**document(a="mine:f"), "version": 2},
    "a wrong epoch": {**document(a="mine:f"), "epoch": {"minutes": 1}},
    "an inspector that is optional": {
        **document(a="mine:f"),
        "inspectors": {"i": {"use": "sane", "optional": True}},
    },
    "a name of another role": document(a={"use": "sane"}),
}


def test_it_is_a_schema_of_draft_7(made):
    assert made["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(made)


@pytest.mark.parametrize("what", GOOD)
def test_it_accepts(made, what):
    assert [error.message for error in Draft7Validator(made).iter_errors(GOOD[what])] == []


@pytest.mark.parametrize("what", BAD)
def test_it_objects_to(made, what):
    assert not Draft7Validator(made).is_valid(BAD[what])


@pytest.mark.parametrize("what", [name for name in BAD if name != "an inspector that is optional"])
def test_what_it_objects_to_is_wrong_for_check_too(cli, made, weather, what):
    weather.write("mine.py", "def f():\n    yield 1\n")
    weather.write("bad.json", json.dumps(BAD[what]))
    assert cli("check", "bad.json").code in (3, 4)


@pytest.mark.parametrize(
    "what", ["every option", "reserved keys", "hidden keys", "everything else"]
)
def test_what_it_accepts_is_right_for_check_too(cli, made, weather, what):
    weather.write("good.json", json.dumps(GOOD[what]))
    done = cli("check", "good.json")
    assert (done.code, done.err) == (0, "")


def test_an_editor_finds_every_option_with_its_description(made):
    weather = made["definitions"]["input.weather"]["properties"]
    assert weather["city"]["description"] == "Where."
    assert weather["city"]["examples"] == ["Oslo"]
    assert weather["unit"]["default"] == "C"
    for name, definition in made["definitions"].items():
        for option, about in definition.get("properties", {}).items():
            if option != "use":
                assert about.get("description"), f"{name}.{option}"


def test_an_editor_finds_every_name_with_what_it_does(made):
    names = made["definitions"]["input"]["anyOf"][0]["anyOf"]
    assert {"const": "weather", "description": "Ask for the weather."} in names


def test_an_error_names_the_option(made):
    errors = list(Draft7Validator(made).iter_errors(BAD["a wrong choice"]))
    deepest = [inner for error in errors for inner in _leaves(error)]
    assert any(list(error.absolute_path) == ["inputs", "a", "unit"] for error in deepest)


def _leaves(error):
    if not error.context:
        yield error
    for inner in error.context or ():
        yield from _leaves(inner)


def test_it_holds_exactly_what_is_installed(cli, weather):
    bare = cli("schema", "--no-plugins").json
    assert [name for name in bare["definitions"] if name.startswith("input.")] == [
        "input.attribute"
    ]
    assert Draft7Validator(bare).is_valid(document(a="mine:f"))
    assert not Draft7Validator(bare).is_valid(GOOD["a component"])


def test_a_name_of_two_plugins_must_be_chosen(cli, weather):
    weather.provide("other-weather", WEATHER)
    made = cli("schema").json
    Draft7Validator.check_schema(made)
    assert not Draft7Validator(made).is_valid(GOOD["a component"])
    assert Draft7Validator(made).is_valid(GOOD["by its plugin"])


def test_streams_are_there_with_a_broker():
    class Hooks:
        @staticmethod
        def penstock_brokers():
            return {"bus": _Bus}

    from penstock import hookimpl

    Hooks.penstock_brokers = staticmethod(hookimpl(Hooks.penstock_brokers))
    plugins = Plugins(discover=False)
    plugins.register(Hooks, "buses")
    made, warnings = schema(plugins)
    assert warnings == []
    valid = Draft7Validator(made).is_valid
    stream = {"use": "stream", "broker": "b", "stream": "s", "group": "g"}
    assert valid({**document(a=stream), "brokers": {"b": {"use": "bus"}}})
    assert not valid(document(a={"use": "stream", "broker": "b"}))


class _Bus:
    """A broker."""


def test_what_cannot_be_imported_is_left_out_with_a_warning(cli, folder):
    folder.provide(
        "acme-torn",
        """
        from penstock import hookimpl

        @hookimpl
        def penstock_inputs():
            return {"torn": "nowhere_at_all:Torn"}
        """,
    )
    done = cli("schema")
    assert done.code == 0
    assert "warning: nowhere_at_all:Torn: there is no module 'nowhere_at_all'" in done.err
    assert "input.torn" not in done.json["definitions"]


def test_it_is_written_to_a_file(cli, folder):
    done = cli("schema", "--output", "s.json")
    assert (done.out, done.err) == ("", "wrote s.json\n")
    Draft7Validator.check_schema(json.loads((folder / "s.json").read_text()))
    done = cli("schema", "--output", "nowhere/s.json")
    assert done.code == 2
    assert done.err == (
        "nowhere/s.json: cannot be written: No such file or directory; choose another file\n"
    )
