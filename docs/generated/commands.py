"""Every command with every argument."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from penstock.cli import COMMANDS, find_command

from .packages import ours


def commands() -> Iterator[str]:
    for name, about in COMMANDS.items():
        yield from command(name, about, find_command(name))


def more_commands() -> Iterator[str]:
    """The commands that come with other packages than the kernel."""
    for one in ours("command"):
        found = one.load()
        yield from command(one.name, found.HELP, found, f" Comes with `{one.plugin}`.")


def command(name: str, about: str, found: Any, origin: str = "") -> Iterator[str]:
    parser = argparse.ArgumentParser(prog=f"penstock {name}")
    found.arguments(parser)
    yield f"### `penstock {name}`"
    yield ""
    yield f"{about[:1].upper()}{about[1:]}.{origin}"
    yield ""
    yield from arguments(parser)


def arguments(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    nested: list[tuple[str, argparse.ArgumentParser]] = []
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            nested.extend(action.choices.items())
        elif not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
            rows.append(f"| {shown(action)} | {(action.help or '').replace('|', chr(92) + '|')} |")
    if rows:
        yield from ["| argument | |", "|---|---|", *rows, ""]
    for name, inner in nested:
        yield from [f"`{parser.prog} {name}`", ""]
        yield from arguments(inner)


def shown(action: argparse.Action) -> str:
    """An argument as it is typed."""
    metavar = action.metavar
    if metavar is None:
        choices = "\\|".join(map(str, action.choices)) if action.choices else None
        metavar = choices or (action.dest if not action.option_strings else action.dest.upper())
    if not action.option_strings:
        return f"`{metavar}`" if action.required else f"`[{metavar}]`"
    value = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


PARTS = {"commands": commands, "more commands": more_commands}
