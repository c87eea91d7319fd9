"""`penstock completion`: what a shell offers after the Tab key.

The scripts for the shells only ask: each Tab calls `penstock completion --candidates WORD…`, which
answers from the parser of the command, so that nothing is listed twice. Plugins are looked for only
where the answer is one of their names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..errors import UsageError
from ..hookspecs import PROVIDERS
from . import COMMANDS, find_command
from .list_ import plural
from .templates import template

HELP = "print a script that completes commands in a shell"

SHELLS = ("bash", "zsh", "fish")

FILES, FOLDERS = ":files", ":folders"
"""Instead of candidates: the shell completes the names of files or folders itself."""

Candidate = tuple[str, str]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", choices=SHELLS, help="the shell to print it for")
    parser.add_argument("--candidates", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(options: Any) -> int:
    if options.candidates is not None:
        for value, about in candidates(options.candidates):
            print(f"{value}\t{about.partition(chr(10))[0]}")
    elif options.shell:
        sys.stdout.write(template(f"completion/{options.shell}"))
    else:
        raise UsageError(
            "no shell is named", where="penstock completion", hint=f"there are {', '.join(SHELLS)}"
        )
    return 0


def candidates(words: Sequence[str]) -> Iterator[Candidate]:
    """What may stand for the last of the words after `penstock`, and what each is."""
    *before, current = _without_equals(words) or [""]
    found = _inside(before, current) if before else _commands(current)
    for value, about in found:
        if value.startswith(current) or value in (FILES, FOLDERS):
            yield value, about


def _without_equals(words: Sequence[str]) -> list[str]:
    """As bash splits `--engine=thr` into three words: the option and the value."""
    found: list[str] = []
    for word in words:
        if word == "=" and found and found[-1].startswith("--"):
            continue
        found.append(word)
    return [*found, ""] if words and words[-1] == "=" and found[-1] != "" else found


def _commands(current: str) -> Iterator[Candidate]:
    if current.startswith("-"):
        yield from (("--help", "show the commands"), ("--version", "show the version"))
        return
    yield from COMMANDS.items()
    from ..plugins import Plugins

    for name, providers in Plugins().names("command").items():
        yield name, f"comes with {providers[0].plugin}"


def _inside(before: Sequence[str], current: str) -> Iterator[Candidate]:
    """The candidates behind a command and the words that follow it."""
    parser = argparse.ArgumentParser(prog=before[0])
    find_command(before[0]).arguments(parser)
    waiting: argparse.Action | None = None
    positionals = _positionals(parser)
    for word in before[1:]:
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            action = parser._option_string_actions.get(word)
            waiting = action if action is not None and action.nargs != 0 else None
        elif positionals:
            action = positionals[0]
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                parser = action.choices[word]
                positionals = _positionals(parser)
            elif action.nargs not in ("*", "+"):
                positionals = positionals[1:]
    if waiting is not None:
        yield from _values(waiting)
    elif current.startswith("-"):
        yield from _options(parser)
    elif positionals:
        yield from _values(positionals[0])


def _positionals(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]


def _options(parser: argparse.ArgumentParser) -> Iterator[Candidate]:
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS:
            yield action.option_strings[-1], action.help or ""


def _values(action: argparse.Action) -> Iterable[Candidate]:
    if isinstance(action, argparse._SubParsersAction):
        return [(one.dest, one.help or "") for one in action._choices_actions]
    if action.choices is not None:
        return [(str(choice), "") for choice in action.choices]
    if action.metavar == "FOLDER":
        return [(FOLDERS, "")]
    if action.metavar in ("FILE", "PIPELINE") or action.dest in ("pipeline", "file", "paths"):
        return [(FILES, "")]
    if action.dest == "kind":
        return [(plural(kind), "") for kind in PROVIDERS]
    if action.metavar == "DIST":
        return _distributions()
    return _names(_KINDS.get(action.dest, ()))


_KINDS: dict[str, Iterable[str]] = {
    "engine": ["engine"],
    "input": ["input"],
    "output": ["output"],
    "component": PROVIDERS,
}
"""Arguments that take the names that plugins provide for these kinds."""


def _names(kinds: Iterable[str]) -> Iterator[Candidate]:
    from ..plugins import Plugins

    plugins = Plugins() if kinds else None
    for kind in kinds:
        for name, providers in plugins.names(kind).items() if plugins else ():
            yield name, f"{kind} of {' and '.join(one.plugin for one in providers)}"


def _distributions() -> Iterator[Candidate]:
    from ..plugins import Plugins

    for one in Plugins().distributions():
        yield one.name, one.version
