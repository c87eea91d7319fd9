"""Inputs made of inputs: what a file declares as the parts of one, by name or in place."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from .components import Input, Inputs
from .errors import Problem, nearest
from .known import distribution_of
from .made import Instance, Made
from .native import read_component
from .options import options_of, short
from .plugins import Plugins
from .spec import ComponentSpec, Document, PipelineSpec, Settings

__all__ = ["Parts", "with_inputs"]

Path = tuple[str | int, ...]


def with_inputs(cls: type) -> list[str]:
    """The options of a class that are mappings to inputs: their type is noted with `Inputs`."""
    return [
        name
        for name, one in options_of(cls).items()
        if typing.get_origin(one.type) is typing.Annotated
        and any(isinstance(note, Inputs) for note in typing.get_args(one.type))
    ]


class Parts:
    """Finds what stands in the place of inputs, for `build`.

    `make` makes any component of the file and is asked for each once; `problems` are added to.
    """

    def __init__(
        self,
        spec: PipelineSpec,
        plugins: Plugins,
        make: Callable[[ComponentSpec], Made | None],
        problems: list[Problem],
    ) -> None:
        self.spec = spec
        self.plugins = plugins
        self.make = make
        self.problems = problems
        self.named: dict[str, Made | None] = {}
        self._under_way: list[str] = []

    # ---- components by name, each made once ----------------------------------------------------

    def component(self, component: ComponentSpec) -> Made | None:
        """A declared component; None when something is wrong with it."""
        if component.name not in self.named:
            self._under_way.append(component.name)
            try:
                self.named[component.name] = self.make(component)
            finally:
                self._under_way.pop()
        return self.named[component.name]

    def used_by(self, names: set[str]) -> set[str]:
        """These, and the declared components that they are made of."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [one.spec.name for one in self.parts_of(self.named.get(name))]
        return found & self.spec.components.keys()

    def parts_of(self, made: Made | None) -> Iterator[Made]:
        """All that an input is made of, at any depth."""
        for parts in made.parts.values() if made is not None else ():
            for part in parts.values():
                yield part
                yield from self.parts_of(part)

    # ---- what a component declares -------------------------------------------------------------

    def of(self, component: ComponentSpec, cls: Any) -> tuple[dict[str, dict[str, Made]], set[str]]:
        """The parts of a component by option and name; and the options with which something is
        wrong, which has been said."""
        found: dict[str, dict[str, Made]] = {}
        wrong = set()
        for option in with_inputs(cls):
            given = component.options.get(option)
            if not isinstance(given, Mapping):
                continue
            document = self.document(component)
            parts = {
                str(name): self._part(name, one, (*component.path, option, name), document)
                for name, one in given.items()
            }
            found[option] = {name: part for name, part in parts.items() if part is not None}
            if len(found[option]) < len(parts):
                wrong.add(option)
        return found, wrong

    def document(self, component: ComponentSpec) -> Document:
        return component.document or self.spec.document or Document({}, {}, self.spec.name)

    def in_place(
        self, role: str, name: str, path: Path, entry: Any, document: Document
    ) -> ComponentSpec:
        """A component that is declared inside another one."""
        apart = replace(document, problems=[])
        made = read_component(apart, role, name, path, entry)
        self.problems += apart.problems
        return made

    def _part(self, name: Any, given: Any, path: Path, document: Document) -> Made | None:
        if isinstance(given, Input):
            spec = ComponentSpec(str(name), "input", type(given).__name__, path=path)
            return Instance(spec, type(given), {}, instance=given)
        if isinstance(given, str):
            declared = self.spec.components.get(given)
            if declared is not None:
                return self._declared(declared, path, document)
            if not self._is_kind(given):
                self._unknown(given, path, document)
                return None
        spec = self.in_place("input", str(name), path, given, document)
        self._no_settings(spec, path, document)
        return self.make(spec)

    def _declared(self, spec: ComponentSpec, path: Path, document: Document) -> Made | None:
        if spec.role != "input":
            article = "an" if spec.role[0] in "aeiou" else "a"
            what = f"must be an input, {spec.name!r} is {article} {spec.role}"
            self._wrong(what, path, document, "name one that is declared under inputs")
            return None
        if spec.name in self._under_way:
            round_trip = [*self._under_way[self._under_way.index(spec.name) :], spec.name]
            what = f"goes round in a circle: {' -> '.join(round_trip)}"
            self._wrong(what, path, document, "an input cannot be made of itself")
            return None
        self._no_settings(spec, path, document)
        return self.component(spec)

    def _is_kind(self, given: str) -> bool:
        name = given.rpartition("/")[2]
        known = distribution_of("input", name) is not None
        return ":" in given or known or bool(self.plugins.names("input").get(name))

    def _unknown(self, given: str, path: Path, document: Document) -> None:
        inputs = [one.name for one in self.spec.components.values() if one.role == "input"]
        near = nearest(given, [*inputs, *self.plugins.names("input")])
        hint = f"did you mean {near!r}?" if near else "declare it under inputs, or in its place"
        self._wrong(f"no input named {short(given)}", path, document, hint)

    def _no_settings(self, spec: ComponentSpec, path: Path, document: Document) -> None:
        """Records of a part fail, and are tried again, as those of the input that it belongs to."""
        plain = Settings()
        for key in (one.name for one in fields(Settings)):
            if key != "retry_delay" and getattr(spec.settings, key) != getattr(plain, key):
                self._wrong(
                    f"{spec.name!r} has {key!r} of its own, which a part of another input "
                    "cannot have",
                    path,
                    document,
                    "leave it out, or give it to the input that this is a part of",
                )

    def _wrong(self, what: str, path: Path, document: Document, hint: str) -> None:
        self.problems.append(document.problem(what, *path, hint=hint))
