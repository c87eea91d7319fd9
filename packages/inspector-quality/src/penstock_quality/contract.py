"""A JSON Schema that every record must meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock import ConfigError, ConnectError, Context, Problem, RecordError, component, option

from .judging import Action, RecordJudge, record_action

if TYPE_CHECKING:
    from jsonschema.exceptions import SchemaError, ValidationError
    from jsonschema.protocols import Validator

__all__ = ["Contract"]

_LONGEST = 200
"""Characters of a message: the library shows the whole value that is wrong."""


@component
class Contract(RecordJudge):
    """Object to records that do not meet a JSON Schema.

    The draft is the one that `$schema` names, 2020-12 if there is none. A `$ref` must lead to a
    place within the schema: nothing is fetched.
    """

    schema: dict[str, Any] | Path = option(
        help="The schema, or a JSON file with it.",
        example={"type": "object", "required": ["id"]},
    )
    formats: bool = option(
        default=True,
        help="Whether `format` is checked, as in date, email or uri; as far as the libraries for "
        "it are installed.",
    )
    action: Action = record_action()

    def check(self) -> None:
        if isinstance(self.schema, dict):
            _validator(self.schema, self.formats)

    def open(self, context: Context) -> None:
        super().open(context)
        if isinstance(self.schema, dict):
            self._validator = _validator(self.schema, self.formats)
        else:
            self._validator = _of_file(self.schema, self.formats)

    def inspect(self, record: Any) -> None:
        first = next(self._validator.iter_errors(record), None)
        if first is None:
            return
        from jsonschema.exceptions import best_match

        worst = best_match(self._validator.iter_errors(record)) or first
        raise RecordError(_sentence(worst))


def _of_file(path: Path, formats: bool) -> Validator:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        what = f"cannot read the schema: {error.strerror}"
        raise ConnectError(what, where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the schema is not UTF-8") from error
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise ConfigError(f"{place}: the schema is not JSON: {error.msg}") from error
    try:
        return _validator(schema, formats)
    except ValueError as error:
        raise ConfigError([Problem(f"{path}: {error}")]) from error


def _validator(schema: Any, formats: bool) -> Validator:
    """Compile a schema, or raise ValueError with what is wrong with it."""
    from jsonschema import Draft202012Validator, exceptions, validators
    from referencing import Registry

    if not isinstance(schema, (dict, bool)):
        raise ValueError(f"the schema must be a mapping, got {type(schema).__name__}")
    find: Any = validators.validator_for
    named = schema.get("$schema") if isinstance(schema, dict) else None
    cls: Any = find(schema, default=Draft202012Validator if named is None else None)
    if cls is None:
        raise ValueError(f"the schema's $schema is no known draft, got {named!r}")
    try:
        cls.check_schema(schema)
    except exceptions.SchemaError as error:
        found = exceptions.best_match(cls(cls.META_SCHEMA).iter_errors(schema))
        raise ValueError(f"the schema is wrong: {_sentence(found or error)}") from error
    # A registry of our own: the library's would fetch what a $ref names from the network.
    registry: Any = Registry()
    made: Validator = cls(
        schema, registry=registry, format_checker=cls.FORMAT_CHECKER if formats else None
    )
    _resolve_all(schema, cls)
    return made


def _resolve_all(schema: Any, cls: Any) -> None:
    """Find a reference that leads nowhere now, and not at the first record that comes to it."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    dialect = cls.META_SCHEMA.get("$schema") or cls.META_SCHEMA["$id"]
    specification = specification_with(dialect)
    resource = specification.create_resource(schema)
    uri = resource.id() or ""
    registry: Any = Registry().with_resource(uri, resource)
    for base, reference in _references(schema, uri, specification):
        try:
            registry.crawl().resolver(base).lookup(reference)
        except (Unresolvable, ValueError) as error:
            raise ValueError(
                f"the schema refers to {reference!r}, which is not in it; "
                "put it under $defs, as nothing is fetched"
            ) from error


def _references(part: Any, base: str, specification: Any) -> Iterator[tuple[str, str]]:
    """Every reference of a schema with the address that it starts from."""
    from urllib.parse import urljoin

    if isinstance(part, dict):
        own = specification.id_of(part)
        base = urljoin(base, own) if own else base
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(part.get(keyword), str):
                yield base, part[keyword]
    for subschema in specification.subresources_of(part) if isinstance(part, dict) else ():
        yield from _references(subschema, base, specification)


def _sentence(error: ValidationError | SchemaError) -> str:
    """Where in the record, and what is wrong there."""
    message = error.message
    if len(message) > _LONGEST:
        half = _LONGEST // 2
        message = f"{message[:half]} … {message[-half:]}"
    path = ".".join(map(str, error.absolute_path))
    return f"{path}: {message}" if path else message
