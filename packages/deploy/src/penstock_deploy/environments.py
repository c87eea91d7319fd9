"""Which kind of environment penstock runs in, and which command puts a distribution into it."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import PluginError
from penstock.locking import normal

from .commands import has_pip, uv

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Environment", "brought", "command_for", "here", "places"]


@dataclass(frozen=True)
class Environment:
    """`kind` is "uv tool", "pipx", "virtual environment", "system" or "managed"."""

    kind: str
    prefix: Path
    python: str

    def __str__(self) -> str:
        return f"{self.kind} {self.prefix}"


def here() -> Environment:
    """The environment that this process runs in."""
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        kind = "uv tool"
    elif (prefix / "pipx_metadata.json").is_file():
        kind = "pipx"
    elif sys.prefix != sys.base_prefix:
        kind = "virtual environment"
    elif Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file():
        kind = "managed"
    else:
        kind = "system"
    return Environment(kind, prefix, sys.executable)


def command_for(
    environment: Environment, names: Sequence[str], links: Sequence[str], no_index: bool
) -> list[str]:
    """The command that installs these; PluginError when nothing here can, or may."""
    return _COMMANDS[environment.kind](environment, names, places(links, no_index))


def brought(environment: Environment, names: Sequence[str]) -> list[str]:
    """What that command asks for by name: these, and with a tool of uv all that it had."""
    return [*(_received(environment) if environment.kind == "uv tool" else ()), *names]


def places(links: Sequence[str], no_index: bool) -> list[str]:
    """Where to look, as pip and uv are told."""
    words = [word for link in links for word in ("--find-links", link)]
    return [*words, "--no-index"] if no_index else words


def _pip(environment: Environment, names: Sequence[str], places: list[str]) -> list[str]:
    if has_pip():
        return [environment.python, "-m", "pip", "install", *places, *names]
    program = uv()
    if program is None:
        what = "there is neither pip in this environment nor uv on the path"
        raise PluginError(what, where=str(environment), hint="python -m ensurepip, or install uv")
    return [program, "pip", "install", "--python", environment.python, *places, *names]


def _uv_tool(environment: Environment, names: Sequence[str], places: list[str]) -> list[str]:
    """The tool anew with what it had and these: uv forgets what an earlier call has added."""
    program = uv()
    if program is None:
        raise PluginError("uv is not on the path", where=str(environment), hint="put it there")
    tool, *others = _received(environment)
    added = {normal(_name(one)): one for one in [*others, *names]}
    more = [word for one in added.values() for word in ("--with", one)]
    return [program, "tool", "install", "--python", _base(), *places, tool, *more]


def _received(environment: Environment) -> list[str]:
    """What uv has written down about its tool: its own requirement first, then those beside it."""
    receipt = tomllib.loads((environment.prefix / "uv-receipt.toml").read_text("utf-8"))
    entries = receipt.get("tool", {}).get("requirements", [])
    found = sorted(
        map(_requirement, entries), key=lambda one: _name(one) != environment.prefix.name
    )
    if not found:
        hint = "install the plugin with `uv tool install penstock --with NAME`"
        raise PluginError("its receipt names nothing", where=str(environment), hint=hint)
    return found


def _requirement(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    for source in ("url", "path", "directory", "editable", "git"):
        if source in entry:
            prefix = "git+" if source == "git" else ""
            return f"{entry['name']}{extras} @ {prefix}{_as_url(str(entry[source]))}"
    return f"{entry['name']}{extras}{entry.get('specifier', '')}"


def _as_url(place: str) -> str:
    return place if "://" in place else Path(place).as_uri()


def _name(requirement: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(requirement).name


def _base() -> str:
    """The interpreter that the tool's environment was made with. Not only its version: uv would
    fetch another one of that version when it does not know where this one is."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for name in (f"bin/python{version}", "python.exe"):
        if Path(sys.base_prefix, name).is_file():
            return str(Path(sys.base_prefix, name))
    return version


def _pipx(environment: Environment, names: Sequence[str], places: list[str]) -> list[str]:
    program = shutil.which("pipx")
    if program is None:
        raise PluginError("pipx is not on the path", where=str(environment), hint="put it there")
    arguments = ["--pip-args", " ".join(places)] if places else []
    return [program, "inject", *arguments, environment.prefix.name, *names]


def _managed(environment: Environment, names: Sequence[str], places: list[str]) -> list[str]:
    raise PluginError(
        "this Python is managed by the system, whose packages must not be mixed with others",
        where=str(environment.prefix),
        hint="make an environment: python3 -m venv .venv && .venv/bin/pip install penstock "
        + " ".join(names),
    )


_COMMANDS: dict[str, Callable[[Environment, Sequence[str], list[str]], list[str]]] = {
    "uv tool": _uv_tool,
    "pipx": _pipx,
    "virtual environment": _pip,
    "system": _pip,
    "managed": _managed,
}
