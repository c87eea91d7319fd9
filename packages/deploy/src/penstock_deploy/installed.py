"""What is installed here: versions, what needs what, and under which licence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["Installed", "closure"]


@dataclass
class Installed:
    """An installed distribution; `needs` are the names of others that it needs on this machine."""

    name: str
    version: str
    license: str = ""
    needs: list[str] = field(default_factory=list)


def closure(requirements: Iterable[str]) -> dict[str, Installed]:
    """The distributions that are installed here for some requirements, and for those in turn.

    What is not installed is left out: it is no matter of this environment.
    """
    found: dict[str, Installed] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = metadata.distribution(one.name)
        except metadata.PackageNotFoundError:
            continue
        about = found.setdefault(key[0], _about(distribution, key[0]))
        for need in _needs(distribution, one.extras):
            name = canonicalize_name(need.name)
            if name not in about.needs:
                about.needs.append(name)
            waiting.append(need)
    return dict(sorted(found.items()))


def _about(distribution: metadata.Distribution, name: str) -> Installed:
    about = distribution.metadata.json
    terms = about.get("license_expression") or about.get("license") or ""
    return Installed(name, distribution.version, str(terms))


def _needs(distribution: metadata.Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for line in distribution.requires or ():
        need = Requirement(line)
        marker = need.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need
