"""`penstock schema`: the JSON Schema of pipeline files with exactly what is installed."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from ..errors import PluginError, UsageError
from ..native import EpochOptions, ReservedOptions, reserved_keys
from ..options import schema_of
from ..parts import with_inputs
from ..plugins import Plugins, Provided
from ..spec import ROLES
from . import common_arguments
from .loading import plugins_of
from .showing import summary

HELP = "print the JSON Schema of pipeline files"

DRAFT = "http://json-schema.org/draft-07/schema#"

_HIDDEN = {"^(x-|_)": True}
_ATTRIBUTE = {
    "type": "string",
    "pattern": "^[^:]+:[^:]+$",
    "description": "A class or function of a module, as package.module:attribute.",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to a file")
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    made, warnings = schema(plugins_of(options))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    text = json.dumps(made, indent=2) + "\n"
    if options.output:
        write(Path(options.output), text)
        print(f"wrote {options.output}", file=sys.stderr)
    else:
        sys.stdout.write(text)
    return 0


def write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(file), hint="choose another file"
        ) from error


def schema(plugins: Plugins) -> tuple[dict[str, Any], list[str]]:
    """The schema (draft 7), and what had to be left out of it."""
    definitions: dict[str, Any] = {}
    warnings: list[str] = []
    sections: dict[str, Any] = {}
    for kind, section in {**ROLES, "broker": "brokers"}.items():
        _define(kind, plugins, definitions, warnings)
        sections[section] = {
            "description": f"Every {kind} by a name of its own.",
            "type": "object",
            "patternProperties": _HIDDEN,
            "additionalProperties": {"$ref": f"#/definitions/{kind}"},
        }
    _define("engine", plugins, definitions, warnings)
    made = {
        "$schema": DRAFT,
        "title": "Penstock pipeline",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "name": _text("The pipeline's name; without one, the file's."),
            "description": _text("What the pipeline is for."),
            "version": {"const": 1, "description": "Of this format."},
            **sections,
            "pipes": _PIPES,
            "engine": {
                "description": "Who calls the run: on which thread, process or machine.",
                "allOf": [{"$ref": "#/definitions/engine"}],
            },
            "epoch": {"description": "When an epoch ends.", **_strict(schema_of(EpochOptions))},
            "tests": {"description": "Cases for `penstock test`, by name.", "type": "object"},
        },
        "patternProperties": _HIDDEN,
        "additionalProperties": False,
        "required": ["pipes"],
        "definitions": definitions,
    }
    return made, warnings


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_PIPES = {
    "description": "In which order the components work.",
    "type": "object",
    "patternProperties": _HIDDEN,
    "additionalProperties": {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                _text("The name of a component."),
                *(
                    {
                        "type": "object",
                        "properties": {word: _text(f"The name of an input to {word}.")},
                        "required": [word],
                        "additionalProperties": False,
                    }
                    for word in ("append", "mix")
                ),
            ]
        },
    },
}


# ---- components ---------------------------------------------------------------------------------


def _define(kind: str, plugins: Plugins, definitions: dict[str, Any], warnings: list[str]) -> None:
    """Define a kind: any one of its names, or a class or function of a module."""
    names: list[dict[str, Any]] = []
    cases: list[dict[str, Any]] = []
    for one, spelling in _spellings(plugins, kind):
        try:
            cls = one.load()
        except PluginError as error:
            warnings.append(str(error))
            continue
        definition = re.sub(r"[^\w.-]", "_", f"{kind}.{spelling[0]}")
        options = schema_of(cls)
        for option in with_inputs(cls):
            options["properties"][option]["additionalProperties"] = _PART
        definitions[definition] = _component(kind, options, spelling)
        about = summary(cls)
        names.extend({"const": name, "description": about} for name in spelling)
        cases.append(_when({"enum": spelling}, definition))
    if kind in ("input", "output") and plugins.names("broker"):
        names.append({"const": "stream", "description": "A named stream of a broker."})
        definitions[f"{kind}.stream"] = _stream(kind)
        cases.append(_when({"const": "stream"}, f"{kind}.stream"))
    if kind in ROLES:
        names.append(_ATTRIBUTE)
        definitions[f"{kind}.attribute"] = _open(kind)
        cases.append(_when(_ATTRIBUTE, f"{kind}.attribute"))
    definitions[kind] = {
        "anyOf": [
            {"type": "string", "anyOf": names} if names else False,
            {
                "type": "object",
                "required": ["use"],
                "properties": {
                    "use": {"description": _RESERVED["use"]["description"], "anyOf": names}
                }
                if names
                else {"use": False},
                "allOf": cases or [{}],
            },
        ]
    }


_PART = {
    "anyOf": [
        _text("The name of an input that is declared under inputs."),
        {"$ref": "#/definitions/input"},
    ]
}


def _spellings(plugins: Plugins, kind: str) -> list[tuple[Provided, list[str]]]:
    """Everything of a kind with the names that `use:` may give it."""
    return [
        (one, ([] if len(providers) > 1 else [name]) + [f"{one.plugin}/{name}"])
        for name, providers in sorted(plugins.names(kind).items())
        for one in providers
    ]


def _when(use: dict[str, Any], definition: str) -> dict[str, Any]:
    return {
        "if": {"properties": {"use": use}, "required": ["use"]},
        "then": {"$ref": f"#/definitions/{definition}"},
    }


def _component(kind: str, options: dict[str, Any], names: list[str]) -> dict[str, Any]:
    made = _strict(options)
    made["properties"] = {**_reserved(kind), **made["properties"], "use": {"enum": names}}
    return made


def _strict(options: dict[str, Any]) -> dict[str, Any]:
    """No other keys than the options and hidden ones."""
    return {**options, "patternProperties": _HIDDEN, "additionalProperties": False}


def _open(kind: str) -> dict[str, Any]:
    """A function's parameters are known when it is imported, which an editor should not do."""
    return {"properties": _reserved(kind)}


def _stream(kind: str) -> dict[str, Any]:
    return {
        "properties": {
            **_reserved(kind),
            "broker": {
                "description": "The broker, by its name under brokers, or declared here.",
                "anyOf": [{"type": "string"}, {"$ref": "#/definitions/broker"}],
            },
            "stream": _text("The name of the stream."),
        },
        "required": ["broker", "stream"],
    }


_RESERVED: dict[str, Any] = schema_of(ReservedOptions)["properties"]


def _reserved(kind: str) -> dict[str, Any]:
    return {key: _RESERVED[key] for key in reserved_keys(kind)}
