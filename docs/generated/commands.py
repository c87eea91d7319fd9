"""Every command with every argument."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

from penstock.cli import COMMANDS


def commands() -> Iterator[str]:
    for name, about in COMMANDS.items():
        module = importlib.import_module(f"penstock.cli.{'list_' if name == 'list' else name}")
        parser = argparse.ArgumentParser(prog=f"penstock {name}")
        module.arguments(parser)
        yield f"### `penstock {name}`"
        yield ""
        yield f"{about[:1].upper()}{about[1:]}."
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


PARTS = {"commands": commands}
