"""YAML, read the way a person expects it: the plain words of YAML 1.2 and the dates of TOML.

Parser events are composed into nodes with a stack, so no document can overflow ours; aliases stay
references until the size and depth of what they stand for is known to be within the limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import ConfigError, Place, Problem
from . import (
    MAX_DEPTH,
    MAX_PROBLEMS,
    MAX_VALUES,
    clean,
    duplicate,
    finish,
    kind,
    refuse,
    refuse_characters,
    too_deep,
    too_many,
)
from ._yaml_scalars import resolve
from ._yaml_text import PlainLoader, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Document

__all__ = ["YamlSyntax"]

_UNWANTED = re.compile("[\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_TAG_LINE = re.compile("(?:^|[\n\r\x85\u2028\u2029])%TAG")
_MAX_TAG_LINES = 16
_CORE = "tag:yaml.org,2002:"
_MERGE = "<<"


class YamlSyntax:
    """Files that end in .yaml or .yml. `loader` is one of PyYAML's; the fast one if it has it."""

    suffixes: tuple[str, ...] = (".yaml", ".yml")

    def __init__(self, loader: Any = None) -> None:
        self.loader = loader or getattr(yaml, "CSafeLoader", PlainLoader)

    def parse(self, text: str, name: str) -> Document:
        """The document; ConfigError has the place of what is wrong."""
        text = clean(text, name)
        refuse_characters(_UNWANTED, text, name)
        if len(_TAG_LINE.findall(text)) > _MAX_TAG_LINES:  # libyaml compares each with all others
            raise refuse(Place(name), "has too many %TAG lines", "remove them")
        root = _Composer(name).compose(_events(self.loader, text, name))
        if root is None:
            return finish(None, {}, name, [])
        builder = _Builder(name)
        data = builder.build(root)
        return finish(data, builder.places, name, builder.problems.values())


def _events(loader: Any, text: str, name: str) -> Iterator[Any]:
    source = None
    try:
        source = loader(text)
        while source.check_event():
            yield source.get_event()
    except yaml.YAMLError as error:
        raise explain(error, text, name) from None
    except (ValueError, OverflowError):  # the plain loader's int() and chr() of absurd escapes
        place = Place(name, getattr(source, "line", -1) + 1, getattr(source, "column", -1) + 1)
        raise refuse(place, "a number here is out of range", "correct the escape") from None
    finally:
        if source is not None:
            source.dispose()


@dataclass(eq=False)
class _Node:
    """A scalar, list or mapping with its whole size and depth, aliases counted in full."""

    event: Any
    children: list[tuple[_Node, Place]] = field(default_factory=list)
    size: int = 1
    depth: int = 1
    open: bool = True


class _Composer:
    def __init__(self, name: str) -> None:
        self.name = name
        self.stack: list[_Node] = []
        self.anchors: dict[str, _Node] = {}
        self.root: _Node | None = None
        self.total = 0

    def compose(self, events: Iterator[Any]) -> _Node | None:
        for event in events:
            if isinstance(event, yaml.AliasEvent):
                self.alias(event)
            elif isinstance(event, yaml.NodeEvent):
                self.begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.end(self.stack.pop())
            elif isinstance(event, yaml.DocumentStartEvent) and self.root:
                what = "a second document begins here"
                raise refuse(self.place(event), what, "keep one pipeline in a file")
        return self.root

    def begin(self, event: Any) -> None:
        node = _Node(event)
        self.count(1, event)
        if event.anchor:
            self.anchors[event.anchor] = node
        if isinstance(event, yaml.ScalarEvent):
            self.end(node, scalar=True)
        else:
            self.stack.append(node)
            if len(self.stack) > MAX_DEPTH:
                raise too_deep(self.place(event))

    def alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            what = f"no anchor {event.anchor!r} before this alias"
            raise refuse(
                self.place(event), what, f"write '&{event.anchor}' at the value it repeats"
            )
        if node.open:
            raise refuse(self.place(event), f"*{event.anchor} stands inside itself", "remove it")
        self.count(node.size, event)
        if len(self.stack) + node.depth > MAX_DEPTH:
            raise too_deep(self.place(event))
        self.add(node, event)

    def end(self, node: _Node, scalar: bool = False) -> None:
        node.open = False
        node.depth -= scalar
        self.add(node, node.event)

    def add(self, node: _Node, event: Any) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.children.append((node, self.place(event)))
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)

    def count(self, size: int, event: Any) -> None:
        self.total += size
        if self.total > 2 * MAX_VALUES:  # as keys count here too
            raise too_many(self.place(event))

    def place(self, event: Any) -> Place:
        return Place(self.name, event.start_mark.line + 1, event.start_mark.column + 1)


