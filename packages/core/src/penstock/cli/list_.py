"""`penstock list`."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import PluginError, UsageError, nearest
from ..hookspecs import PROVIDERS
from ..plugins import Plugins, Provided
from . import common_arguments
from .loading import plugins_of
from .showing import fitting, print_json, summary, table

HELP = "list what is installed"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(map(plural, PROVIDERS))}")
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    plugins = plugins_of(options)
    kinds = [_kind(options.kind)] if options.kind else list(PROVIDERS)
    found = [_entry(one, conflict) for kind in kinds for one, conflict in _provided(plugins, kind)]
    if options.json:
        print_json(found)
        return 0
    rows = [
        [e["kind"], e["name"], f"{e['plugin']} {e['version']}".strip(), e["summary"]] for e in found
    ]
    print(fitting(table(["kind", "name", "comes with", ""], rows)))
    return 0


def _kind(given: str) -> str:
    kinds = {name: kind for kind in PROVIDERS for name in (kind, plural(kind))}
    if given not in kinds:
        near = nearest(given, kinds)
        hint = (
            f"did you mean {near!r}?" if near else f"there are {', '.join(map(plural, PROVIDERS))}"
        )
        raise UsageError(f"there is no kind {given!r}", where="penstock list", hint=hint)
    return kinds[given]


def plural(kind: str) -> str:
    """The word for several of a kind, as `penstock list` takes it."""
    return f"{kind}es" if kind.endswith("x") else f"{kind}s"


def _provided(plugins: Plugins, kind: str) -> list[tuple[Provided, bool]]:
    """Everyone who provides something of a kind, and whether the name has other providers."""
    return [
        (one, len(providers) > 1)
        for _, providers in sorted(plugins.names(kind).items())
        for one in providers
    ]


def _entry(one: Provided, conflict: bool) -> dict[str, Any]:
    try:
        loaded, about = one.load(), ""
    except PluginError as error:
        loaded, about = None, f"broken: {error}"
    return {
        "kind": one.kind,
        "name": f"{one.plugin}/{one.name}" if conflict else one.name,
        "plugin": one.plugin,
        "version": one.version,
        "summary": about or summary(loaded),
    }
