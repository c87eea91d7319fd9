"""A component on its way into a graph: its specification with its class and checked options.

A pipeline is built once and may run often; each run makes its components anew from these.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from zlib import crc32

from .components import Component, Input
from .graph import Node
from .spec import ComponentSpec

__all__ = ["Instance", "Made", "Stream", "file_of", "hash_of"]

_DECLARED = 2  # steps to what stands under `inputs` by a name of its own: ("inputs", "orders")


@dataclass
class Made:
    """A component spec with its class and checked options; makes one instance per node.

    `parts` are, by option and name, the inputs that an input is made of; each instance has its own.
    """

    spec: ComponentSpec
    cls: Any
    values: dict[str, Any]
    plugin: str = ""
    version: str = ""
    parts: dict[str, dict[str, Made]] = field(default_factory=dict)

    def component(self) -> Component:
        parts = {
            option: {name: part.component() for name, part in parts.items()}
            for option, parts in self.parts.items()
        }
        made: Component = self.cls(**{**self.values, **parts})
        return made

    def at_work(self) -> Component:
        """The component as a run has it."""
        made = self.component()
        if self.spec.settings.spool:
            from .spooling import SpooledInput

            return SpooledInput(cast(Input, made))
        return made

    @property
    def config_hash(self) -> str:
        shown = repr((self.spec.use, self.component(), self.spec.settings))
        parts = [part.config_hash for parts in self.parts.values() for part in parts.values()]
        return hash_of(" ".join([shown, *parts]))

    def node(self, name: str) -> Node:
        return Node(
            name,
            self.spec.role,
            self.at_work(),
            self.spec.settings,
            self.spec.use,
            self.plugin,
            self.version,
            self.spec.description,
            self.config_hash,
            self.part_names(),
        )

    def part_names(self) -> dict[str, str]:
        """The parts by name, each with the declared input or else the kind of input that it is."""
        return {
            name: part.spec.name if len(part.spec.path) == _DECLARED else part.spec.use
            for parts in self.parts.values()
            for name, part in parts.items()
        }


@dataclass
class Instance(Made):
    """A component that somebody has made already."""

    instance: Any = None

    def component(self) -> Component:
        made: Component = self.instance
        return made


@dataclass
class Stream(Made):
    """An input or output that a broker gives."""

    broker: Made | None = None

    @property
    def config_hash(self) -> str:
        return hash_of(f"{super().config_hash} {self.broker and self.broker.config_hash}")

    def component(self) -> Component:
        assert self.broker is not None
        make = getattr(self.broker.component(), self.spec.role)
        made: Component = make(**self.values)
        return made


def file_of(made: Made) -> str | None:
    """The one file that a component reads or writes, if its option `path` names one."""
    path = made.values.get("path")
    if not isinstance(path, Path) or str(path) == "-":
        return None
    real = os.path.realpath(path)
    if os.path.isfile(real):
        return real
    # What exists and is no file, as /dev/null or a folder, may well be shared; a glob is no name.
    return None if os.path.exists(real) or any(c in str(path) for c in "*?[") else real


def hash_of(text: str) -> str:
    """Tells whether a configuration has changed. It guards against nobody, so a checksum does:
    importing hashlib takes longer than a short run."""
    return f"{crc32(text.encode()):08x}"
