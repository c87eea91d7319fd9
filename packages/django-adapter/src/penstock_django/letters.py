"""Dead letters on the command line: `manage.py penstock errors` for what the store keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from penstock import DeadLetter, UsageError
from penstock.cli.mending import letters_named, name_of
from penstock.cli.showing import fields_of, when
from penstock.failures import shape_of
from penstock.store import decode_record

from .models import Letter
from .runs import Identity, Retried
from .store import letter_of
from .story import of_record

__all__ = ["chosen", "count", "groups", "mended_from", "outcome", "whole"]


def chosen(
    names: Sequence[str] = (),
    *,
    pipeline: str | None = None,
    node: str | None = None,
    error: str | None = None,
    search: str | None = None,
) -> list[DeadLetter]:
    """The dead letters that are meant. `names` are as orders:17 or orders:17@shop; UsageError for
    one that there is none of."""
    from django.db.models import Q

    rows = Letter.objects.all()
    for field, value in (("pipeline", pipeline), ("node", node), ("error", error)):
        if value is not None:
            rows = rows.filter(**{field: value})
    if search is not None:
        rows = rows.filter(Q(message__icontains=search) | Q(record__icontains=search))
    letters = list(map(letter_of, rows))
    if not names:
        return letters
    return letters_named(letters, names)


def groups(letters: Iterable[DeadLetter]) -> Iterator[str]:
    """A line for those that failed at the same node in the same way."""
    together: dict[tuple[str, str, str, str], list[DeadLetter]] = {}
    for one in letters:
        key = (one.pipeline, one.node, one.error, shape_of(one.message))
        together.setdefault(key, []).append(one)
    for group in sorted(together.values(), key=len, reverse=True):
        first = group[0]
        yield f"{len(group)} × {first.pipeline}: {first.message} (as {name_of(first)})"


def whole(letter: DeadLetter) -> Iterator[str]:
    """Everything that is known of a letter, and the story of its record."""
    yield name_of(letter)
    facts = {
        "pipeline": letter.pipeline,
        "error": letter.message,
        "run": letter.run_id,
        "attempts": str(letter.attempts),
        "first": when(letter.first),
        "last": when(letter.last),
    }
    yield from (f"  {name.ljust(8)}  {value}" for name, value in facts.items())
    yield "  record"
    yield from (f"    {line}" for line in fields_of(decode_record(letter.record)))
    yield "  story"
    for line in of_record(letter.pipeline, letter.source, letter.ordinal).lines:
        by = f" by {line.who}" if line.who else ""
        text = f": {line.text}" if line.text else ""
        yield f"    {when(line.at.timestamp())}  {line.what}{by} at {line.where}{text}"


def mended_from(file: str, letters: Sequence[DeadLetter]) -> Mapping[Identity, str]:
    """New records for letters, from JSON lines as {"id": "orders:17@shop", "record": …}."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise UsageError(what, where=file, hint="choose another file") from error
    by_name = {name_of(one): one for one in letters}
    mended: dict[Identity, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            entry = json.loads(line)
            letter, record = by_name.get(entry["id"]), entry["record"]
        except (ValueError, TypeError, KeyError) as error:
            what = 'every line needs an "id" and a "record", as JSON'
            raise UsageError(what, where=where, hint="nothing was changed") from error
        if letter is None:
            what = f"no dead letter {entry['id']!r} among those chosen"
            raise UsageError(what, where=where, hint="nothing was changed")
        mended[letter.identity] = json.dumps(record, ensure_ascii=False)
    return mended


def outcome(done: Retried) -> Iterator[str]:
    """What came of trying again."""
    yield f"{done.mended} mended, {done.failed} failed"
    yield from (f"{name}: {why}" for name, why in done.left)


def count(number: int, what: str) -> str:
    """As "1 error is open", "2 errors are open"."""
    return f"1 {what} is open" if number == 1 else f"{number} {what}s are open"
