"""The pipeline of a case: with its fixtures, stand-ins and captured outputs in place.

Everything happens to the specification, before anything is built: what a case replaces need not be
installed, and no variable or secret that only it needs has to be set.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from penstock import ConfigError, Document, Pipeline, PipelineSpec, Plugins
from penstock.build import build
from penstock.dialect import read_document, read_spec
from penstock.graph import Graph, plan
from penstock.native import read_component
from penstock.options import short
from penstock.spec import ComponentSpec

from .cases import Case, Where
from .fixtures import Captured, Fixture, Tape

__all__ = ["Stage", "stage"]

_FIXTURE = f"{Fixture.__module__}:{Fixture.__name__}"
_CAPTURED = f"{Captured.__module__}:{Captured.__name__}"
_SUFFIXES = {"jsonl": "json", "ndjson": "json", "tsv": "csv"}
_PRINT = "print"  # where a pipe without an output ends
_OWN_ENGINES = ("inline", "threads")
_RESERVED = ("on_error", "retry", "optional")


@dataclass
class Stage:
    """A case that is ready to run: `shape` is the whole graph of the pipeline, `pipeline` runs the
    part that the case feeds; `tapes` holds what captured outputs write."""

    case: Case
    pipeline: _Staged
    shape: Graph
    tapes: dict[str, Tape] = field(default_factory=dict)

    def nodes(self, name: str) -> list[str]:
        """The nodes that a name means: one, or each that is made of that component."""
        return _meant(name, self.shape.nodes)


@dataclass
class _Staged(Pipeline):
    """Only what is fed runs; every start gets new components."""

    feeds: dict[str, list[str]] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    tapes: dict[str, Tape] = field(default_factory=dict)

    def shape(self) -> Graph:
        return super().graph()

    def graph(self) -> Graph:
        whole = super().graph()
        nodes = dict(whole.nodes)
        edges = list(whole.edges)
        for name, targets in self.feeds.items():
            nodes[name] = self.made[name].node(name)
            edges.extend((name, target) for target in targets)
        kept = _reached([name for name in nodes if name in self.alive], edges)
        for node in nodes.values():
            if node.role == "output" and node.name not in self.spec.components:
                node.component = Captured(tape=self.tapes.setdefault(node.name, Tape()))
        after = {name: befores & kept for name, befores in whole.after.items() if name in kept}
        return Graph(
            [node for node in nodes.values() if node.name in kept],
            [(left, right) for left, right in edges if left in kept and right in kept],
            after,
        )


def _meant(name: str, nodes: Iterable[str]) -> list[str]:
    exact, parts = [], []
    for node in nodes:
        if node == name:
            exact.append(node)
        elif node.partition("@")[0] == name:
            parts.append(node)
    return exact or parts


def _reached(starts: Iterable[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    following: dict[str, list[str]] = {}
    for left, right in edges:
        following.setdefault(left, []).append(right)
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(following.get(name, ()))
    return reached


def stage(case: Case, plugins: Plugins, engine: str | None = None) -> Stage:
    """Build the pipeline of a case. Problems of the case go into its document's; ConfigError holds
    those of the pipeline, PluginError says what is missing."""
    return _Stager(case, plugins, engine or case.options.engine).stage()


class _Stager:
    def __init__(self, case: Case, plugins: Plugins, engine: str) -> None:
        self.case = case
        self.plugins = plugins
        self.engine = engine
        self.tapes: dict[str, Tape] = {}
        self.replaced: set[str] = set()

    def stage(self) -> Stage:
        spec = read_spec(self._document(), self.plugins)
        self._check_components(spec)
        self._check_nodes(spec)
        middle = [name for name in self.case.options.feed if name not in self._inputs(spec)]
        for name, component in list(spec.components.items()):
            stand_in = self._stand_in(component)
            if stand_in is not None:
                spec.components[name] = stand_in
                self.replaced.add(name)
        feeds = {f"feed of {name}": name for name in middle}
        for feed, name in feeds.items():
            spec.components[feed] = self._fed(feed, name)
        self._settle(spec)
        made = build(spec, self.plugins)
        made.warnings = [one for one in made.warnings if not one.startswith(tuple(feeds))]
        return self._finished(made, feeds)

    def _finished(self, made: Pipeline, feeds: Mapping[str, str]) -> Stage:
        fields = {name: getattr(made, name) for name in Pipeline.__dataclass_fields__}
        staged = _Staged(**fields, tapes=self.tapes)
        found = Stage(self.case, staged, staged.shape(), self.tapes)
        staged.feeds = {feed: found.nodes(name) for feed, name in feeds.items()}
        options = self.case.options
        staged.alive = {*options.feed, *options.real, *options.replace, *feeds}
        staged.alive &= {*feeds, *(node.name for node in found.shape.of_role("input"))}
        if not staged.alive:
            self.case.wrong(
                "feeds nothing", hint="give records to an input, or to another node, under 'feed'"
            )
        return found

    # ---- reading --------------------------------------------------------------------------------

    def _document(self) -> Document:
        environ = {**os.environ, **self.case.options.environment}
        return read_document(self.case.pipeline, self.plugins, environ)

    def _inputs(self, spec: PipelineSpec) -> set[str]:
        return {name for name, one in spec.components.items() if one.role == "input"}

    def _fed_inputs(self, spec: PipelineSpec) -> set[str]:
        return self._inputs(spec) & self.case.options.feed.keys()

    def _check_components(self, spec: PipelineSpec) -> None:
        case, known = self.case, list(spec.components)
        for name in case.options.replace:
            if name not in spec.components:
                case.no_such("component", name, known, "replace", name)
            elif name in case.options.feed and spec.components[name].role == "input":
                case.wrong("is fed and replaced", "replace", name, hint="do one of the two")
        ends = [name for name, one in spec.components.items() if one.role in ("input", "output")]
        for index, name in enumerate(case.options.real):
            if name not in ends:
                case.no_such("input or output", name, ends, "real", index)
            elif name in case.options.replace or name in self._fed_inputs(spec):
                done = "replaced" if name in case.options.replace else "fed"
                case.wrong(f"is {done} and real", "real", index, hint="do one of the two")

    def _check_nodes(self, spec: PipelineSpec) -> None:
        """Before anything is built: what is wrong with a component must not hide a wrong name."""
        try:
            shape = plan(spec.pipes, {name: one.role for name, one in spec.components.items()})
        except ConfigError:
            return  # building says what is wrong with the pipes
        nodes = [*shape.instances, _PRINT]
        parts = [node.partition("@")[0] for node in shape.instances]
        known = list(dict.fromkeys([*shape.instances, *parts]))
        for name, path in self._named():
            if not _meant(name, nodes):
                self.case.no_such("node", name, known, *path)

    def _named(self) -> Iterator[tuple[str, Where]]:
        """Every name of a node in the case, and where it stands."""
        case, expected = self.case, self.case.expected
        yield from ((name, ("feed", name)) for name in case.options.feed)
        several = isinstance(case.options.fail, list)
        for index, fault in enumerate(case.faults):
            yield fault.node, ("fail", index, "node") if several else ("fail", "node")
        yield from ((name, ("expect", "records", name)) for name in expected.records)
        for name, wanted in expected.options.counts.items():
            if isinstance(wanted, Mapping):
                yield name, ("expect", "counts", name)
        letters = expected.letters if isinstance(expected.letters, list) else []
        for index, letter in enumerate(letters):
            if letter.node is not None:
                yield letter.node, ("expect", "dead_letters", index, "node")

    # ---- stand-ins ------------------------------------------------------------------------------

    def _stand_in(self, component: ComponentSpec) -> ComponentSpec | None:
        """What takes the place of a component; None leaves it as it is."""
        options, name = self.case.options, component.name
        if name in options.replace:
            path = (*self.case.path, "replace", name)
            return self._read(component, path, options.replace[name])
        if name in options.feed and component.role == "input":
            entry = options.feed[name]
            given = entry if isinstance(entry, Mapping) else {}
            return self._merged(component, self._fed(name, name), given)
        if name in options.real:
            return None
        if component.role == "input":
            return self._merged(component, ComponentSpec(name, "input", _FIXTURE), {})
        if component.role == "output":
            tape = self.tapes[name] = Tape()
            made = ComponentSpec(name, "output", _CAPTURED, {"tape": tape})
            return self._merged(component, made, {})
        return None

    def _read(self, old: ComponentSpec, path: tuple[str | int, ...], entry: Any) -> ComponentSpec:
        made = read_component(self.case.document, old.role, old.name, path, entry)
        return self._merged(old, made, entry if isinstance(entry, Mapping) else {})

    def _merged(
        self, old: ComponentSpec, new: ComponentSpec, given: Mapping[str, Any]
    ) -> ComponentSpec:
        """The new component in the old one's place: it fails, and is missed, as that one does."""
        kept = {} if any(key in given for key in _RESERVED) else vars(old.settings)
        settings = replace(new.settings, **{**kept, "spool": False}) if kept else new.settings
        return replace(new, settings=settings)

    def _fed(self, name: str, node: str) -> ComponentSpec:
        """The input that gives the records of a fixture."""
        path = (*self.case.path, "feed", node)
        entry = self.case.options.feed[node]
        if isinstance(entry, str):
            suffix = Path(entry).suffix.lstrip(".")
            entry = {"use": _SUFFIXES.get(suffix, suffix), "path": entry}
        if isinstance(entry, list):
            made = ComponentSpec(name, "input", _FIXTURE, {"values": entry}, path=path)
            made.document = self.case.document
            return made
        if not isinstance(entry, Mapping):
            what = f"must be a list of records, a file or an input with 'use', got {short(entry)}"
            self.case.wrong(what, "feed", node)
            return ComponentSpec(name, "input", _FIXTURE)
        return read_component(self.case.document, "input", name, path, entry)

    def _settle(self, spec: PipelineSpec) -> None:
        """Leave out what only the real components and the real engine need."""
        spec.engine = ComponentSpec(
            "engine", "engine", self.engine, path=(*self.case.path, "engine")
        )
        spec.engine.document = self.case.document
        if self.engine in _OWN_ENGINES:
            for component in spec.components.values():
                component.settings.timeout = None
        document = spec.document
        if document is not None:
            gone = set(self._gone(spec))
            document.problems = [
                one for one in document.problems if not _inside(one.path.split("."), gone)
            ]

    def _gone(self, spec: PipelineSpec) -> Iterator[tuple[str, ...]]:
        """The paths in the pipeline file that this case does without."""
        yield ("engine",)
        kept = [one for name, one in spec.components.items() if name not in self.replaced]
        brokers = {one.options.get("broker") for one in kept}
        yield from (("brokers", name) for name in spec.brokers if name not in brokers)
        sections = ("inputs", "inspectors", "transformers", "outputs")
        yield from ((section, name) for section in sections for name in self.replaced)


def _inside(path: list[str], gone: set[tuple[str, ...]]) -> bool:
    return tuple(path[:1]) in gone or tuple(path[:2]) in gone
