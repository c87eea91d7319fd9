"""How values, options and docstrings are written in a table."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.options import ByteSize, Option, type_name

REPO = Path(__file__).resolve().parents[2]


def option_table(options: Mapping[str, Option]) -> Iterator[str]:
    if not options:
        yield "It takes no options."
        return
    yield "| option | value | default | |"
    yield "|---|---|---|---|"
    for option in options.values():
        about = option.help
        if option.example is not None:
            about += f" Example: `{as_written(option.example)}`"
        if option.secret:
            about += " Secret."
        cells = [f"`{option.name}`", type_name(option.type), default_of(option), about]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def default_of(option: Option) -> str:
    if option.required:
        return "required"
    if option.default is None:
        return ""
    if type_name(option.type) == type_name(ByteSize):
        return f"`{size(option.default)}`"
    return f"`{as_written(option.default)}`"


def size(count: int) -> str:
    """A number of bytes with the unit that leaves the least to read."""
    for unit, factor in (("MiB", 2**20), ("KiB", 2**10)):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def as_written(value: Any) -> str:
    """A value as it stands in a YAML file."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value):
        return value
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def first_line(documented: Any) -> str:
    """The first sentence of a docstring, in one line."""
    paragraph = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")
