"""`penstock describe`."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from ..build import load_beside
from ..components import Input, Inspector, Output, Stage, from_function
from ..errors import EXIT_OK, EXIT_PLUGIN, PluginError, UsageError, nearest
from ..hookspecs import PROVIDERS
from ..known import distribution_of
from ..native import reserved_keys
from ..options import Option, options_of, schema_of, type_name
from ..plugins import Plugins, Provided
from ..spec import ROLES
from . import common_arguments
from .examples import example_value
from .loading import plugins_of
from .showing import print_json, width

HELP = "explain a component and its options"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "component", metavar="name", help="a name as `use:` takes it, or 'package.module:attribute'"
    )
    parser.add_argument("--kind", choices=list(PROVIDERS), help="where a name is of several kinds")
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    plugins = plugins_of(options)
    if ":" in options.component:
        found = [_loose(options.component, options.kind)]
    else:
        found = _named(plugins, options.component, options.kind)
    described, broken = _loaded(found)
    if options.json:
        print_json([_as_json(one, cls) for one, cls in described])
    else:
        print("\n\n".join("\n".join(_text(one, cls)) for one, cls in described))
    for error in broken:
        print(error, file=sys.stderr)
    return EXIT_PLUGIN if broken else EXIT_OK


def _loaded(found: list[Provided]) -> tuple[list[tuple[Provided, Any]], list[PluginError]]:
    """What can be imported; an error if nothing can."""
    described: list[tuple[Provided, Any]] = []
    broken: list[PluginError] = []
    for one in found:
        try:
            described.append((one, one.load()))
        except PluginError as error:
            broken.append(error)
    if not described:
        raise broken[0]
    return described, broken


# ---- what is meant ------------------------------------------------------------------------------


def _named(plugins: Plugins, name: str, kind: str | None) -> list[Provided]:
    """Who provides a name: one for each kind that has it."""
    if kind is not None:
        return [plugins.find(kind, name)]
    short = name.rpartition("/")[2]
    found = [plugins.find(one, name) for one in PROVIDERS if short in plugins.names(one)]
    if found:
        return found
    for one in PROVIDERS:
        if distribution_of(one, short):
            return [plugins.find(one, name)]  # raises, saying what to install
    names = {other for one in PROVIDERS for other in plugins.names(one)}
    near = nearest(short, names)
    raise PluginError(
        f"nothing is named {name!r}",
        where="penstock describe",
        hint=f"did you mean {near!r}?" if near else "see `penstock list`",
    )


def _loose(use: str, kind: str | None) -> Provided:
    """A class or function that no plugin provides, found from this folder."""
    found = load_beside(use, Path.cwd())
    if inspect.isroutine(found):
        if kind is not None and kind not in ROLES:
            raise UsageError(f"a function cannot be {kind!r}", where="penstock describe")
        role = kind or "transformer"
        made: Any = from_function(role, found, use)
    elif inspect.isclass(found):
        role, made = kind or _role_of(found), found
    else:
        raise PluginError(f"{use!r} is neither a component class nor a function")
    return Provided(role, use, made, use.partition(":")[0], "")


def _role_of(cls: type) -> str:
    for role, base in (("input", Input), ("inspector", Inspector), ("output", Output)):
        if issubclass(cls, base):
            return role
    return "transformer" if issubclass(cls, Stage) else "component"


# ---- as text ------------------------------------------------------------------------------------


def _text(one: Provided, cls: Any) -> Iterator[str]:
    yield f"{one.name}: {one.kind} of {one.plugin} {one.version}".rstrip()
    yield ""
    yield inspect.getdoc(cls) or "It has no description."
    facts = _facts(one.kind, cls)
    if facts:
        yield ""
        yield from (f"{name}: {value}" for name, value in facts.items())
    options = options_of(cls) if inspect.isclass(cls) else {}
    if one.kind in (*ROLES, "broker", "engine"):
        yield ""
        yield "options:" if options else "It takes no options."
        for option in options.values():
            yield from _option(option)
        yield ""
        yield f"also, as every {one.kind}: {', '.join(reserved_keys(one.kind))}"
        yield ""
        yield "example:"
        yield from (f"  {line}" for line in example(one.kind, one.name, cls))


def _facts(kind: str, cls: Any) -> dict[str, str]:
    """What a class promises besides its options."""
    facts = {}
    if kind == "input":
        facts["capability"] = _declared(cls, "capability", "replayable")
    if kind == "output":
        facts["delivery"] = _declared(cls, "delivery", "append")
    if kind in ("transformer", "inspector") and inspect.isclass(cls) and issubclass(cls, Stage):
        facts["keeps state"] = "no" if cls.snapshot is Stage.snapshot else "yes, in checkpoints"
    return facts


def _declared(cls: Any, name: str, default: str) -> str:
    value = getattr(cls, name, default)
    return value if isinstance(value, str) else "depends on its options"


def _option(option: Option) -> Iterator[str]:
    notes = [type_name(option.type)]
    if option.required:
        notes.append("required")
    elif option.default is not None:
        notes.append(f"default {'***' if option.secret else _shown(option.default)}")
    if option.secret:
        notes.append("secret")
    yield f"  {option.name}: {'; '.join(notes)}"
    about = option.help
    if option.example is not None:
        about += f" Example: {_shown(option.example)}"
    yield fill(about, max(width(), 40), initial_indent="      ", subsequent_indent="      ")


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(value, default=str)


def example(kind: str, name: str, cls: type) -> list[str]:
    """The lines of a pipeline file that declare a component, with what is required."""
    needed = {
        option.name: example_value(option)
        for option in options_of(cls).values()
        if option.required or option.example is not None
    }
    if kind == "engine":
        lines, indent = ["engine:"], "  "
    else:
        lines, indent = [f"{ROLES.get(kind, 'brokers')}:", f"  my_{kind}:"], "    "
    use = json.dumps(name) if ":" in name else name
    values = (json.dumps(value, ensure_ascii=False, default=str) for value in needed.values())
    return [
        *lines,
        f"{indent}use: {use}",
        *(f"{indent}{option}: {value}" for option, value in zip(needed, values, strict=True)),
    ]


# ---- as JSON ------------------------------------------------------------------------------------


def _as_json(one: Provided, cls: Any) -> dict[str, Any]:
    options = options_of(cls) if inspect.isclass(cls) else {}
    return {
        "name": one.name,
        "kind": one.kind,
        "plugin": one.plugin,
        "version": one.version,
        "doc": inspect.getdoc(cls) or "",
        **{name.replace(" ", "_"): value for name, value in _facts(one.kind, cls).items()},
        "reserved": list(reserved_keys(one.kind)),
        "options": [_option_as_json(option) for option in options.values()],
        "schema": schema_of(cls) if options else {},
    }


def _option_as_json(option: Option) -> dict[str, Any]:
    default = None if option.required else option.default
    return {
        "name": option.name,
        "type": type_name(option.type),
        "required": option.required,
        "default": "***" if option.secret and default else default,
        "secret": option.secret,
        "help": option.help,
        "example": option.example,
    }
