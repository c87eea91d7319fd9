"""`penstock new`: what it writes works as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from penstock.cli.new_plugin import plugin_files
from penstock.hookspecs import PROVIDERS

FILES = """
from pathlib import Path

from penstock import hookimpl

@hookimpl
def penstock_inputs():
    return {"table": "tables:Table"}

@hookimpl
def penstock_outputs():
    return {"table": "tables:Write", "picky": "tables:Picky"}
"""

TABLES = '''
from pathlib import Path

from penstock import Output, RecordInput, component, option

@component
class Table(RecordInput):
    """Read a table."""

    path: Path = option(help="File to read.", example="in.table")
    columns: list[str] = option(help="Which.")
    limit: int = option(help="How many.", default=10)

    def records(self, skip):
        return iter(())

@component
class Write(Output):
    """Write a table."""

    path: Path = option(help="File to write.")

    def write(self, batch):
        pass

@component
class Picky(Output):
    """Write only to one place."""

    path: Path = option(help="File to write.")

    def check(self):
        raise ValueError("path must be one that exists")

    def write(self, batch):
        pass
'''


@pytest.fixture
def tables(folder):
    folder.provide("acme-table", FILES)
    folder.write("site/tables.py", TABLES)
    return folder


# ---- a pipeline ---------------------------------------------------------------------------------


def test_a_new_pipeline_runs_with_the_kernel_alone(cli, folder):
    done = cli("new", "pipeline", "orders", "--no-plugins")
    assert done.code == 0
    assert done.err.splitlines() == [
        "wrote orders.yaml",
        "wrote orders_functions.py",
        "wrote orders.jsonl",
        "wrote orders.test.yaml",
        "wrote README.md",
        "wrote penstock.schema.json",
    ]
    assert cli("check", "orders.yaml", "--no-plugins").code == 0
    assert cli("run", "orders.yaml", "--no-plugins", "-q").out.splitlines() == [
        '{"id": 1, "name": "Ada"}',
        '{"id": 2, "name": "Björn"}',
        '{"id": 3, "name": "Chloé"}',
    ]


def test_an_editor_finds_its_schema(cli, folder):
    cli("new", "pipeline", "orders")
    first = (folder / "orders.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=penstock.schema.json"
    assert (folder / "penstock.schema.json").is_file()


def test_from_and_to_name_what_is_installed(cli, tables):
    done = cli("new", "pipeline", "copy.yml", "--from", "table", "--to", "table")
    assert (done.code, "filled in" in done.err) == (0, False)
    assert not (tables / "copy_functions.py").exists()
    text = (tables / "copy.yml").read_text()
    assert '    path: "in.table"\n' in text
    assert "    # limit: 10\n" in text
    assert "copy: [records, written]" in text
    assert cli("check", "copy.yml").code == 0


LINES = """
import csv
import json

from penstock import Output, RecordInput, component, option
from pathlib import Path

@component
class Rows(RecordInput):
    path: Path = option(help="File to read.", example="in.csv")

    def records(self, skip):
        with self.path.open() as file:
            yield from list(csv.DictReader(file))[skip:]

@component
class Lines(RecordInput):
    path: Path = option(help="File to read.", example="in.jsonl")

    def records(self, skip):
        yield from list(map(json.loads, self.path.read_text().splitlines()))[skip:]

@component
class Write(Output):
    path: Path = option(help="File to write.", example="out.jsonl")

    def write(self, batch):
        self.path.write_text("".join(json.dumps(record) + "\\n" for record in batch.records))
