"""The hooks of plugins, with their exact arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial

from penstock.hookspecs import EXTRAS, PROVIDERS, Hooks


def hooks(group: str) -> Iterator[str]:
    for name in [name for name in vars(Hooks) if name.startswith("penstock_")]:
        if (name in PROVIDERS.values() or name == EXTRAS) != (group == "provide"):
            continue
        function = getattr(Hooks, name)
        signature = str(inspect.signature(function)).replace("(self, ", "(").replace("(self)", "()")
        yield f"### `{name}{signature.replace(chr(39), '')}`"
        yield ""
        yield inspect.getdoc(function) or ""
        yield ""


PARTS = {"provide hooks": partial(hooks, "provide"), "event hooks": partial(hooks, "events")}
