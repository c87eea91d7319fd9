"""What several commands do first: find the pipeline file, the plugins and the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..build import Pipeline, load_pipeline
from ..errors import UsageError
from ..plugins import Plugins
from ..stores.sqlite import SqliteStore

__all__ = ["DEFAULT_FILES", "find_file", "load", "plugins_of", "store_of"]

DEFAULT_FILES = ("penstock.yaml", "penstock.yml", "penstock.toml", "penstock.json")
"""The names looked for when no file is given."""


def plugins_of(options: Any) -> Plugins:
    """Installed plugins and those given with --plugin."""
    plugins = Plugins(discover=not options.no_plugins)
    for file in options.plugin:
        plugins.register_file(Path(file))
    return plugins


def find_file(given: str | None) -> Path:
    """The pipeline file that is meant."""
    if given is not None:
        return Path(given)
    for name in DEFAULT_FILES:
        if Path(name).is_file():
            return Path(name)
    raise UsageError(
        f"no pipeline given and no {', '.join(DEFAULT_FILES[:-1])} or {DEFAULT_FILES[-1]} here",
        where="penstock",
        hint="name the file",
    )


def load(options: Any) -> Pipeline:
    """The pipeline that the arguments name, built."""
    return load_pipeline(
        find_file(options.pipeline),
        plugins_of(options),
        settings=options.set,
        engine=getattr(options, "engine", None),
    )


def store_of(options: Any, file: Path | None = None) -> SqliteStore:
    """The state that --state names, or the one beside the pipeline."""
    if getattr(options, "state", None):
        return SqliteStore(Path(options.state))
    return SqliteStore((file or find_file(options.pipeline)).absolute().parent / ".penstock")
