"""Which streams are joined to which, as a tree: `join(Order, With(Payment, left=…, right=…))`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from penstock import ConfigError

from .joins import On
from .shapes import Tree

__all__ = ["Join", "With", "alias", "join", "name_of"]

T = TypeVar("T")


class With:
    """What is joined: a stream, or a join of its own. The options are those of `On`."""

    def __init__(self, what: Any, *, left: Any, right: Any, **options: Any) -> None:
        self.what = what
        self.left = left
        self.right = right
        self.options = options


class Join:
    """A stream with those that are joined to it."""

    def __init__(self, first: Any, parts: Sequence[With]) -> None:
        self.first = first
        self.parts = parts

    def conditions(self) -> Iterator[tuple[Any, On]]:
        """Every stream but the first with how it is joined."""
        for part in self.parts:
            inner = part.what if isinstance(part.what, Join) else None
            stream = inner.first if inner is not None else part.what
            options = {"to": name_of(self.first), **part.options}
            yield stream, On(left=part.left, right=part.right, **options)
            if inner is not None:
                yield from inner.conditions()

    def streams(self) -> list[Any]:
        """Every stream, the first one first; ConfigError when one stands there twice."""
        found = [self.first, *(stream for stream, _ in self.conditions())]
        names = [name_of(one) for one in found]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"{name} stands in the join twice; give one of them another name with "
                    f"alias({name}, 'Other')"
                )
        return found

    def tree(self) -> Tree:
        parts = [
            part.what.tree() if isinstance(part.what, Join) else Tree(name_of(part.what))
            for part in self.parts
        ]
        return Tree(name_of(self.first), parts)


def join(first: Any, *parts: With) -> Join:
    """Join streams, each given as its class or its name, to `first`.

    Each part has its conditions: `With(Payment, left=field("id"), right=field("order"))`. A part
    may be a join itself, which makes a chain; several parts make a star.
    """
    if not parts:
        raise ConfigError(f"nothing is joined to {name_of(first)}; add With(…)")
    return Join(first, parts)


def name_of(stream: Any) -> str:
    return stream if isinstance(stream, str) else str(stream.__name__)


def alias(cls: type[T], name: str) -> type[T]:
    """The same class under another name, for a stream that stands in a join twice."""
    made: type[T] = type(name, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__})
    return made
