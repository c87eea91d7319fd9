"""The reference says what the code says."""

from __future__ import annotations

import inspect
import re

import generate
import pytest
from repository import CORE, REPO

import penstock
from penstock import errors
from penstock.cli import COMMANDS
from penstock.hookspecs import PROVIDERS, Hooks
from penstock.native import SECTIONS

REFERENCE = REPO / "docs" / "reference"


GENERATED = [path for path in generate.PAGES if generate.PART.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("path", GENERATED, ids=[str(path.relative_to(REPO)) for path in GENERATED])
def test_what_follows_from_the_code_is_current(path):
    text = path.read_text(encoding="utf-8")
    assert generate.renewed(text) == text, "run: python docs/generate.py"


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


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_every_hook_is_described_with_its_arguments():
    for name, function in vars(Hooks).items():
        if name.startswith("penstock_"):
            arguments = list(inspect.signature(function).parameters)[1:]
            [shown] = re.findall(rf"^### `{name}\((.*)\) ->", page("hooks.md"), re.MULTILINE)
            assert re.findall(r"(\w+): ", shown) == arguments


def test_every_command_is_described():
    assert re.findall(r"^### `penstock (\w+)`$", page("command-line.md"), re.MULTILINE) == [
        *COMMANDS
    ]


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
