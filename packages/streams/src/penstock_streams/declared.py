"""What a pipeline file declares inside a component: the parts of a join, functions by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock import Broker, ConfigError, Input, PenstockError, Plugins, Problem
from penstock.build import load_beside
from penstock.components import from_function
from penstock.options import read_options, short
from penstock.plugins import load

__all__ = ["Beside", "Inputs", "check_inputs", "loaded"]


def check_inputs(value: Mapping[str, Any]) -> None:
    """The `check` of an option with inputs."""
    for name, one in value.items():
        if not isinstance(one, Input):
            raise ValueError(f"{name} is no input, got {short(one)}")
    if len(value) < 2:
        raise ValueError(f"takes two inputs or more, not {len(value)}")


class Inputs:
    """A note of an option's type: its values are inputs, which a file declares as `inputs` does."""

    def place(self, value: Mapping[str, Any], base: Path) -> dict[str, Any]:
        """The inputs that a file in the folder `base` declares."""
        plugins: list[Plugins] = []
        made = {}
        for name, one in value.items():
            if isinstance(one, Input):
                made[name] = one
                continue
            if not plugins:
                plugins.append(_plugins(base))
            try:
                made[name] = _made(one, base, plugins[0])
            except PenstockError as error:
                raise ValueError(f"{name}: {error}") from error
        return made


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


def _plugins(base: Path) -> Plugins:
    plugins = Plugins()
    beside = base / "plugins.py"
    if beside.is_file():
        plugins.register_file(beside)
    return plugins


def _made(given: Any, base: Path, plugins: Plugins) -> Input:
    if isinstance(given, str):
        given = {"use": given}
    if not isinstance(given, Mapping) or not isinstance(given.get("use"), str):
        raise ConfigError(f"must be a mapping with 'use', got {short(given)}")
    options = {name: value for name, value in given.items() if name not in ("use", "description")}
    if given["use"] == "stream" and "broker" in options:
        return _stream(options, base, plugins)
    cls = _class("input", given["use"], base, plugins)
    made: Input = cls(**_values(cls, options, base))
    return made


def _stream(options: dict[str, Any], base: Path, plugins: Plugins) -> Input:
    """A stream of a broker, which is declared in place: `{use: stream, broker: {use: file, …}}`."""
    given = options.pop("broker")
    if not isinstance(given, Mapping) or not isinstance(given.get("use"), str):
        hint = "declare it here, not by name"
        raise ConfigError(f"broker: must be a mapping with 'use', got {short(given)}; {hint}")
    cls = _class("broker", given["use"], base, plugins)
    broker: Broker = cls(**_values(cls, {k: v for k, v in given.items() if k != "use"}, base))
    declared = broker.stream_class("input")
    if declared is not None:
        options = _values(declared, options, base)
    return broker.input(**options)


def _class(kind: str, use: str, base: Path, plugins: Plugins) -> Any:
    if ":" not in use:
        return plugins.find(kind, use).load()
    found = load_beside(use, base)
    return found if isinstance(found, type) else from_function(kind, found, use)


def _values(cls: Any, given: Mapping[str, Any], base: Path) -> dict[str, Any]:
    values, problems = read_options(cls, given, base)
    if problems:
        raise ConfigError([Problem(one.what, one.path, hint=one.hint) for one in problems])
    return values
