"""What a pipeline file gives a component beside plain values: inputs, functions by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock import Input
from penstock.build import load_beside
from penstock.options import short
from penstock.plugins import load

__all__ = ["Beside", "check_inputs", "loaded"]


def check_inputs(value: Mapping[str, Any]) -> None:
    """The `check` of an option with inputs."""
    for name, one in value.items():
        if not isinstance(one, Input):
            raise ValueError(f"{name} is no input, got {short(one)}")
    if len(value) < 2:
        raise ValueError(f"takes two inputs or more, not {len(value)}")


class Reference(str):
    """The name of something in a module, with what it names. It shows itself as the name, which is
    the same in every run."""

    __slots__ = ("found",)
    found: Any


class Beside:
    """A note of an option's type: "module:attribute", or values that are, as seen from the folder
    of the file."""

    def place(self, value: Any, base: Path) -> Any:
        if isinstance(value, Mapping):
            return {name: self.place(one, base) for name, one in value.items()}
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            return value
        made = Reference(value)
        made.found = load_beside(value, base)
        return made


_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def loaded(value: Any) -> Any:
    """What a name stands for; any other value is itself."""
    if isinstance(value, Reference):
        return value.found
    return load(value) if isinstance(value, str) and _NAME.fullmatch(value) else value
