"""The packages of this repository and the modules in them, as the tests see them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One module of a package: `name` is dotted, `penstock.cli.main`."""

    name: str
    path: Path

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@dataclass(frozen=True)
class Package:
    """A folder in packages/: core is `penstock`, input-csv is `penstock-input-csv`."""

    path: Path

    @property
    def folder(self) -> str:
        return self.path.name

    @property
    def distribution(self) -> str:
        return "penstock" if self.folder == "core" else f"penstock-{self.folder}"

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        content: dict[str, Any] = tomllib.loads((self.path / "pyproject.toml").read_text("utf-8"))
        return content

    @property
    def project(self) -> Any:
        return self.pyproject["project"]

    @property
    def plugins(self) -> dict[str, str]:
        """Its entry modules by name. A library for plugins has none; the kernel knows its own."""
        if self.folder == "core":
            return {"builtin": "penstock.builtin"}
        found: dict[str, str] = self.project.get("entry-points", {}).get("penstock.plugins.v1", {})
        return found

    @property
    def roots(self) -> list[Path]:
        """The import packages in src/; there is one."""
        return [path for path in sorted((self.path / "src").iterdir()) if path.suffix != ".pyc"]

    @property
    def modules(self) -> list[Module]:
        source = self.path / "src"
        found = []
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            found.append(Module(".".join(parts[: -1 if parts[-1] == "__init__" else None]), path))
        return found


PACKAGES = [Package(path.parent) for path in sorted(REPO.glob("packages/*/pyproject.toml"))]
CORE = Package(REPO / "packages" / "core")
