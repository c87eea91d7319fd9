"""The reference says what the code says."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from textwrap import dedent

import generate
import pytest
from generated import certified
from generated.messages import messages as found_in
from generated.packages import missing, ours
from repository import CORE, REPO

import penstock
from penstock import errors
from penstock.cli import COMMANDS, find_command
from penstock.hookspecs import PROVIDERS, Hooks
from penstock.native import SECTIONS
from penstock.options import options_of
from penstock.spec import ROLES

REFERENCE = REPO / "docs" / "reference"


GENERATED = [path for path in generate.PAGES if generate.PART.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("path", GENERATED, ids=[str(path.relative_to(REPO)) for path in GENERATED])
def test_what_follows_from_the_code_is_current(path):
    text = path.read_text(encoding="utf-8")
    assert generate.renewed(text) == text, "run: python docs/generate.py"


@pytest.mark.parametrize("path", generate.FILES, ids=lambda path: path.name)
def test_a_file_that_follows_from_the_code_is_current(path):
    assert path.read_text(encoding="utf-8") == generate.FILES[path](), (
        "run: python docs/generate.py"
    )


def test_every_part_stands_on_a_page():
    shown = {
        part["name"] for path in GENERATED for part in generate.PART.finditer(path.read_text())
    }
    assert shown == set(generate.PARTS)


def test_a_part_that_changes_is_written_again():
    page = "Before.\n<!-- generated: errors for authors -->\nold\n<!-- end -->\nAfter.\n"
    new = generate.renewed(page)
    assert new.startswith("Before.\n<!-- generated: errors for authors -->\n\n| class | |\n")
    assert "| `RecordError` |" in new
    assert "old" not in new
    assert new.endswith("\n\n<!-- end -->\nAfter.\n")


def test_a_part_that_nobody_writes_is_refused():
    with pytest.raises(SystemExit, match="there is no part 'weather'; there are inputs"):
        generate.renewed("<!-- generated: weather -->\n<!-- end -->")


def test_without_all_packages_nothing_is_written(monkeypatch):
    """What is not installed would be missing on the pages."""
    assert missing() == {}
    absent = {"penstock-sink-csv": "packages/sink-csv", "penstock-sql": "packages/sql"}
    monkeypatch.setattr(generate, "missing", lambda: absent)
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    with pytest.raises(SystemExit) as raised:
        generate.main()
    assert str(raised.value) == (
        "docs/generate.py: penstock-sink-csv, penstock-sql: not installed, and the pages are written "
        "from what is; pip install --editable packages/sink-csv --editable packages/sql"
    )


def test_a_package_that_is_not_installed_or_broken_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("generated.packages.REPO", tmp_path)
    for folder, name in [("nowhere", "penstock-nowhere"), ("sink-csv", "penstock-sink-csv")]:
        (tmp_path / "packages" / folder).mkdir(parents=True)
        (tmp_path / "packages" / folder / "pyproject.toml").write_text(f'name = "{name}"\n')
    assert missing() == {"penstock-nowhere": "packages/nowhere"}
    monkeypatch.setenv("PENSTOCK_DISABLE", "penstock-sink-csv")
    assert [*missing()] == ["penstock-nowhere", "penstock-sink-csv"]


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_every_hook_is_described_with_its_arguments():
    for name, function in vars(Hooks).items():
        if name.startswith("penstock_"):
            arguments = list(inspect.signature(function).parameters)[1:]
            [shown] = re.findall(rf"^### `{name}\((.*)\) ->", page("hooks.md"), re.MULTILINE)
            assert re.findall(r"(\w+): ", shown) == arguments


def test_every_command_is_described():
    described = re.findall(r"^### `penstock (\w+)`$", page("command-line.md"), re.MULTILINE)
    assert described == [*COMMANDS, *(one.name for one in ours("command"))]


def test_every_argument_of_every_command_is_described():
    text = page("command-line.md")
    for name in [*COMMANDS, *(one.name for one in ours("command"))]:
        parser = argparse.ArgumentParser()
        find_command(name).arguments(parser)
        described = text.split(f"### `penstock {name}`")[1].split("\n### ")[0]
        for action in parser._actions:
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
                nested = isinstance(action, argparse._SubParsersAction)
                assert nested or action.help, f"penstock {name}: {action.dest} has no help"
                for option in action.option_strings:
                    assert f"`{option}" in described, (name, option)


def test_every_option_of_every_component_is_described():
    text = page("components.md")
    for kind in (*ROLES, "engine", "broker"):
        for one in ours(kind):
            for name, option in options_of(one.load()).items():
                assert option.help, f"{one.plugin}: {kind} {one.name}: {name} has no help"
                assert f"| `{name}` |" in text, (one.name, name)


def test_what_is_listed_without_options_has_none():
    """One that gets some needs a section of its own on the page."""
    for kind in ("scheduler", "store", "dialect", "syntax"):
        for one in ours(kind):
            assert options_of(one.load()) == {}, (one.plugin, kind, one.name)


def test_every_exit_code_is_explained():
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", page("exit-codes.md"), re.M)}
    assert codes <= explained


def test_every_section_of_a_pipeline_file_is_explained():
    explained = re.findall(r"^\| (`.*?`) \|", page("native-file.md"), re.MULTILINE)
    assert set(SECTIONS) <= {name for cell in explained for name in re.findall(r"`(\w+)`", cell)}


def test_every_public_name_is_listed():
    assert re.findall(r"^\| `(\w+)` \|", page("python.md"), re.MULTILINE) == penstock.__all__


def test_the_glossary_has_a_word_for_everything_that_plugins_provide():
    words = set(re.findall(r"^\| ([a-z ]+) \|", page("glossary.md"), re.MULTILINE))
    assert set(PROVIDERS) - {"command"} <= words


def test_the_readme_lists_every_package(package):
    text = (REPO / "README.md").read_text(encoding="utf-8")
    assert f"[{package.distribution}](packages/{package.folder}/README.md)" in text
    assert package.project["description"] in text


def test_the_readme_begins_with_the_kernel():
    listed = re.findall(r"\]\(packages/(.+?)/README.md\)", (REPO / "README.md").read_text("utf-8"))
    assert listed == [CORE.folder, *sorted(name for name in listed if name != CORE.folder)]


# ---- messages -----------------------------------------------------------------------------------


def listed(package: str) -> list[re.Pattern[str]]:
    """The messages that the page lists for a package, as patterns."""
    section = page("messages.md").split(f"### {package}\n")[1].split("\n### ")[0]
    texts = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines()[4:]]
    found = []
    for text in texts:
        plain = text.replace("\\|", "|").replace("&lt;", "<")
        pieces = [re.escape(piece) for piece in re.split(r"\{\w+\}|…", plain)]
        found.append(re.compile(".*".join(pieces)))
    return found


@pytest.mark.parametrize(
    ("distribution", "said"),
    [
        ("penstock", "no such option"),
        ("penstock", "is required"),
        ("penstock", "no component named 'claen'"),
        ("penstock", "no input named 'cvs'"),
        ("penstock", "another run is under way (process 1 on here)"),
        ("penstock", "there is no module 'nowhere'"),
        ("penstock", "is there already"),
        ("penstock-input-csv", "must be one character"),
        ("penstock-expressions", "cannot read 'n/a' as decimal"),
        ("penstock-inspector-quality", "customer is empty"),
    ],
)
def test_a_message_that_users_see_is_in_the_catalogue(distribution, said):
    found = [
        one.pattern for one in listed(distribution) if one.search(said) and len(one.pattern) > 8
    ]
    assert found, f"{distribution} says {said!r}, and the catalogue does not"


def test_the_catalogue_says_what_to_do_about_each():
    rows = [line for line in page("messages.md").splitlines() if line.startswith("| ")]
    assert len(rows) > 200
    assert [row for row in rows if not re.search(r" \| \S.* \| (`\w+`|error)", row)] == []


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ('raise RunError("it broke for good", hint="mend it")', ["it broke for good"]),
        ('raise RunError(f"no {kind} named {short(name)}")', ["no {kind} named {name}"]),
        ('what = "one thing"\n    raise RunError(what)', ["one thing"]),
        ('raise RunError("it is late" if a else "it is early")', ["it is late", "it is early"]),
        ("raise RunError(str(error))", []),
        ('refuse("too many values")', ["too many values"]),
    ],
)
def test_messages_are_found_in_source(tmp_path, source, messages):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text(
        f"def refuse(what):\n    raise RunError(what)\n\ndef f():\n    {source}\n"
    )
    assert [text for text, _ in found_in(tmp_path)] == messages


HELPERS = {
    "refusing.py": """
        HINT = "mend it"
        def refuse(where, what):
            raise RunError(f"{what}: {where}", hint=HINT)
        def f():
            refuse("here", "it broke for good")
    """,
    "advising.py": """
        def refuse(what, hint, where=None):
            raise RunError(what, hint=hint)
        def f(names):
            refuse("too many values", "leave out " + " ".join(names))
    """,
}


def test_what_to_do_is_said_by_the_caller_or_by_the_function_of_its_own_module(tmp_path):
    (tmp_path / "src").mkdir()
    for name, source in HELPERS.items():
        (tmp_path / "src" / name).write_text(dedent(source))
    assert found_in(tmp_path) == {
        ("it broke for good", "RunError"): ["mend it"],
        ("too many values", "RunError"): ["leave out …"],
    }


# ---- what faults have certified

CERTIFIED = json.loads(certified.CERTIFIED.read_text(encoding="utf-8"))


def test_a_row_of_a_test_that_is_not_there_is_refused(monkeypatch, tmp_path):
    rows = tmp_path / "certified.json"
    monkeypatch.setattr(certified, "CERTIFIED", rows)
    rows.write_text(json.dumps([{**CERTIFIED[0], "test": "tests/faults/test_kills.py::test_gone"}]))
    with pytest.raises(SystemExit, match="certified by a test that is not there"):
        list(certified.kills())


def test_nothing_that_was_lost_is_certified_and_every_kill_has_a_wrong_way_beside_it():
    kills = [row for row in CERTIFIED if row["fault"] == "kill -9"]
    assert kills
    assert all(row["tried"] >= 200 for row in kills)
    assert all(row["wrong"]["lost"] + row["wrong"]["repeated"] > 0 for row in kills)
    assert not [row for row in CERTIFIED if row["lost"] or row["repeated"] or row["torn"]]
