"""`penstock completion`: what a shell offers after the Tab key, tried in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from penstock.cli import COMMANDS

PLUGIN = """
from penstock import hookimpl

@hookimpl
def penstock_inputs():
    return {"tide": "tides:Tide", "weather": "tides:Weather"}

@hookimpl
def penstock_commands():
    return {"forecast": "tides:Forecast"}
"""

COMMAND = """
class Forecast:
    HELP = "say what comes"

    @staticmethod
    def arguments(parser):
        parser.add_argument("day", choices=["today", "tomorrow"])
        parser.add_argument("--certified", metavar="DIST")
        parser.add_argument("--from", metavar="PIPELINE")
        parser.add_argument("paths", nargs="*")

    @staticmethod
    def run(options):
        return 0
"""


@pytest.fixture
def tides(folder):
    folder.provide("acme-tides", PLUGIN)
    folder.write("site/tides.py", COMMAND)
    return folder


@pytest.fixture
def offered(cli, tides):
    """What is offered for the last word."""

    def offered(*words):
        done = cli("completion", "--candidates", *words)
        assert (done.code, done.err) == (0, "")
        return [line.partition("\t")[0] for line in done.out.splitlines()]

    return offered


def test_every_command_is_offered_with_what_it_does(cli, tides):
    lines = cli("completion", "--candidates", "").out.splitlines()
    kernel, others = lines[: len(COMMANDS)], lines[len(COMMANDS) :]
    assert kernel == [f"{name}\t{about}" for name, about in COMMANDS.items()]
    assert "forecast\tcomes with acme-tides" in others


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], ["run", "runs"]),
        (["fore"], ["forecast"]),
        (["-"], ["--help", "--version"]),
        (["run", ""], [":files"]),
        (["run", "--state", ""], [":folders"]),
        (["run", "--plugin", "a.py", "--fre"], ["--fresh"]),
        (["run", "orders.yaml", "--eng"], ["--engine"]),
        (["run", "--engine", "in"], ["inline"]),
        (["run", "--engine", "=", "thr"], ["threads"]),
        (["run", "--engine", "=", "in"], ["inline"]),
        (["new", ""], ["pipeline", "plugin"]),
        (["new", "plugin", "x", "--role", "sche"], ["scheduler"]),
        (["new", "pipeline", "x", "--from", "t"], ["tide"]),
        (["describe", "thr"], ["threads"]),
        (["describe", "wea"], ["weather"]),
        (["list", "in"], ["inputs", "inspectors"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["forecast", "to"], ["today", "tomorrow"]),
        (["forecast", "--certified", "acme"], ["acme-tides"]),
        (["schema", "-o", ""], [":files"]),
        (["state", "orders.yaml", "export", ""], [":files"]),
        (["forecast", "--from", ""], [":files"]),
        (["forecast", "today", "a.yaml", ""], [":files"]),
        (["new", "plugin", ""], []),
        (["list", "inputs", ""], []),
    ],
)
def test_what_is_offered(offered, words, expected):
    assert offered(*words) == expected


def test_without_a_word_commands_are_offered(offered):
    assert offered() == offered("")


def test_every_file_is_offered_where_one_is_asked_for(offered):
    for words in (
        ["check", ""],
        ["errors", ""],
        ["run", "--plugin", ""],
        ["graph", "--plugin", ""],
    ):
        assert offered(*words) == [":files"]


def test_hidden_options_are_not_offered(offered):
    assert "--candidates" not in offered("completion", "--")


def test_options_are_completed_without_looking_for_plugins(folder):
    folder.provide("acme-loud", "raise SystemExit('imported')")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "penstock", "completion", "--candidates"]
        + ["run", "--f"],
        cwd=folder.path,
        env=folder.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("--fresh\t")
    assert "acme_loud" not in done.stderr
    assert "yaml" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "penstock completion: no shell is named; there are bash, zsh, fish\n"),
        (["tcsh"], "penstock completion: argument shell: invalid choice: 'tcsh'"),
        (["--candidates", "rnu", ""], "penstock: no command named 'rnu'; did you mean 'run'?\n"),
    ],
)
def test_what_cannot_be_completed(cli, folder, arguments, sentence):
    done = cli("completion", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(sentence)


# ---- the shells ---------------------------------------------------------------------------------


@pytest.fixture
def shell(tides):
    """A folder with two files, and an environment in which `penstock` is a command."""
    for name in ("orders.yaml", "or ders.yaml"):
        tides.write(name, "")
    (tides / "orders.d").mkdir()
    command = tides.write("bin/penstock", f'#!/bin/sh\nexec "{sys.executable}" -m penstock "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**tides.environment, "PATH": path, "HOME": str(tides.path), "TERM": "dumb"}

    def shell(name, program):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        script = tides.penstock("completion", name)
        assert script.code == 0
        tides.write("completions", "")
        (tides / "completions").write_text(script.out)
        done = subprocess.run(
            [name, "-c", program],
            cwd=tides.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return shell


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("penstock fore", ["forecast"]),
        ("penstock forecast tom", ["tomorrow"]),
        ("penstock run --engine = thr", ["threads"]),
        ("penstock run --engine = in", ["inline"]),
        ("penstock run or", ["or ders.yaml", "orders.d", "orders.yaml"]),
        ("penstock run --state orders", ["orders.d"]),
        ("penstock nothing x", []),
    ],
)
def test_bash_completes(shell, words, expected):
    count = len(words.split()) - 1
    # In a function that is called by hand, compopt has no completion to change and fails.
    program = (
        f"source ./completions; COMP_WORDS=({words}); COMP_CWORD={count}; _penstock penstock;"
        ' (( ${#COMPREPLY[@]} == 0 )) || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert sorted(shell("bash", program)) == expected


def test_bash_knows_whom_to_ask(shell):
    assert shell("bash", "source ./completions; complete -p penstock") == [
        "complete -F _penstock penstock"
    ]


def test_zsh_completes(shell):
    """Without a terminal there is no line to edit, so what is handed to zsh is printed."""
    program = """
        compdef() { print "compdef $*" }
        source ./completions
        _describe() { print -l $found }
        _files() { print "files $*" }
        words=(penstock fore) CURRENT=2; _penstock
        words=(penstock run --engine thr) CURRENT=4; _penstock
        words=(penstock run '') CURRENT=3; _penstock
        words=(penstock run --state '') CURRENT=4; _penstock
    """
    assert shell("zsh", program) == [
        "compdef _penstock penstock",
        "forecast:comes with acme-tides",
        "threads:engine of penstock",
        "files ",
        "files -/",
    ]


def test_fish_completes(shell):
    program = """
        source ./completions
        complete -C 'penstock fore'
        complete -C 'penstock run --engine thr'
        complete -C 'penstock run orders.y'
    """
    assert shell("fish", program) == [
        "forecast\tcomes with acme-tides",
        "threads\tengine of penstock",
        "orders.yaml",
    ]
