"""The public names of `penstock`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import penstock

from .tables import first_line


def names() -> Iterator[str]:
    yield "| name | |"
    yield "|---|---|"
    for name in penstock.__all__:
        one = getattr(penstock, name)
        about = first_line(one) if callable(one) and inspect.getdoc(one) else ALIASES[name]
        yield f"| `{name}` | {about} |"


ALIASES = {
    "BATCH_SIZE": "Records in a batch, where an input has no reason for another number.",
    "ByteSize": "The type of an option in bytes; in a file also text such as `64KiB`.",
    "EPOCH_END": "What an input yields to have a checkpoint made before it goes on.",
    "Duration": "The type of an option in seconds; in a file also text such as `30s`.",
    "hookimpl": "Marks a function as the implementation of the hook of the same name.",
}
"""Names that cannot have a docstring of their own."""


PARTS = {"names": names}
