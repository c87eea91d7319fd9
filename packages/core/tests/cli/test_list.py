"""`penstock list`, `penstock plugins` and `penstock describe`: what is installed."""

from __future__ import annotations

import pytest

WEATHER = """
from penstock import hookimpl

@hookimpl
def penstock_inputs():
    return {"weather": "weather_parts:Weather"}

@hookimpl
def penstock_outputs():
    return {"weather": "weather_parts:Store", "torn": "weather_parts:Nothing"}
"""

PARTS = '''
from typing import Literal

from penstock import Output, RecordInput, component, option

@component
class Weather(RecordInput):
    """Ask for the weather.

    Every hour.
    """

    city: str = option(help="Where.", example="Oslo")
    unit: Literal["C", "F"] = option(help="Of the temperature.", default="C")
    token: str = option(help="Of the service.", default="hush", secret=True)

    def records(self, skip):
        return iter(())

@component
class Store(Output):
    """Keep the weather."""

    delivery = "keyed"

    def write(self, batch):
        pass
'''


@pytest.fixture
def weather(folder):
    folder.provide("acme-weather", WEATHER, version="2.1")
    folder.write("site/weather_parts.py", PARTS)
    return folder


# ---- list ---------------------------------------------------------------------------------------


def test_every_name_with_its_plugin_and_first_line(cli, weather):
    lines = cli("list").out.splitlines()
    assert lines[0].split() == ["kind", "name", "comes", "with"]
    rows = [line.split(None, 4) for line in lines]
    assert ["input", "weather", "acme-weather", "2.1", "Ask for the weather."] in rows
    assert ["output", "weather", "acme-weather", "2.1", "Keep the weather."] in rows


def test_what_cannot_be_imported_is_listed_with_the_reason(cli, weather):
    done = cli("list", "outputs")
    assert done.code == 0
    assert "broken: weather_parts:Nothing: 'weather_parts' has no 'Nothing'" in done.out


@pytest.mark.parametrize("kind", ["input", "inputs"])
def test_one_kind_as_json(cli, weather, kind):
    found = cli("list", kind, "--json").json
    assert {one["kind"] for one in found} == {"input"}
    assert {
        "kind": "input",
        "name": "weather",
        "plugin": "acme-weather",
        "version": "2.1",
        "summary": "Ask for the weather.",
    } in found


def test_names_that_two_plugins_provide_are_listed_as_they_can_be_used(cli, weather):
    weather.provide("other-weather", WEATHER)
    names = [one["name"] for one in cli("list", "inputs", "--json").json]
    assert {"acme-weather/weather", "other-weather/weather"} <= set(names)
    assert "weather" not in names


def test_an_unknown_kind(cli):
    done = cli("list", "imputs")
    assert done.code == 2
    assert done.err == "penstock list: there is no kind 'imputs'; did you mean 'inputs'?\n"
    assert "there are inputs, inspectors" in cli("list", "zzz").err


def test_only_the_kernel_without_plugins(cli, weather):
    assert {one["plugin"] for one in cli("list", "--no-plugins", "--json").json} == {"penstock"}


def test_a_file_as_a_plugin(cli, folder):
    file = folder.write("extra.py", WEATHER)
    file.chmod(0o644)
    found = cli("list", "inputs", "--plugin", str(file), "--json").json
    assert "weather" in [one["name"] for one in found]


# ---- plugins ------------------------------------------------------------------------------------


def test_plugins_with_their_state(cli, weather, monkeypatch):
    weather.provide("acme-torn", "raise SystemExit('no licence')")
    weather.provide("acme-off", "raise SystemExit('imported')")
    monkeypatch.setenv("PENSTOCK_DISABLE", "acme-off")
    states = {one["name"]: one for one in cli("plugins", "--json").json}
    assert states["penstock"]["state"] == "loaded"
    assert states["acme-weather"]["names"] == {"input": ["weather"], "output": ["weather", "torn"]}
    assert states["acme-weather"]["hooks"] == ["penstock_inputs", "penstock_outputs"]
    assert states["acme-torn"]["state"] == "broken"
    assert states["acme-torn"]["reason"] == "SystemExit: no licence"
    assert "acme-off" not in states
    everything = {one["name"]: one for one in cli("plugins", "--all", "--json").json}
    assert everything["acme-off"]["reason"] == "by PENSTOCK_DISABLE"


def test_plugins_as_a_table(cli, weather):
    weather.provide("acme-torn", "import nowhere_to_be_found")
    out = cli("plugins").out
    assert "acme-weather" in out
    assert "input weather; output weather, torn" in out
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in out


def test_plugins_traced(cli, weather):
    weather.provide("acme-torn", "import nowhere_to_be_found")
    lines = cli("plugins", "--trace").out.splitlines()
    assert "acme-weather 2.1 (loaded)" in lines
    assert f"  file    {weather / 'site' / 'acme_weather_hooks.py'}" in lines
    assert "  hook    penstock_inputs" in lines
    assert "  input weather = weather_parts:Weather" in lines
    assert "acme-torn 1.0 (broken)" in lines
    assert "  reason  ModuleNotFoundError: No module named 'nowhere_to_be_found'" in lines