"""


@pytest.mark.parametrize(("use", "sample"), [("rows", "copy.csv"), ("lines", "copy.jsonl")])
def test_a_pipeline_that_reads_a_file_has_data_to_begin_with(cli, folder, use, sample):
    """The two ends read and write what looks alike, and still not the same file."""
    folder.provide(
        "acme-lines",
        "from penstock import hookimpl\n\n"
        '@hookimpl\ndef penstock_inputs():\n    return {"rows": "ends:Rows", "lines": "ends:Lines"}\n'
        '\n@hookimpl\ndef penstock_outputs():\n    return {"out": "ends:Write"}\n',
    )
    folder.write("site/ends.py", LINES)
    assert cli("new", "pipeline", "copy", "--from", use, "--to", "out").code == 0
    assert (folder / sample).is_file()
    assert cli("run", "copy.yaml", "-q").code == 0
    assert "Björn" in json.loads((folder / "copy_out.jsonl").read_text().splitlines()[1])["name"]


def test_a_second_pipeline_of_a_folder_shares_its_readme_and_its_schema(cli, folder):
    cli("new", "pipeline", "orders")
    folder.write("README.md", "mine")
    done = cli("new", "pipeline", "returns")
    assert done.code == 0
    assert "README" not in done.err
    assert (folder / "README.md").read_text() == "mine"


def test_one_end_may_be_a_function(cli, tables):
    cli("new", "pipeline", "load", "--to", "table")
    assert cli("check", "load.yaml").code == 0
    assert "main" not in (tables / "load_functions.py").read_text()


def test_what_only_a_person_can_fill_in_is_said(cli, tables):
    done = cli("new", "pipeline", "copy", "--from", "table", "--to", "picky")
    assert done.code == 0
    assert "to be filled in:\ncopy.yaml:" in done.err
    assert "path must be one that exists" in done.err


def test_what_was_written_as_json(cli, folder):
    assert cli("new", "pipeline", "a", "--json").json == [
        "a.yaml",
        "a_functions.py",
        "a.jsonl",
        "a.test.yaml",
        "README.md",
        "penstock.schema.json",
    ]


def test_another_folder_and_an_odd_name(cli, folder):
    assert cli("new", "pipeline", "sub/my-orders 2").code == 0
    assert cli("check", "sub/my-orders 2.yaml").code == 0


def test_nothing_is_overwritten(cli, folder):
    folder.write("orders_functions.py", "mine")
    done = cli("new", "pipeline", "orders")
    assert done.code == 2
    assert done.err == (
        "orders_functions.py: is there already; choose another name, or remove it\n"
    )
    assert not (folder / "orders.yaml").exists()
    assert (folder / "orders_functions.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["pipeline", "a.toml"], 2, "a.toml: a new pipeline is written as YAML, not as '.toml'; "),
        (["pipeline", "a", "--from", "tabel"], 4, "no input named 'tabel'; did you mean 'table'?"),
        (["pipeline", "a", "--to", "tabel"], 4, "no output named 'tabel'; did you mean 'table'?"),
        (
            ["plugin", "My-Plugin", "--role", "input"],
            2,
            "penstock new plugin: 'My-Plugin' is not a name for a component; use lower-case",
        ),
        (["plugin", "my__plugin", "--role", "input"], 2, "penstock new plugin: 'my__plugin' is"),
        (
            ["plugin", "x", "--role", "input", "--distribution", "Acme_X"],
            2,
            "penstock new plugin: 'Acme_X' is not a name for a distribution; use lower-case",
        ),
        (
            ["plugin", "csv", "--role", "input"],
            2,
            "penstock new plugin: the input 'csv' comes with penstock-input-csv; choose another",
        ),
        (
            ["plugin", "inline", "--role", "engine"],
            2,
            "penstock new plugin: the engine 'inline' comes with penstock; choose another",
        ),
        (
            ["plugin", "run", "--role", "command"],
            2,
            "penstock new plugin: the command 'run' comes with penstock; choose another",
        ),
        (["plugin", "x"], 2, "penstock new plugin: the following arguments are required: --role"),
        (["plugin", "x", "--role", "sink"], 2, "penstock new plugin: argument --role: invalid"),
        (["pump", "x"], 2, "penstock new: argument pipeline|plugin: invalid choice: 'pump'"),
        ([], 2, "penstock new: the following arguments are required: pipeline|plugin"),
    ],
)
def test_what_cannot_be_written(cli, tables, arguments, code, sentence):
    before = sorted(tables.path.iterdir())
    done = cli("new", *arguments)
    assert done.code == code
    assert done.err.startswith(sentence)
    assert sorted(tables.path.iterdir()) == before


def test_a_folder_that_cannot_be_made(cli, folder):
    folder.write("taken", "")
    done = cli("new", "pipeline", "taken/orders")
    assert done.code == 2
    assert "cannot be written: " in done.err
    assert done.err.endswith("; choose another folder\n")


# ---- a plugin -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", PROVIDERS)
def test_a_new_plugin_passes_its_own_tests(cli, folder, role):
    assert cli("new", "plugin", "my_weather", "--role", role).code == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/test_{role}.py"],
        cwd=folder / "penstock-my-weather",
        env=folder.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_new_plugin_has_the_files_that_every_package_has():
    names = {path.as_posix() for path in plugin_files("weather", "input")}
    assert names == {
        "penstock-weather/pyproject.toml",
        "penstock-weather/README.md",
        "penstock-weather/CHANGELOG.md",
        "penstock-weather/.gitignore",
        "penstock-weather/src/penstock_weather/__init__.py",
        "penstock-weather/src/penstock_weather/plugin.py",
        "penstock-weather/src/penstock_weather/conformance.py",
        "penstock-weather/src/penstock_weather/input.py",
        "penstock-weather/src/penstock_weather/py.typed",
        "penstock-weather/tests/test_input.py",
        "penstock-weather/tests/test_conformance.py",
    }


def test_a_distribution_may_have_a_name_of_its_own(cli, folder):
    assert (
        cli("new", "plugin", "weather", "--role", "input", "--distribution", "acme-sky").code == 0
    )
    text = (folder / "acme-sky" / "pyproject.toml").read_text()
    assert 'name = "acme-sky"' in text
    assert 'weather = "acme_sky.plugin"' in text
    assert (folder / "acme-sky" / "src" / "acme_sky" / "input.py").is_file()


def test_a_new_plugin_is_built_installed_and_used(cli, folder):
    """With pip and hatchling, as its author will do it."""
    pytest.importorskip("hatchling")
    cli("new", "plugin", "weather", "--role", "input")
    options = [
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        "installed",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "./penstock-weather"],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(folder / "installed"), folder.environment["PYTHONPATH"]])
    folder.write("a.yaml", "inputs: {w: {use: weather, count: 2}}\npipes: {main: [w]}\n")
    done = folder.penstock("run", "a.yaml", "-q", PYTHONPATH=path)
    assert (done.code, done.out) == (0, '{"number": 1}\n{"number": 2}\n')
    listed = [line.split() for line in folder.penstock("plugins", PYTHONPATH=path).out.splitlines()]
    assert ["penstock-weather", "0.1.0", "loaded", "input", "weather"] in listed


def test_nothing_of_a_plugin_is_overwritten(cli, folder):
    folder.write("penstock-weather/README.md", "mine")
    done = cli("new", "plugin", "weather", "--role", "input")
    assert done.code == 2
    assert "README.md: is there already" in done.err
    assert not (folder / "penstock-weather" / "pyproject.toml").exists()
