"""`penstock doctor`: what a bug report needs, safe to paste."""

from __future__ import annotations

import argparse
import locale
import os
import platform
import re
import shutil
import sqlite3
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..options import mask
from ..plugins import Plugins
from . import common_arguments
from .loading import DEFAULT_FILES, STATE, plugins_of
from .showing import print_json

HELP = "show versions and paths for a bug report"

_SECRET = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    found = _findings(plugins_of(options))
    if options.json:
        print_json(found)
    else:
        print("\n\n".join(_section(name, facts) for name, facts in found.items()))
    return 0


def _section(name: str, facts: dict[str, Any]) -> str:
    size = max((len(fact) for fact in facts), default=0)
    lines = [f"  {fact.ljust(size)}  {value}".rstrip() for fact, value in facts.items()]
    return "\n".join([name, *(lines or ["  none"])])


def _findings(plugins: Plugins) -> dict[str, dict[str, Any]]:
    found = plugins.distributions()
    return {
        "versions": _versions(sorted({one.name for one in found})),
        "plugins": {one.name: _plugin(one) for one in found},
        "machine": _machine(),
        "paths": _paths(),
        "environment": _environment(),
    }


def _plugin(one: Any) -> str:
    return f"{one.version} {one.state}".strip() + (f": {mask(one.reason)}" if one.reason else "")


def _versions(distributions: list[str]) -> dict[str, str]:
    """Of Python, the kernel and every library that an installed plugin names."""
    found = {"penstock": __version__, "python": sys.version.replace("\n", " ")}
    found["sqlite"] = sqlite3.sqlite_version
    for name in sorted({need for one in ["penstock", *distributions] for need in _needs(one)}):
        if name not in found:
            found[name] = _version(name)
    return found


def _needs(distribution: str) -> set[str]:
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:  # the sources are on the path, not installed
        lines = ["pluggy", "PyYAML"] if distribution == "penstock" else []
    return {re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _machine() -> dict[str, Any]:
    now = time.time()
    return {
        "platform": platform.platform(),
        "processors": os.cpu_count() or "unknown",
        "clock": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "local time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(now)),
        "locale": locale.setlocale(locale.LC_CTYPE),
        "standard output": _encoding(sys.stdout),
        "standard error": _encoding(sys.stderr),
        "file names": sys.getfilesystemencoding(),
    }


def _encoding(stream: Any) -> str:
    encoding = getattr(stream, "encoding", None) or "unknown"
    plain = encoding.lower().replace("-", "")
    note = "" if plain == "utf8" else ", not UTF-8: set PYTHONUTF8=1"
    return f"{encoding}, {'a terminal' if stream.isatty() else 'not a terminal'}{note}"


def _paths() -> dict[str, str]:
    here = Path.cwd()
    pipeline = next((name for name in DEFAULT_FILES if Path(name).is_file()), "none in this folder")
    return {
        "python": sys.executable,
        "prefix": sys.prefix,
        "penstock": str(Path(__file__).parent.parent),
        "this folder": f"{here} ({_permissions(here)})",
        "pipeline": pipeline,
        "plugins.py": "in this folder" if Path("plugins.py").is_file() else "none in this folder",
        "state": f"{here / STATE} ({_permissions(here / STATE)})",
        "free disk": _free(here),
    }


def _permissions(folder: Path) -> str:
    try:
        mode = folder.stat().st_mode & 0o7777
    except OSError as error:
        return "not there yet" if isinstance(error, FileNotFoundError) else str(error.strerror)
    return f"{mode:o}, {'writable' if os.access(folder, os.W_OK) else 'not writable'}"


def _free(folder: Path) -> str:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return f"unknown: {error.strerror}"
    return f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB"


def _environment() -> dict[str, str]:
    names = [name for name in os.environ if name.startswith(("PENSTOCK", "PYTHON"))]
    names += [name for name in ("NO_COLOR", "VIRTUAL_ENV", "TZ") if name in os.environ]
    return {
        name: "***" if _SECRET.search(name) else mask(os.environ[name]) for name in sorted(names)
    }
