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
        return _place(self.name, event)


class _Builder:
    """Recursive, which is safe: no composed node is deeper than MAX_DEPTH."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[tuple[str | int, ...], Place] = {}
        self.problems: dict[tuple[Place | None, str], Problem] = {}

    def build(self, root: _Node) -> Any:
        self.places[()] = self.place(root)
        return self.value(root, ())

    def value(self, node: _Node, path: tuple[str | int, ...]) -> Any:
        if isinstance(node.event, yaml.ScalarEvent):
            return self.scalar(node, path)
        if isinstance(node.event, yaml.MappingStartEvent):
            self.check_tag(node, "map", path)
            result: dict[str, Any] = {}
            self.fill(result, node, path)
            return result
        self.check_tag(node, "seq", path)
        return [self.item(child, (*path, i), at) for i, (child, at) in enumerate(node.children)]

    def item(self, node: _Node, path: tuple[str | int, ...], place: Place) -> Any:
        self.places[path] = place
        if len(self.places) > MAX_VALUES:
            raise too_many(place)
        return self.value(node, path)

    def fill(self, result: dict[str, Any], node: _Node, path: tuple[str | int, ...]) -> None:
        """Add what `result` does not have yet: a mapping's own keys go before merged ones."""
        first: dict[str, Place] = {}
        merged: list[_Node] = []
        pairs = iter(node.children)
        for (key_node, place), (child, _) in zip(pairs, pairs):
            key = self.key(key_node, path)
            if key is None:
                self.value(child, path)  # for its own problems
                continue
            if key in first:
                self.problem(duplicate((*path, key), place, first[key]))
                continue
            first[key] = place
            if _is_merge(key_node):
                merged.append(child)
            elif key not in result:
                result[key] = self.item(child, (*path, key), place)
        for child in merged:
            self.merge(result, child, path)

    def merge(self, result: dict[str, Any], node: _Node, path: tuple[str | int, ...]) -> None:
        sources = [node]
        if isinstance(node.event, yaml.SequenceStartEvent):
            sources = [child for child, _ in node.children]
        for source in sources:
            if isinstance(source.event, yaml.MappingStartEvent):
                self.fill(result, source, path)
            else:
                self.wrong("'<<' merges only mappings", path, source, "name an anchor of a mapping")

    def key(self, node: _Node, path: tuple[str | int, ...]) -> str | None:
        if _is_merge(node):
            return _MERGE
        if not isinstance(node.event, yaml.ScalarEvent):
            hint = "put text in quotes if it begins with '{' or '['"
            self.wrong("a key must be text, not a list or mapping", path, node, hint)
            return None
        before = len(self.problems)
        key = self.scalar(node, path)
        if isinstance(key, str):
            return key
        if len(self.problems) == before:
            shown = f" ({node.event.value[:40]})" if node.event.value else ""
            what = f"a key must be text, not {kind(key)}{shown}"
            self.wrong(what, path, node, "put it in quotes")
        return None

    def scalar(self, node: _Node, path: tuple[str | int, ...]) -> Any:
        event = node.event
        tag = event.tag
        if tag is None or tag == "!":
            tag = None if tag is None and event.implicit[0] else f"{_CORE}str"
        elif not tag.startswith(_CORE):
            tag = _CORE  # names nothing
        try:
            return resolve(event.value, tag and tag.removeprefix(_CORE))
        except KeyError:
            self.check_tag(node, None, path)
        except ValueError as error:
            what, hint = error.args
            self.wrong(what, path, node, hint)
        return ""

    def check_tag(self, node: _Node, fits: str | None, path: tuple[str | int, ...]) -> None:
        tag = node.event.tag
        if tag not in (None, "!", f"{_CORE}{fits}"):
            short = f"!!{tag.removeprefix(_CORE)}" if tag.startswith(_CORE) else tag
            what = f"tag {short[:60]!r} is not allowed here"
            self.wrong(what, path, node, "remove it; values are plain data")

    def wrong(self, what: str, path: tuple[str | int, ...], node: _Node, hint: str) -> None:
        self.problem(Problem(what, ".".join(map(str, path)), self.place(node), hint))

    def problem(self, problem: Problem) -> None:
        """Keep it once, though an alias makes it come up in every place that repeats it."""
        self.problems.setdefault((problem.place, problem.what), problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError(self.problems.values())

    def place(self, node: _Node) -> Place:
        return _place(self.name, node.event)


def _is_merge(node: _Node) -> bool:
    """Whether a key is a plain `<<`."""
    event = node.event
    return isinstance(event, yaml.ScalarEvent) and event.value == _MERGE and event.implicit[0]


def _place(name: str, event: Any) -> Place:
    return Place(name, event.start_mark.line + 1, event.start_mark.column + 1)
