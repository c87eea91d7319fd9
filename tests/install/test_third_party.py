"""A plugin that a stranger wrote is a plugin like any other."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize

import pytest
from repository import REPO

STRANGERS = [path.parent for path in sorted(REPO.glob("examples/*/pyproject.toml"))]


@pytest.mark.parametrize("folder", STRANGERS, ids=lambda folder: folder.name)
def test_it_is_found_beside_the_core_alone(folder, wheels, new_environment, tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel"]
    subprocess.run([*build, "--outdir", tmp_path, folder], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    environment = new_environment("stranger")
    environment.install(wheels["core"], wheel)
    listed = json.loads(environment.run("penstock", "plugins", "--json").stdout)
    states = {plugin["name"].replace("-", "_"): plugin["state"] for plugin in listed}
    assert states[wheel.name.split("-")[0]] == "loaded"


@pytest.mark.parametrize("folder", STRANGERS, ids=lambda folder: folder.name)
def test_it_is_written_in_under_thirty_lines(folder):
    sources = list((folder / "src").rglob("*.py"))
    assert 0 < sum(len(lines_of_code(path.read_text("utf-8"))) for path in sources) < 30


def lines_of_code(source: str) -> set[int]:
    """The numbers of the lines that hold something else than comments and docstrings."""
    code = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in code
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def test_lines_of_code_are_counted_without_comments_and_docstrings():
    source = '"""Says\nmuch."""\n\n# and more\ndef f(\n    x,\n):\n    """Too."""\n    return x\n'
    assert lines_of_code(source) == {5, 6, 7, 9}
