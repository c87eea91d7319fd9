"""Pipelines by name: who registered which pipe, and which pipeline triggers which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock import UsageError
from penstock.errors import nearest

__all__ = ["Registry", "full", "pipeline", "registry"]

P = TypeVar("P", bound=type)


def full(name: str) -> str:
    """The stored name: one without a dot ends in ".default"."""
    return name if "." in name else f"{name}.default"


def _loose(name: str) -> str:
    return full(name.replace("_", "."))


@dataclass(frozen=True)
class _Registered:
    cls: Any
    sequence: int
    triggers: tuple[str, ...]


class Registry:
    """Every pipeline of a project."""

    def __init__(self) -> None:
        self._routes: dict[str, list[_Registered]] = {}
        self._combined: dict[str, Any] = {}
        self._discovered = False

    def discover(self) -> None:
        """Import `pipes` of every installed app, once."""
        if self._discovered:
            return
        from django.utils.module_loading import autodiscover_modules

        self._discovered = True  # first: pipes may make sessions while they are imported
        try:
            autodiscover_modules("pipes")
        except BaseException:
            self._discovered = False  # whoever comes next is told as well
            raise

    def add(self, name: str, cls: Any, sequence: int, triggers: Sequence[str]) -> None:
        """Register a pipe as the last of a pipeline; several of one name are combined."""
        name = full(name)
        entries = self._routes.setdefault(name, [])
        # A module that is imported again, as by an autoreloader, takes the place of the old one.
        same = (cls.__module__, cls.__qualname__)
        entries[:] = [e for e in entries if (e.cls.__module__, e.cls.__qualname__) != same]
        entries.append(_Registered(cls, sequence, tuple(triggers)))
        self._combined.pop(name, None)

    def find(self, name: str) -> tuple[str, Any]:
        """The stored name and the class of a pipeline; UsageError when there is none."""
        found = self.resolve(name)
        if found is None:
            near = nearest(full(name), list(self._routes))
            raise UsageError(
                f"no pipeline named {name!r}",
                hint=f"did you mean {near!r}?"
                if near
                else "register it with @pipeline in pipes.py",
            )
        if found not in self._combined:
            self._combined[found] = _combine(found, self._routes[found])
        return found, self._combined[found]

    def resolve(self, name: str) -> str | None:
        """The stored name that somebody means who writes `name`: "a" is "a.default", and where
        nothing is called "news_import" that is "news.import"."""
        if full(name) in self._routes:
            return full(name)
        loose = [one for one in self._routes if _loose(one) == _loose(name)]
        return loose[0] if len(loose) == 1 else None

    def triggered_by(self, name: str) -> list[str]:
        """The pipelines that go on with the results of this one."""
        return [
            route
            for route, entries in self._routes.items()
            if any(self.resolve(trigger) == name for one in entries for trigger in one.triggers)
        ]

    def dangling(self) -> Iterator[tuple[str, str]]:
        """Triggers that name no pipeline."""
        for route, entries in self._routes.items():
            for trigger in dict.fromkeys(t for one in entries for t in one.triggers):
                if self.resolve(trigger) is None:
                    yield route, trigger


def _combine(name: str, entries: Sequence[_Registered]) -> Any:
    """One class of several: what has the lower sequence works first, and else what was registered
    first. A pipe works before those that inherit from it, so the first is the last base."""
    ordered = sorted(entries, key=lambda one: one.sequence)
    classes = list(dict.fromkeys(one.cls for one in ordered))
    bases = [
        cls
        for cls in reversed(classes)
        if not any(other is not cls and issubclass(other, cls) for other in classes)
    ]
    return bases[0] if len(bases) == 1 else type(name, tuple(bases), {"__module__": __name__})


# Decorators in many modules write here, as with Django's own registries.
registry = Registry()


def pipeline(
    name: str, trigger: str | None = None, triggers: Sequence[str] = (), sequence: int = 0
) -> Callable[[P], P]:
    """Register a pipe as the last one of a pipeline.

    `trigger`, or each of `triggers`, names a pipeline whose results this one goes on with.
    """

    def register(cls: P) -> P:
        registry.add(name, cls, sequence, [*([trigger] if trigger else []), *triggers])
        return cls

    return register
