"""The rules for commands."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import pytest

from ..rules import Suite, not_applicable

__all__ = ["CommandSuite"]


class CommandSuite(Suite):
    """An author gives the fixtures `command`, what the plugin provides, and `words`: arguments with
    which it ends well, in an empty folder."""

    @pytest.fixture
    def command(self) -> Any:
        raise NotImplementedError("give the fixture `command`")

    @pytest.fixture
    def words(self) -> Sequence[str]:
        raise NotImplementedError("give the fixture `words`")

    def test_it_says_what_it_is_for(self, command: Any) -> None:
        """`HELP` says on one line what the command does, as the list of commands shows it: a small
        letter at the beginning, and no full stop."""
        said = getattr(command, "HELP", None)
        assert isinstance(said, str), f"it is {said!r}"
        right = said == said.strip() != "" and "\n" not in said
        right = right and not said[0].isupper() and not said.endswith(".")
        assert right, f"it is {said!r}"

    def test_every_argument_has_a_help(self, command: Any) -> None:
        """Each argument says what it is for."""
        silent = [one.dest for one in _parser(command)._actions if not one.help]
        assert silent == [], f"{' and '.join(silent)} do not"

    def test_it_returns_its_exit_code(
        self, command: Any, words: Sequence[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        """`run` returns the exit code, and does not leave: 0 with the arguments `words`."""
        monkeypatch.chdir(tmp_path)
        try:
            code = _run(command, words)
        except SystemExit as leaving:
            raise AssertionError(f"it left with {leaving.code!r}") from leaving
        assert type(code) is int, f"it returned {code!r}"
        assert code == 0, f"it returned {code!r}"

    def test_as_json_it_prints_nothing_else(
        self,
        command: Any,
        words: Sequence[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Any,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """With `--json`, if it has that, standard output is one JSON document."""
        if not any("--json" in one.option_strings for one in _parser(command)._actions):
            not_applicable("it has no --json")
        monkeypatch.chdir(tmp_path)
        _run(command, [*words, "--json"])
        printed = capsys.readouterr().out
        try:
            json.loads(printed)
        except ValueError as error:
            raise AssertionError(f"it printed {printed[:60]!r}") from error


def _parser(command: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="penstock command")
    command.arguments(parser)
    return parser


def _run(command: Any, words: Sequence[str]) -> Any:
    return command.run(_parser(command).parse_args(list(words)))
