"""`penstock install`: puts plugins into the environment that penstock runs in."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from shlex import join
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from penstock.cli.showing import print_json
from penstock.errors import PluginError, UsageError
from penstock.known import distributions_of

from .commands import Command, find_links, has_pip
from .environments import brought, command_for, here, places
from .identity import refuse_what_is_no_plugin

__all__ = ["command", "distribution_for"]

_ROLES = ("input", "inspector", "transformer", "sink", "broker", "engine", "store")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="a distribution; sink-json is penstock-sink-json"
    )
    find_links(parser)
    parser.add_argument(
        "--no-index", action="store_true", help="use nothing but the folders of --find-links"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show the command instead of running it"
    )
    parser.add_argument("--json", action="store_true", help="report as JSON on standard output")
    parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")


def run(options: Any) -> int:
    environment = here()
    names = list(map(distribution_for, options.names))
    links = [str(Path(one).resolve()) for one in options.find_links]
    command = command_for(environment, names, links, options.no_index)
    if options.json:
        print_json(
            {"environment": environment.kind, "command": command, "run": not options.dry_run}
        )
    else:
        print(f"{environment}: {join(command)}")
    if options.dry_run:
        return 0
    tool = "pip" if has_pip() else "uv"
    refuse_what_is_no_plugin(brought(environment, names), places(links, options.no_index), tool)
    sys.stdout.flush()
    # Standard output is kept for what this command reports.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        what = f"{Path(command[0]).name} ended with {done.returncode}"
        raise PluginError(what, where="penstock install", hint="see what it says above")
    return 0


def distribution_for(name: str) -> str:
    """The distribution that somebody means: `sink-json` is `penstock-sink-json`, a requirement is
    what it says, and a component's name is not enough when several distributions have it."""
    try:
        requirement = Requirement(name)
    except InvalidRequirement:
        hint = "name a distribution, as 'penstock-sink-json' or 'rich>=13'"
        raise UsageError(
            f"{name!r} is no requirement", where="penstock install", hint=hint
        ) from None
    providers = sorted(set(distributions_of(requirement.name).values()))
    if len(providers) > 1:
        what = f"{requirement.name!r} comes with {' and '.join(providers)}"
        raise UsageError(what, where="penstock install", hint="choose one of them")
    if providers:
        requirement.name = providers[0]
    elif requirement.name.partition("-")[0] in _ROLES:
        requirement.name = f"penstock-{requirement.name}"
    return str(requirement)


command = Command("install plugins into the environment of penstock", arguments, run)
