"""`penstock new`: a pipeline or a plugin that works as it stands."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..build import load_pipeline
from ..errors import PenstockError, UsageError
from ..hookspecs import PROVIDERS
from . import common_arguments
from .loading import plugins_of
from .new_pipeline import pipeline_files
from .new_plugin import plugin_files
from .schema import schema
from .showing import print_json

HELP = "write a new pipeline or plugin"

SCHEMA = "penstock.schema.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", metavar="pipeline|plugin", required=True)
    pipeline = what.add_parser("pipeline", help="a pipeline file", description="A pipeline file.")
    pipeline.add_argument("name", help="a name or a file, as orders or orders.yaml")
    pipeline.add_argument("--from", dest="input", metavar="NAME", help="read with this input")
    pipeline.add_argument("--to", dest="output", metavar="NAME", help="write with this output")
    common_arguments(pipeline, pipeline=False)
    plugin = what.add_parser("plugin", help="a package", description="A package with a component.")
    plugin.add_argument("name", help="what pipelines will write after `use:`, as weather")
    plugin.add_argument(
        "--role", required=True, choices=list(PROVIDERS), help="what it does to data"
    )
    plugin.add_argument(
        "--distribution", default="", help="what `pip install` takes (default: penstock-NAME)"
    )
    common_arguments(plugin, pipeline=False)


def run(options: Any) -> int:
    if options.what == "plugin":
        made = _write(plugin_files(options.name, options.role, options.distribution))
    else:
        made = _pipeline(options)
    if options.json:
        print_json([str(path) for path in made])
    else:
        print("\n".join(f"wrote {path}" for path in made), file=sys.stderr)
    return 0


def _pipeline(options: Any) -> list[Path]:
    file = Path(options.name)
    if not file.suffix:
        file = file.with_name(f"{file.name}.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"a new pipeline is written as YAML, not as {file.suffix!r}",
            where=str(file),
            hint="give a name that ends in .yaml",
        )
    plugins = plugins_of(options)
    made = pipeline_files(file, plugins, options.input, options.output)
    made[file.with_name(SCHEMA)] = json.dumps(schema(plugins)[0], indent=2) + "\n"
    for shared in (file.with_name(SCHEMA), file.with_name("README.md")):
        if shared.exists():  # another pipeline of the folder has brought it
            del made[shared]
    written = _write(made)
    try:
        load_pipeline(file, plugins)
    except PenstockError as error:
        print(f"to be filled in:\n{error}", file=sys.stderr)
    return written


def _write(made: Mapping[Path, str]) -> list[Path]:
    """Write new files; nothing at all when one of them is there already."""
    for path in made:
        if path.exists():
            raise UsageError(
                "is there already", where=str(path), hint="choose another name, or remove it"
            )
    try:
        for path, text in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}",
            where=str(error.filename),
            hint="choose another folder",
        ) from error
    return list(made)
