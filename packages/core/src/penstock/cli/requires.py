"""`penstock requires`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from ..errors import EXIT_OK, EXIT_PLUGIN, UsageError
from ..requirements import Requirements, requirements_of
from . import common_arguments
from .loading import find_file, plugins_of
from .showing import print_json, table

HELP = "say which distributions a pipeline needs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pipeline",
        nargs="?",
        help="pipeline file (default: penstock.yaml, .toml or .json in this folder)",
    )
    parser.add_argument(
        "--format",
        choices=["table", "requirements"],
        default="table",
        help="a table for people (default), or lines that pip and uv read",
    )
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    if options.json and options.format != "table":
        raise UsageError(
            "--json and --format exclude each other", where="penstock requires", hint="choose one"
        )
    found = requirements_of(find_file(options.pipeline), plugins_of(options))
    if options.json:
        print_json(_as_json(found))
    elif options.format == "requirements":
        print("\n".join(map(str, found.distributions)))
    else:
        print(_table(found))
    if found.problems and not options.json:
        print("\n".join(map(str, found.problems)), file=sys.stderr)
    return EXIT_PLUGIN if found.problems else EXIT_OK


def _as_json(found: Requirements) -> dict[str, Any]:
    return {
        "pipeline": found.pipeline,
        "distributions": [{**asdict(one), "requirement": str(one)} for one in found.distributions],
        "files": list(map(str, found.files)),
        "problems": list(map(str, found.problems)),
    }


def _table(found: Requirements) -> str:
    rows = []
    for one in found.distributions:
        extras = f"[{','.join(one.extras)}]" if one.extras else ""
        version = one.version or "not installed"
        rows.append([f"{one.name}{extras}", version, ", ".join(one.needed_for)])
    shown = table(["distribution", "version", "needed for"], rows)
    beside = [path.name for path in found.files[1:]]
    return f"{shown}\n\nand, beside the file: {', '.join(beside)}" if beside else shown
