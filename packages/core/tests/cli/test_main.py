"""The frame of every command: help, exit codes, and errors as sentences."""

from __future__ import annotations

import json

import pytest

from penstock.cli import COMMANDS

HEAVY = {
    "asyncio",
    "concurrent.futures",
    "importlib.metadata",
    "json",
    "logging",
    "penstock.build",
    "penstock.builtin",
    "penstock.plugins",
    "pluggy",
    "sqlite3",
    "yaml",
}


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_names_every_command(cli, arguments):
    done = cli(*arguments)
    assert done.code == 0
    assert done.err == ""
    for name, what in COMMANDS.items():
        assert f"  {name} " in done.out
        assert what in done.out


def test_help_imports_nothing_of_weight(folder):
    done = folder.penstock("--help", PYTHONPROFILEIMPORTTIME="1", PYTHONWARNINGS="default")
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "argparse" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_imports_no_plugin_and_no_syntax(folder, name):
    folder.provide("acme-loud", "raise SystemExit('imported')")
    done = folder.penstock(name, "--help", PYTHONPROFILEIMPORTTIME="1", PYTHONWARNINGS="default")
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert done.code == 0
    assert done.out.startswith(f"usage: penstock {name}")
    assert imported & {"yaml", "penstock.builtin", "acme_loud_hooks"} == set()


def test_version(cli):
    assert cli("--version").out == "penstock 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chek"], "penstock: no command named 'chek'; did you mean 'check'?"),
        (["zzz"], "penstock: no command named 'zzz'; see `penstock --help`"),
        (["--what"], "penstock: unrecognized arguments: --what; see `penstock --help`"),
        (["list", "--what"], "penstock list: unrecognized arguments: --what; "),
        (["check"], "penstock: no pipeline given and no penstock.yaml, penstock.yml, "),
    ],
)
def test_wrong_usage_is_a_sentence_and_2(cli, arguments, sentence):
    done = cli(*arguments)
    assert done.code == 2
    assert done.err.startswith(sentence)
    assert done.out == ""


def test_the_pipeline_of_the_folder_is_used_when_none_is_named(cli, numbers):
    (numbers / "numbers.yaml").rename(numbers / "penstock.yaml")
    assert cli("check").code == 0


def test_errors_are_json_when_the_report_is(cli, folder):
    folder.write("a.json", '{"inputs": {}, "pipes": {"p": []}, "colour": 1}')
    done = cli("check", "a.json", "--json")
    assert done.code == 3
    assert done.json["error"]["exit_code"] == 3
    problems = done.json["error"]["problems"]
    assert len(problems) == 2
    assert "no such section" in "".join(problems)


def test_a_traceback_is_shown_only_when_asked_for(cli, folder):
    folder.write("a.yaml", "pipes: 3\n")
    assert "Traceback" not in cli("check", "a.yaml").err
    assert "Traceback" in cli("check", "a.yaml", "-v").err


def test_what_nobody_expected_is_reported_without_a_traceback(cli, folder, monkeypatch):
    from penstock.cli import list_

    def fail(options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(list_, "run", fail)
    done = cli("list")
    assert done.code == 1
    assert done.err == (
        "penstock: unexpected ZeroDivisionError: by zero; -v shows where, please report it\n"
    )
    assert "Traceback" in cli("list", "-v").err


def test_ctrl_c_outside_of_a_run_ends_with_130(cli, monkeypatch):
    from penstock.cli import list_

    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(list_, "run", interrupt)
    done = cli("list")
    assert (done.code, done.err) == (130, "penstock: interrupted\n")


def test_a_plugin_adds_a_command(cli, folder):
    folder.provide(
        "acme-hello",
        """
        from penstock import hookimpl

        class Hello:
            help = "say hello"

            @staticmethod
            def arguments(parser):
                parser.add_argument("name")

            @staticmethod
            def run(options):
                print(f"hello {options.name}")
                return 0

        @hookimpl
        def penstock_commands():
            return {"hello": Hello}
        """,
    )
    assert cli("hello", "world").out == "hello world\n"
    assert "Say hello." in cli("hello", "--help").out
    assert "did you mean 'hello'?" in cli("helo").err


def test_text_that_the_terminal_lacks_is_escaped(folder):
    folder.write("a.py", "def words():\n    yield 'größer'\n")
    folder.write("a.yaml", 'inputs: {w: {use: "a:words"}}\npipes: {p: [w]}\n')
    done = folder.penstock("preview", "a.yaml", PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict")
    assert done.code == 0
    assert "gr\\xf6\\xdfer" in done.out


def test_json_for_a_terminal_without_unicode_is_still_json(folder):
    folder.write("a.py", "def words():\n    yield 'größer'\n")
    folder.write("a.yaml", 'inputs: {w: {use: "a:words"}}\npipes: {p: [w]}\n')
    done = folder.penstock(
        "preview", "a.yaml", "--json", PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict"
    )
    assert json.loads(done.out)["nodes"]["w"]["records"] == ["größer"]


def test_a_command_that_leaves_has_failed(cli, monkeypatch):
    from penstock.cli import list_

    def leave(options):
        raise SystemExit(0)

    monkeypatch.setattr(list_, "run", leave)
    done = cli("list")
    assert done.code == 1
    assert done.err.startswith("penstock: unexpected SystemExit: 0; -v shows where")