class _Builder:
    """Recursive, which is safe: no composed node is deeper than MAX_DEPTH."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[tuple[str | int, ...], Place] = {}
        self.problems: dict[tuple[Place, str], Problem] = {}

    def build(self, root: _Node) -> Any:
        mark = root.event.start_mark
        self.places[()] = Place(self.name, mark.line + 1, mark.column + 1)
        return self.value(root, (), self.places[()])

    def value(self, node: _Node, path: tuple[str | int, ...], place: Place) -> Any:
        if isinstance(node.event, yaml.ScalarEvent):
            return self.scalar(node, path, place)
        mapping = isinstance(node.event, yaml.MappingStartEvent)
        self.check_tag(node, "map" if mapping else "seq", path, place)
        if mapping:
            result: dict[str, Any] = {}
            self.fill(result, node, path)
            return result
        return [self.item(child, (*path, i), at) for i, (child, at) in enumerate(node.children)]

    def item(self, node: _Node, path: tuple[str | int, ...], place: Place) -> Any:
        self.places[path] = place
        if len(self.places) > MAX_VALUES:
            raise too_many(place)
        return self.value(node, path, place)

    def fill(self, result: dict[str, Any], node: _Node, path: tuple[str | int, ...]) -> None:
        """Add what `result` does not have yet: a mapping's own keys go before merged ones."""
        first: dict[str, Place] = {}
        merged: list[tuple[_Node, Place]] = []
        pairs = iter(node.children)
        for (key_node, place), (child, at) in zip(pairs, pairs, strict=True):
            key = self.key(key_node, path, place)
            if key is None:
                self.value(child, path, at)  # for its own problems
            elif key in first:
                self.problem(duplicate((*path, key), place, first[key]))
            else:
                first[key] = place
                if key == _MERGE and key_node.event.implicit[0]:
                    merged.append((child, at))
                elif key not in result:
                    result[key] = self.item(child, (*path, key), place)
        for child, at in merged:
            self.merge(result, child, path, at)

    def merge(
        self, result: dict[str, Any], node: _Node, path: tuple[str | int, ...], place: Place
    ) -> None:
        sources = [(node, place)]
        if isinstance(node.event, yaml.SequenceStartEvent):
            sources = node.children
        for source, at in sources:
            if isinstance(source.event, yaml.MappingStartEvent):
                self.fill(result, source, path)
            else:
                what = "'<<' merges only mappings"
                self.problem(self.wrong(what, path, at, "name an anchor of a mapping"))

    def key(self, node: _Node, path: tuple[str | int, ...], place: Place) -> str | None:
        if not isinstance(node.event, yaml.ScalarEvent):
            what = "a key must be text, not a list or mapping"
            hint = "put text in quotes if it begins with '{' or '['"
            self.problem(self.wrong(what, path, place, hint))
            return None
        if node.event.value == _MERGE and node.event.implicit[0]:
            return _MERGE
        before = len(self.problems)
        key = self.scalar(node, path, place)
        if isinstance(key, str):
            return key
        if len(self.problems) == before:
            text = node.event.value
            what = f"a key must be text, not {kind(key)}" + (f" ({text[:40]})" if text else "")
            self.problem(self.wrong(what, path, place, "put it in quotes"))
        return None

    def scalar(self, node: _Node, path: tuple[str | int, ...], place: Place) -> Any:
        event = node.event
        if event.tag is None or event.tag == "!":
            tag = None if event.tag is None and event.implicit[0] else "str"
        else:
            tag = event.tag.removeprefix(_CORE)
            if tag == event.tag or tag in ("map", "seq"):
                self.check_tag(node, None, path, place)
                return ""
        try:
            return resolve(event.value, tag)
        except KeyError:
            self.check_tag(node, None, path, place)
        except ValueError as error:
            what, hint = error.args
            self.problem(self.wrong(what, path, place, hint))
        return ""

    def check_tag(
        self, node: _Node, fits: str | None, path: tuple[str | int, ...], place: Place
    ) -> None:
        tag = node.event.tag
        if tag in (None, "!") or tag == f"{_CORE}{fits}":
            return
        short = f"!!{tag.removeprefix(_CORE)}" if tag.startswith(_CORE) else tag
        what = f"tag {short[:60]!r} is not allowed here"
        self.problem(self.wrong(what, path, place, "remove it; values are plain data"))

    def wrong(self, what: str, path: tuple[str | int, ...], place: Place, hint: str) -> Problem:
        return Problem(what, ".".join(map(str, path)), place, hint)

    def problem(self, problem: Problem) -> None:
        """Keep it once, though an alias makes it come up in every place that repeats it."""
        if problem.place:
            self.problems.setdefault((problem.place, problem.what), problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError(self.problems.values())
