"""Values that stand in for an option's in an example or a new file, of the type it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from ..options import Option, schema_of

__all__ = ["example_value"]


def example_value(option: Option, base: Path | None = None) -> Any:
    """The example that the option declares, its default, or a value of its type."""
    if option.example is not None:
        return option.example
    if not option.required:
        return option.default
    return _of_type(option.type, option.name)


def _of_type(kind: Any, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return arguments[0]
    if origin is Union or (arguments and not isinstance(origin, type)):
        return _of_type(arguments[0], name)
    plain = origin or kind
    for types, value in _VALUES:
        if plain in types:
            return value
    if isinstance(plain, type) and hasattr(plain, "__dataclass_fields__"):
        return dict.fromkeys(schema_of(plain).get("required", ()))
    return name


_VALUES: list[tuple[tuple[Any, ...], Any]] = [
    ((bool,), True),
    ((int, float), 1),
    ((list, tuple, set, frozenset), []),
    ((dict,), {}),
]
