"""A secret that nobody may see: put into a component, and looked for wherever it could show."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import re
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from penstock import Component, MemoryStore, Plugins
from penstock.build import pipeline_of
from penstock.failures import describe
from penstock.options import options_of

from .driving import fresh

__all__ = ["CANARY", "leaks", "with_canary"]

CANARY = "canary0f7e3secret"
_HOST_IN_URL = re.compile(r"(?<=://)(?:([^/\s:@]*)(?::[^/\s@]*)?@)?(?=[^/\s])")


def with_canary(component: Any) -> Any | None:
    """A copy whose secrets are the canary: options declared secret, and passwords in URLs. None
    when it has no such option."""
    values: dict[str, Any] = {}
    for name, one in options_of(type(component)).items():
        value = getattr(component, name)
        if isinstance(value, str) and "://" in value:
            with_password = _HOST_IN_URL.sub(
                lambda found: f"{found[1] or 'somebody'}:{CANARY}@", value, count=1
            )
            if with_password != value:
                values[name] = with_password
        elif one.secret and (isinstance(value, str) or (value is None and _takes_text(one.type))):
            values[name] = CANARY
    if not values:
        return None
    return dataclasses.replace(fresh(component), **values)


def _takes_text(kind: Any) -> bool:
    return kind is str or str in typing.get_args(kind)


def leaks(component: Component, pipe: Callable[[], Sequence[Any]]) -> Iterator[str]:
    """Where the canary of `component` shows: in its own texts, and in all that a run of
    `pipe()`, in which it stands, says and keeps."""
    for what, text in (("repr", repr(component)), ("str", str(component))):
        if CANARY in text:
            yield f"its {what}: {text}"
    for what, text in _said_by_a_run(pipe):
        if CANARY in text:
            yield f"{what}: {text.strip()[-300:]}"


def _said_by_a_run(pipe: Callable[[], Sequence[Any]]) -> Iterator[tuple[str, str]]:
    kept = _Kept()
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    store = MemoryStore()
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(record=True) as warned,
        ):
            warnings.simplefilter("always")
            pipeline = pipeline_of([list(pipe())], Plugins(discover=False))
            run = pipeline.start(store=store, max_seconds=2)  # it may have no end
            report = run.execute()
    finally:
        root.removeHandler(kept)
        root.setLevel(level)
    yield "what it printed", out.getvalue() + err.getvalue()
    yield "the log", "\n".join(kept.texts)
    yield "a warning", "\n".join(str(one.message) for one in warned)
    yield "the report", f"{report}\n{json.dumps(report.to_dict(), default=str)}"
    yield "the error", describe(run.error) if run.error is not None else ""
    letters = "\n".join(f"{one.message} {one.record}" for one in store.letters())
    yield "a dead letter", letters


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Of the clients that components use as well: whoever turns on a log shows it to somebody.
        self.texts.append(self.format(record))
