"""The classes of errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from penstock import errors


def exit_codes() -> Iterator[str]:
    yield "| class | exit code | |"
    yield "|---|---|---|"
    for name in errors.__all__:
        one = getattr(errors, name)
        if isinstance(one, type) and issubclass(one, errors.PenstockError):
            about = " ".join((inspect.getdoc(one) or "").split())
            yield f"| `{name}` | {one.exit_code} | {about} |"


def for_authors() -> Iterator[str]:
    yield "| class | |"
    yield "|---|---|"
    for one in (errors.RecordError, errors.TransientError, errors.Skip):
        about = " ".join((inspect.getdoc(one) or "").split())
        yield f"| `{one.__name__}` | {about} |"


PARTS = {"exit codes": exit_codes, "errors for authors": for_authors}
