"""Errors of items: from an exception to a row that can be read, grouped, fixed and redone."""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.html import format_html, format_html_join

from penstock.failures import describe
from penstock.options import mask

from .items import Key
from .models import PipelineError

__all__ = ["error_of", "redacted"]

_HERE = str(Path(__file__).parent)
_SECRET = re.compile(r"API|TOKEN|KEY|SECRET|PASS|SIGNATURE|CREDENTIAL", re.IGNORECASE)
_LONGEST = 1000


def redacted(text: str) -> str:
    """A text without the secrets of the settings, without passwords in URLs, and without NUL."""
    shown = mask(text, _secrets()).replace("\0", "\\x00")
    return shown.encode("utf-8", "backslashreplace").decode()


def _secrets() -> set[str]:
    values = ((name, getattr(settings, name, None)) for name in dir(settings) if name.isupper())
    return {secret for name, value in values for secret in _within(name, value)}


def _within(name: str, value: Any) -> Iterator[str]:
    """The texts under names that sound secret. Short ones would hide half of what is said."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _within(str(key), inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if isinstance(inner, (Mapping, list, tuple)) or _SECRET.search(name):
                yield from _within(name, inner)
    elif isinstance(value, str) and len(value) >= 6 and _SECRET.search(name):
        if not re.fullmatch(r"[\w.]+\.[A-Z]\w+", value):  # the path of a class
            yield value


def error_of(
    pipeline: str, item: Any, key: Key, error: Exception, trigger: str = ""
) -> PipelineError:
    """A row for an item that raised; it is not saved."""
    frames = _frames(error)
    stack = redacted("".join(_text(error, frames)))
    type_id, item_id = key
    return PipelineError(
        pipeline_name=pipeline,
        item_type_id=type_id,
        item_id=item_id if type_id is not None else "",
        record=redacted(item_id) if type_id is None else "",
        item_repr=redacted(_repr(item))[:_LONGEST],
        error_type=type(error).__name__[:200],
        message=redacted(describe(error)),
        detail={"args": [redacted(_repr(one))[:_LONGEST] for one in error.args]},
        stack=stack,
        stack_hash=_hash(error, frames),
        html=_html(error, frames),
        revision=revision(),
        trigger_from_name=trigger,
    )


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def _frames(error: BaseException) -> Sequence[traceback.FrameSummary]:
    """Where it happened, from the pipe inwards; a frame of ours only if there is nothing else."""
    whole = traceback.extract_tb(error.__traceback__)
    return [frame for frame in whole if not frame.filename.startswith(_HERE)] or whole[-1:]


def _text(error: BaseException, frames: Sequence[traceback.FrameSummary]) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from traceback.TracebackException.from_exception(cause).format()
        yield "\nand then:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_list(list(frames))
    yield from traceback.format_exception_only(type(error), error)


def _hash(error: BaseException, frames: Sequence[traceback.FrameSummary]) -> str:
    """Equal for the same kind of error at the same place, whatever the item."""
    places = [f"{frame.filename}:{frame.name}:{frame.lineno}" for frame in frames]
    return hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()


def _html(error: BaseException, frames: Sequence[traceback.FrameSummary]) -> str:
    places = format_html_join(
        "",
        "<li><code>{}:{}</code> in <code>{}</code><pre>{}</pre></li>",
        (
            (frame.filename, frame.lineno, frame.name, redacted(frame.line or ""))
            for frame in frames
        ),
    )
    head = format_html("<p><strong>{}</strong></p>", redacted(describe(error)))
    return str(format_html("{}<ol>{}</ol>", head, places))


@lru_cache(maxsize=1)
def revision() -> str:
    """The commit that is checked out where the project stands; "" where that cannot be seen."""
    start = Path(getattr(settings, "BASE_DIR", "") or ".").absolute()
    for folder in (start, *start.parents):
        head = folder / ".git" / "HEAD"
        if head.is_file():
            text = head.read_text(encoding="utf-8").strip()
            if not text.startswith("ref: "):
                return text[:64]
            ref = folder / ".git" / text[5:]
            return ref.read_text(encoding="utf-8").strip()[:64] if ref.is_file() else ""
    return ""
