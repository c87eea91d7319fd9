"""A pipeline as data: what every dialect reads its file into, and what the kernel builds from.

A syntax gives a `Document`, a dialect turns it into a `PipelineSpec`; from there on nothing knows
which file format or vocabulary the pipeline was written in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Place, Problem

__all__ = [
    "RESERVED",
    "ROLES",
    "ComponentSpec",
    "Document",
    "PipeStep",
    "PipelineSpec",
    "Role",
    "Settings",
]

Role = str
ROLES: Mapping[Role, str] = {
    "input": "inputs",
    "inspector": "inspectors",
    "transformer": "transformers",
    "output": "outputs",
}
"""Each role that touches data and the section of a pipeline file that declares it."""

RESERVED = ("use", "description", "on_error", "retry", "timeout", "optional")
"""Keys that mean the same in every component and are never options of one."""


@dataclass
class Document:
    """A parsed file: a mapping, and where each key and value of it stood.

    `places` maps the path of a value, as in `("inputs", "orders", "path")` or `("pipes", "p", 0)`,
    to the place of its key (of the item itself in a list). `problems` are what is wrong
    with it so far; whoever finds one adds it, so that a file is reported whole.
    """

    data: dict[str, Any]
    places: Mapping[tuple[str | int, ...], Place]
    name: str
    path: Path | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def directory(self) -> Path | None:
        """The folder of the file, which relative paths in it start from."""
        return self.path.parent if self.path else None

    def place(self, *path: str | int) -> Place:
        """The place of a path, or of the nearest thing around it that has one."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.places.get((), Place(self.name))

    def problem(self, what: str, *path: str | int, hint: str | None = None) -> Problem:
        return Problem(what, ".".join(map(str, path)), self.place(*path), hint)


@dataclass
class Settings:
    """The reserved keys of a component, which the run itself acts on.

    `on_error` is "collect", "skip" or "stop"; `retry` is how often a failing record is tried
    again; `timeout` is in seconds. Of inputs only: `key` names the field to index records by,
    `spool` puts a durable log before one that cannot be read again.
    """

    on_error: str = "collect"
    retry: int = 0
    retry_delay: float = 0.1
    timeout: float | None = None
    optional: bool = False
    key: str | None = None
    spool: bool = False


@dataclass
class ComponentSpec:
    """One declared component: its name, its role, what it uses and with which options.

    `document` is the file that declares it when that is not the pipeline's: its relative paths
    start from there, and what is wrong with it is reported there.
    """

    name: str
    role: Role
    use: str
    options: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    description: str = ""
    path: tuple[str | int, ...] = ()
    document: Document | None = None


@dataclass
class PipeStep:
    """One step of a pipe. `mix` lets an input in mid-pipe read in turn with those before it
    instead of after them."""

    name: str
    mix: bool = False
    path: tuple[str | int, ...] = ()


@dataclass
class PipelineSpec:
    """A whole pipeline, ready to be built."""

    name: str
    components: dict[str, ComponentSpec] = field(default_factory=dict)
    pipes: dict[str, list[PipeStep]] = field(default_factory=dict)
    brokers: dict[str, ComponentSpec] = field(default_factory=dict)
    engine: ComponentSpec | None = None
    store: ComponentSpec | None = None
    epoch: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    document: Document | None = None

    @property
    def directory(self) -> Path | None:
        """The folder of the pipeline file, which relative paths in it start from."""
        return self.document.directory if self.document else None
