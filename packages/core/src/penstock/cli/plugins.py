"""`penstock plugins`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from .. import certificates
from ..plugins import Distribution, Plugins
from . import common_arguments
from .loading import plugins_of
from .showing import print_json, table

HELP = "list plugins and their state"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser, pipeline=False)
    parser.add_argument("--all", action="store_true", help="also those that are switched off")
    parser.add_argument(
        "--trace", action="store_true", help="show each plugin's file, hooks and import strings"
    )


def run(options: Any) -> int:
    plugins = plugins_of(options)
    found = [one for one in plugins.distributions() if options.all or one.state != "disabled"]
    if options.json:
        print_json([_about(one) for one in found])
    elif options.trace:
        print("\n\n".join("\n".join(_trace(plugins, one)) for one in found))
    else:
        rows = [[one.name, one.version, one.state, _provides(one)] for one in found]
        print(table(["plugin", "version", "state", ""], rows))
    return 0


def _provides(one: Distribution) -> str:
    parts = [one.reason] if one.reason else []
    if one.state != "broken":
        parts += [f"{kind} {', '.join(names)}" for kind, names in one.names.items()]
    certificate = certificates.read(one.name, one.version, one.module)
    if certificate is not None:
        parts.append(str(certificate))
    return "; ".join(parts)


def _about(one: Distribution) -> dict[str, Any]:
    certificate = certificates.read(one.name, one.version, one.module)
    return {
        "name": one.name,
        "version": one.version,
        "entry": one.entry,
        "module": one.module,
        "state": one.state,
        "reason": one.reason,
        "hooks": one.hooks,
        "names": one.names,
        "certificate": certificate.content if certificate is not None else None,
    }


def _trace(plugins: Plugins, one: Distribution) -> Iterator[str]:
    yield f"{one.name} {one.version}".rstrip() + f" ({one.state})"
    if one.reason:
        yield f"  reason  {one.reason}"
    yield f"  entry   {one.entry} = {one.module}"
    file = getattr(sys.modules.get(one.module), "__file__", None)
    if file:
        yield f"  file    {file}"
    for hook in one.hooks:
        yield f"  hook    {hook}"
    for kind, names in one.names.items():
        for name in names:
            for provided in plugins.names(kind)[name]:
                if provided.plugin == one.name:
                    yield f"  {kind} {name} = {provided.target}"
