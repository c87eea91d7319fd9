"""The rules for packages: what an installed plugin is like before any component of it is used."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from penstock import UsageError
from penstock.plugins import GROUP, Distribution, Plugins

from .rules import Rule

__all__ = ["CONFORMANCE", "PACKAGE_RULES", "Package", "package_of", "rule_of"]

CONFORMANCE = "penstock.conformance.v1"
"""The entry-point group that names the module with a package's suites; only `certify` looks."""

IMPORT_SECONDS = 20.0


@dataclass
class Package:
    """An installed distribution, and what the kernel has found of it."""

    name: str
    version: str
    about: Any
    found: list[Distribution] = field(default_factory=list)
    others: list[Distribution] = field(default_factory=list)

    @property
    def modules(self) -> list[str]:
        return [one.value for one in self.about.entry_points if one.group == GROUP]

    @property
    def conformance(self) -> str | None:
        """The module with its suites."""
        named = [one.value for one in self.about.entry_points if one.group == CONFORMANCE]
        return named[0] if named else None

    @property
    def provides(self) -> list[tuple[str, str]]:
        """Kind and name of everything that it provides."""
        return [
            (kind, name)
            for one in self.found
            for kind, names in one.names.items()
            for name in names
        ]


def package_of(name: str) -> Package:
    """The package of that name, with what is known of it."""
    try:
        about = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise UsageError(
            f"no distribution named {name!r} is installed",
            where="penstock certify",
            hint="see `penstock plugins`",
        ) from None
    normal = _normal(name)
    listed = Plugins().distributions()
    return Package(
        normal,
        about.version or "",
        about,
        [one for one in listed if _normal(one.name) == normal],
        [one for one in listed if _normal(one.name) != normal],
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def it_says_what_it_is(package: Package) -> str | None:
    """A package has metadata: its name, its version, a summary and what it requires."""
    missing = [key for key in ("Name", "Version", "Summary") if not package.about.metadata[key]]
    return f"its metadata lacks {' and '.join(missing)}" if missing else None


def it_requires_a_range_of_the_kernel(package: Package) -> str | None:
    """A package takes every version of its siblings that will do, as penstock>=0.1,<2: one that
    pins a sibling exactly cannot be installed beside another that pins another version."""
    needs = [need for need in package.about.requires or () if re.match(r"penstock\b", need)]
    pinned = [need for need in needs if re.search(r"===?|~=", need.partition(";")[0])]
    if pinned:
        return f"it pins {' and '.join(pinned)}"
    if not any(re.match(r"penstock(?![-\w])", need) for need in needs):
        return "it does not say which versions of penstock it works with"
    return None


def it_is_imported_quickly_and_in_silence(package: Package) -> str | None:
    """The module of an entry point is imported at once, prints nothing, starts no thread and never
    leaves the process: every command imports it."""
    for module in package.modules:
        code = (
            "import sys, threading\n"
            f"__import__({module!r})\n"
            "sys.exit(7 if threading.active_count() > 1 else 0)"
        )
        try:
            done = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                timeout=IMPORT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{module} was not imported within {IMPORT_SECONDS:g} s"
        if done.returncode == 7:
            return f"{module} starts a thread while it is imported"
        if done.returncode or "SystemExit" in done.stderr:
            last = (done.stderr.strip().splitlines() or [f"it left with {done.returncode}"])[-1]
            return f"{module} cannot be imported: {last}"
        if done.stdout or done.stderr:
            printed = (done.stdout or done.stderr).splitlines()[0]
            return f"{module} prints {printed!r} while it is imported"
    return None


def its_hooks_are_those_of_the_kernel(package: Package) -> str | None:
    """The kernel takes what the package says: its hooks exist, and their answers are names with
    import strings."""
    if not package.found:
        return f"it has no entry point of the group {GROUP}"
    broken = [one.reason for one in package.found if one.state == "broken"]
    return broken[0] if broken else None


def its_names_are_its_own(package: Package) -> str | None:
    """No other installed package provides a name that this one does."""
    for kind, name in package.provides:
        for other in package.others:
            if name in other.names.get(kind, ()):
                return f"{kind} {name!r} is provided by {other.name} as well"
    return None


def it_brings_its_suites(package: Package) -> str | None:
    """A package names the module with its suites in an entry point, and ships it."""
    module = package.conformance
    if module is None:
        return f"it has no entry point of the group {CONFORMANCE}"
    try:
        found = find_spec(module)
    except ImportError:
        found = None
    return None if found is not None and found.origin else f"there is no module {module!r}"


PACKAGE_RULES: list[Callable[[Package], str | None]] = [
    it_says_what_it_is,
    it_requires_a_range_of_the_kernel,
    it_is_imported_quickly_and_in_silence,
    its_hooks_are_those_of_the_kernel,
    its_names_are_its_own,
    it_brings_its_suites,
]


def rule_of(check: Callable[[Package], str | None]) -> Rule:
    import inspect

    return Rule(check.__name__, inspect.getdoc(check) or "")


def broken_by(package: Package) -> Iterator[tuple[Rule, str]]:
    """The rules for packages that this one breaks, and what was found."""
    for check in PACKAGE_RULES:
        said = check(package)
        if said is not None:
            yield rule_of(check), said
