"""The files of a new package that provides one thing: a component, an engine, a command…"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UsageError
from ..hookspecs import PROVIDERS
from ..known import distribution_of
from ..plugins import Plugins
from .templates import filled

__all__ = ["distribution_name", "plugin_files"]

_WHERE = "penstock new plugin"


def plugin_files(name: str, role: str, distribution: str = "") -> dict[Path, str]:
    """Every file of the package. `role` is a key of `PROVIDERS`."""
    _check_name(name, role)
    distribution = distribution_name(name, distribution)
    package = distribution.replace("-", "_")
    values = {
        "name": name,
        "role": role,
        "hook": PROVIDERS[role],
        "package": package,
        "distribution": distribution,
        "class_name": "".join(part.title() for part in name.split("_")) + role.title(),
        "shown": f"{name} --help" if role == "command" else f"describe {name}",
    }
    values["usage"] = filled(f"plugin/{role}/usage.md", **values).strip()
    root = Path(distribution)
    source = root / "src" / package
    made = {
        root / "pyproject.toml": "pyproject.toml",
        root / "README.md": "README.md",
        root / "CHANGELOG.md": "CHANGELOG.md",
        root / ".gitignore": "gitignore",
        source / "__init__.py": "__init__.py",
        source / "py.typed": "py.typed",
        source / "plugin.py": "plugin.py",
        source / f"{role}.py": f"{role}/component.py",
        root / "tests" / f"test_{role}.py": f"{role}/test.py",
        source / "conformance.py": f"{role}/conformance.py",
        root / "tests" / "test_conformance.py": "test_conformance.py",
    }
    return {path: filled(f"plugin/{one}", **values) for path, one in made.items()}


def distribution_name(name: str, given: str = "") -> str:
    """The name of the distribution: the one that is given, or one made from the component's."""
    distribution = given or f"penstock-{name.replace('_', '-')}"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", distribution):
        raise UsageError(
            f"{given!r} is not a name for a distribution",
            where=_WHERE,
            hint="use lower-case letters, digits and single hyphens, as acme-weather",
        )
    return distribution


def _check_name(name: str, role: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise UsageError(
            f"{name!r} is not a name for a component",
            where=_WHERE,
            hint="use lower-case letters, digits and single underscores",
        )
    from . import COMMANDS

    taken = role == "command" and name in COMMANDS
    taken = taken or name in Plugins(discover=False).names(role)
    owner = "penstock" if taken else distribution_of(role, name)
    if owner:
        raise UsageError(
            f"the {role} {name!r} comes with {owner}", where=_WHERE, hint="choose another name"
        )
