"""What several commands do first: find the pipeline file, the plugins and the state."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..build import Pipeline, load_pipeline
from ..claims import refuse_other
from ..dialect import read_document, read_spec
from ..errors import PenstockError, UsageError, nearest
from ..options import short
from ..plugins import Plugins
from ..stores.sqlite import SqliteStore

__all__ = [
    "DEFAULT_FILES",
    "STATE",
    "Past",
    "at_least_one",
    "find_file",
    "load",
    "past_arguments",
    "past_of",
    "plugins_of",
    "store_of",
    "worker_argument",
]

DEFAULT_FILES = ("penstock.yaml", "penstock.yml", "penstock.toml", "penstock.json")
"""The names looked for when no file is given."""

STATE = ".penstock"
"""The state folder, beside the pipeline file."""

_ALL = 1_000_000


def plugins_of(options: Any) -> Plugins:
    """Installed plugins and those given with --plugin."""
    plugins = Plugins(discover=not options.no_plugins)
    for file in options.plugin:
        plugins.register_file(Path(file))
    return plugins


def find_file(given: str | None) -> Path:
    """The pipeline file that is meant."""
    found = Path(given) if given is not None else _default_file()
    if found is not None:
        return found
    raise UsageError(
        f"no pipeline given and no {', '.join(DEFAULT_FILES[:-1])} or {DEFAULT_FILES[-1]} here",
        where="penstock",
        hint="name the file",
    )


def _default_file() -> Path | None:
    return next((Path(name) for name in DEFAULT_FILES if Path(name).is_file()), None)


def load(options: Any) -> Pipeline:
    """The pipeline that the arguments name, built."""
    pipeline = load_pipeline(
        find_file(options.pipeline),
        plugins_of(options),
        settings=options.set,
        engine=getattr(options, "engine", None),
    )
    pipeline.spec.name = _of_worker(pipeline.name, options)
    return pipeline


def at_least_one(argument: str) -> Callable[[str], int]:
    """Reads the value of an argument that counts something."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = 0  # refused below, in the same words
        if number < 1:
            what = f"must be a whole number of at least 1, got {short(text)}"
            raise UsageError(what, where=argument)
        return number

    return read


def store_of(options: Any, file: Path | None = None) -> SqliteStore:
    """The state that --state names, or the one beside the pipeline."""
    if getattr(options, "state", None):
        return SqliteStore(Path(options.state))
    return SqliteStore((file or find_file(options.pipeline)).absolute().parent / STATE)


@dataclass(frozen=True)
class Past:
    """What was left behind by the runs of one pipeline: its store and the name it has there.

    `name` is None when every pipeline of the folder is meant.
    """

    store: SqliteStore
    name: str | None
    file: Path | None


def past_of(options: Any) -> Past:
    """Where the runs of a pipeline left what they kept. The file need not build, nor be there:
    only its folder and the pipeline's name count."""
    file = Path(options.pipeline) if options.pipeline else _default_file()
    if file is None:
        folder = Path(options.state) if options.state else Path(STATE)
        _must_exist(folder)
        return Past(SqliteStore(folder), None, None)
    store = store_of(options, file)
    if not file.exists():
        _must_be_known(file, store)
    _must_exist(store.path.parent)
    name = _of_worker(_name_in(file, options), options)
    if file.exists():
        try:
            refuse_other(store, name, file)
        except UsageError:
            store.close()
            raise
    return Past(store, name, file)


def past_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that `past_of` reads."""
    parser.add_argument(
        "pipeline",
        nargs="?",
        help="pipeline file (default: the one in this folder, or all that kept state here)",
    )
    parser.add_argument(
        "--state", metavar="FOLDER", help="look here (default: .penstock beside the file)"
    )
    worker_argument(parser, "what this worker of `run --workers` has left")


def worker_argument(parser: argparse.ArgumentParser, about: str) -> None:
    """The argument that means one of several workers."""
    parser.add_argument("--worker", type=at_least_one("--worker"), metavar="K", help=about)


def _of_worker(name: str, options: Any) -> str:
    number = getattr(options, "worker", None)
    return name if number is None else f"{name}@{number}"


def _must_exist(folder: Path) -> None:
    if not (folder / "state.db").is_file():
        raise UsageError(
            "nothing is kept here",
            where=str(folder),
            hint="run the pipeline first, or choose a folder with --state",
        )


def _must_be_known(file: Path, store: SqliteStore) -> None:
    """A file that is not there may have been removed after its runs; else its name is wrong."""
    try:
        name = file.stem
        if store.reports(name, 1) or store.letters(name) or store.checkpoint(name):
            return
        names = {one["pipeline"] for one in store.reports(None, _ALL)}
    finally:
        store.close()
    near = nearest(file.name, _pipeline_files(file.parent)) or nearest(file.stem, names)
    raise UsageError(
        "no such file, and no run of that name",
        where=str(file),
        hint=f"did you mean {near!r}?" if near else "name the file of a pipeline that has run",
    )


def _pipeline_files(folder: Path) -> list[str]:
    suffixes = {Path(name).suffix for name in DEFAULT_FILES}
    try:
        return [one.name for one in folder.iterdir() if one.suffix in suffixes]
    except OSError:
        return []  # only for a hint: a folder that cannot be listed gives none


def _name_in(file: Path, options: Any) -> str:
    """The pipeline's name as its runs knew it; for a file that cannot be read, the file's."""
    try:
        plugins = plugins_of(options)
        return read_spec(read_document(file, plugins), plugins).name
    except PenstockError:
        return file.stem
