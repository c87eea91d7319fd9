"""The commands of the README, which would take too long, are commands of these programs."""

from __future__ import annotations

import shlex
from pathlib import Path

import peers
import pytest
import run
from docpages import blocks, commands

HERE = Path(__file__).resolve().parent.parent
PROGRAMS = {"benchmarks/run.py": run.parse, "benchmarks/peers.py": peers.parse}
COMMANDS = [
    command.text
    for block in blocks((HERE / "README.md").read_text("utf-8"))
    if block.language == "console"
    for command in commands(block)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command: str) -> None:
    python, program, *arguments = shlex.split(command, comments=True)
    assert python == "python"
    assert PROGRAMS[program](arguments)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("run", ["W77"]),
        ("run", ["--rows", "0"]),
        ("run", ["--peer=duckdb"]),
        ("peers", []),
        ("peers", ["install", "nothing"]),
    ],
)
def test_what_the_programs_do_not_know_is_refused(program: str, arguments: list[str]) -> None:
    with pytest.raises((SystemExit, ValueError)):
        PROGRAMS[f"benchmarks/{program}.py"](arguments)


def test_there_are_commands_of_both() -> None:
    assert {shlex.split(command)[1] for command in COMMANDS} == set(PROGRAMS)