def test_a_plugin_whose_hook_fails_is_broken(cli, folder):
    folder.provide(
        "acme-torn",
        "from penstock import hookimpl\n\n@hookimpl\ndef penstock_inputs():\n    return 1 / 0\n",
    )
    [found] = [one for one in cli("plugins", "--json").json if one["name"] == "acme-torn"]
    assert found["state"] == "broken"
    assert found["reason"] == "penstock_inputs: ZeroDivisionError: division by zero"


def test_a_plugin_that_is_on_the_path_twice_is_one(cli, weather):
    weather.write(
        "site/acme_weather.egg-info/entry_points.txt",
        "[penstock.plugins.v1]\nmain = acme_weather_hooks\n",
    )
    found = [one for one in cli("plugins", "--json").json if one["name"] == "acme-weather"]
    assert [one["state"] for one in found] == ["loaded"]


# ---- describe -----------------------------------------------------------------------------------


def test_a_component_with_its_options_and_an_example(cli, weather):
    out = cli("describe", "weather", "--kind", "input").out
    assert out.splitlines() == [
        "weather: input of acme-weather 2.1",
        "",
        "Ask for the weather.",
        "",
        "Every hour.",
        "",
        "capability: replayable",
        "",
        "options:",
        "  city: text; required",
        "      Where. Example: 'Oslo'",
        "  unit: 'C' or 'F'; default 'C'",
        "      Of the temperature.",
        "  token: text; default ***; secret",
        "      Of the service.",
        "",
        "also, as every input: use, description, on_error, retry, timeout, optional, key, spool",
        "",
        "example:",
        "  inputs:",
        "    my_input:",
        "      use: weather",
        '      city: "Oslo"',
    ]


def test_a_name_of_several_kinds_is_described_in_each(cli, weather):
    assert [one["kind"] for one in cli("describe", "weather", "--json").json] == ["input", "output"]
    assert "delivery: keyed" in cli("describe", "weather").out


def test_what_a_class_decides_by_its_options_is_not_guessed(cli, folder):
    folder.write(
        "both.py",
        """
        from penstock import Output, component

        @component
        class Both(Output):
            @property
            def delivery(self):
                return "keyed"
        """,
    )
    assert "delivery: depends on its options" in cli("describe", "both:Both").out


def test_a_kind_that_cannot_be_imported_does_not_hide_the_other(cli, weather):
    weather.provide(
        "acme-torn",
        """
        from penstock import hookimpl

        @hookimpl
        def penstock_transformers():
            return {"weather": "nowhere_at_all:Weather"}
        """,
    )
    done = cli("describe", "weather")
    assert done.code == 4
    assert done.err == "nowhere_at_all:Weather: there is no module 'nowhere_at_all'\n"
    assert "weather: input of" in done.out
    assert "weather: output of" in done.out


def test_the_description_as_json_hides_secrets(cli, weather):
    done = cli("describe", "weather", "--kind", "input", "--json")
    [found] = done.json
    options = {one["name"]: one for one in found["options"]}
    assert options["city"]["required"] is True
    assert options["token"]["default"] == "***"
    assert "hush" not in done.out
    assert found["schema"]["required"] == ["city"]


def test_a_function_is_described_as_well(cli, functions):
    [found] = cli("describe", "functions:double", "--json").json
    assert (found["kind"], found["doc"]) == ("transformer", "Double the number.")
    [found] = cli("describe", "functions:count", "--kind", "input", "--json").json
    assert [option["name"] for option in found["options"]] == ["upto"]


def test_a_class_is_described_in_its_own_role(cli, weather):
    [found] = cli("describe", "weather_parts:Store", "--json").json
    assert found["kind"] == "output"


def test_what_is_no_component_has_no_options(cli, folder):
    out = cli("describe", "native").out
    assert out.startswith("native: dialect of penstock 0.1.0")
    assert "options" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["wether"], 4, "penstock describe: nothing is named 'wether'; did you mean 'weather'?"),
        (["zzzz"], 4, "penstock describe: nothing is named 'zzzz'; see `penstock list`"),
        (["weathr", "--kind", "input"], 4, "no input named 'weathr'; did you mean 'weather'?"),
        (["nowhere:thing"], 4, "nowhere:thing: there is no module 'nowhere'"),
        (["functions:dubble"], 4, "functions:dubble: 'functions' has no 'dubble'; did you mean"),
        (["functions:RecordError.__doc__"], 4, "'functions:RecordError.__doc__' is neither a"),
        (["functions:double", "--kind", "store"], 2, "penstock describe: a function cannot be "),
        (["x", "--kind", "thing"], 2, "penstock describe: argument --kind: invalid choice"),
    ],
)
def test_what_cannot_be_described(cli, weather, functions, arguments, code, sentence):
    done = cli("describe", *arguments)
    assert done.code == code
    assert done.err.startswith(sentence)


def test_a_first_party_name_is_told_with_what_to_install(cli):
    done = cli("describe", "dedupe", "--no-plugins")
    assert done.code == 4
    assert "pip install penstock-transformer-shape" in done.err


def test_a_name_of_two_plugins_must_be_chosen(cli, weather):
    weather.provide("other-weather", WEATHER)
    done = cli("describe", "weather", "--kind", "input")
    assert done.code == 4
    assert "is provided by acme-weather and other-weather; write 'acme-weather/weather'" in done.err
    assert cli("describe", "other-weather/weather", "--kind", "input").code == 0
