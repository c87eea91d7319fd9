"""Everything that can stand behind `use:`, and the keys around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from penstock.native import EpochOptions, ReservedOptions, reserved_keys
from penstock.options import options_of, type_name
from penstock.spec import ROLES

from .packages import ours
from .tables import default_of, first_line, option_table


def components(kind: str) -> Iterator[str]:
    for one in ours(kind):
        cls = one.load()
        yield f"### {one.name}"
        yield ""
        yield inspect.getdoc(cls) or ""
        yield ""
        yield f"Comes with `{one.plugin}`.{facts(kind, cls)}"
        yield ""
        yield from option_table(options_of(cls))
        yield ""


def brokers() -> Iterator[str]:
    """Each broker with its own options, and those of its streams."""
    for one in ours("broker"):
        cls = one.load()
        yield f"### {one.name}"
        yield ""
        yield inspect.getdoc(cls) or ""
        yield ""
        yield f"Comes with `{one.plugin}`."
        yield ""
        yield from option_table(options_of(cls))
        yield ""
        for role in ("input", "output"):
            stream = cls.stream_class(object.__new__(cls), role)
            if stream is not None:
                yield f"An {role} with `use: stream` that names it as `broker` has these options:"
                yield ""
                yield from option_table(options_of(stream))
                yield ""


def facts(kind: str, cls: Any) -> str:
    if kind == "output":
        known = isinstance(cls.delivery, str)
        return f" Delivery: {f'`{cls.delivery}`' if known else 'depends on its options'}."
    return ""


def kinds_without_options(*kinds: str) -> Iterator[str]:
    yield "| kind | name | comes with | |"
    yield "|---|---|---|---|"
    for kind in kinds:
        for one in ours(kind):
            yield f"| {kind} | `{one.name}` | `{one.plugin}` | {first_line(one.load())} |"


def reserved() -> Iterator[str]:
    yield "| key | value | default | in | |"
    yield "|---|---|---|---|---|"
    for name, option in options_of(ReservedOptions).items():
        roles = [ROLES[role] for role in ROLES if name in reserved_keys(role)]
        where = "all" if len(roles) == len(ROLES) else ", ".join(roles)
        cells = [f"`{name}`", type_name(option.type), default_of(option), where, option.help]
        yield f"| {' | '.join(cells)} |"


PARTS: dict[str, Callable[[], Iterable[str]]] = {
    **{section: partial(components, role) for role, section in ROLES.items()},
    "brokers": brokers,
    "engines": partial(components, "engine"),
    "others": partial(kinds_without_options, "scheduler", "store", "dialect", "syntax", "command"),
    "reserved keys": reserved,
    "epoch": lambda: option_table(options_of(EpochOptions)),
}
