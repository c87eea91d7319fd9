"""The store on the ORM: checkpoints, dead letters and reports in tables of the project."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from time import time
from typing import Any

from penstock import Checkpoint, DeadLetter, FencedError, Store
from penstock.holder import this_process
from penstock.store import HISTORY, Alive, IndexedKey, holds, lease_taken

from .connection import Line, line_for, set_up

__all__ = ["DjangoStore", "letter_of", "put_report", "row_of"]

_KEYED_RUNS = 10
"""Of so many runs of a pipeline the keys are kept."""

_STORIES = 90 * 24 * 3600.0
"""Stories of records are kept for so many seconds."""

SET_ASIDE, CAME_THROUGH, FORGOTTEN = "set aside", "came through", "forgotten"
"""What may happen to a record in its story."""

_LETTER = [one.name for one in fields(DeadLetter)]
_IDENTITY = ["pipeline", "source", "ordinal", "node", "part"]


class DjangoStore(Store):
    """A store in the database `using`.

    `folder` is for what no database keeps, as the spool of several transactional outputs.
    """

    def __init__(self, folder: Path | str | None = None, using: str = "default") -> None:
        self.using = using
        if folder is not None:
            self.folder = Path(folder)
        self._lines: dict[str, Line] = {}

    def open(self) -> None:
        set_up()

    def close(self) -> None:
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()

    def _line(self, pipeline: str = "") -> Line:
        line = self._lines.get(pipeline)
        if line is None:
            self.open()
            from django.db import connections

            # Elsewhere two connections of one run do not wait for each other.
            shared = connections[self.using].vendor == "sqlite"
            line = line_for(self.using, pipeline) if shared else Line(self.using)
            self._lines[pipeline] = line
        return line

    @contextmanager
    def _step(self, pipeline: str) -> Iterator[Any]:
        with self._line(pipeline).step():
            from . import models

            yield models

    @contextmanager
    def _reading(self, pipeline: str = "") -> Iterator[Any]:
        with self._line(pipeline).bound():
            from . import models

            yield models

    # ---- leases ---------------------------------------------------------------------------------

    def lease(self, pipeline: str, holder: str, now: float, until: float, alive: Alive) -> int:
        with self._step(pipeline) as models:
            models.Lease.objects.get_or_create(pipeline=pipeline)
            found = models.Lease.objects.select_for_update().get(pipeline=pipeline)
            if found.holder and holds(alive(found.holder), found.until > now):
                raise lease_taken(pipeline, found.holder)
            found.holder, found.until = holder, until
            found.generation += 1
            found.save()
            return int(found.generation)

    def _fenced(self, models: Any, pipeline: str, generation: int) -> Any:
        """The lease, locked; FencedError when it is not of this generation any more."""
        found = models.Lease.objects.select_for_update().filter(pipeline=pipeline).first()
        if found is None or found.generation != generation:
            raise FencedError(pipeline)
        return found

    def outrank(self, pipeline: str, generation: int, other: int) -> int:
        with self._step(pipeline) as models:
            found = self._fenced(models, pipeline, generation)
            found.generation = max(generation, other + 1)
            found.save()
            return int(found.generation)

    def renew(self, pipeline: str, generation: int, until: float) -> None:
        with self._step(pipeline) as models:
            found = self._fenced(models, pipeline, generation)
            found.until = until
            found.save()

    def release(self, pipeline: str, generation: int) -> None:
        with self._step(pipeline) as models:
            models.Lease.objects.filter(pipeline=pipeline, generation=generation).update(holder="")

    def claim(self, pipeline: str, file: str) -> None:
        with self._step(pipeline) as models:
            models.Lease.objects.update_or_create(pipeline=pipeline, defaults={"file": file})

    def claimed(self, pipeline: str) -> str | None:
        with self._reading(pipeline) as models:
            found: str | None = (
                models.Lease.objects.filter(pipeline=pipeline)
                .values_list("file", flat=True)
                .first()
            )
            return found

    def holder(self, pipeline: str) -> tuple[str, float] | None:
        with self._reading(pipeline) as models:
            found = models.Lease.objects.filter(pipeline=pipeline).exclude(holder="").first()
            return (found.holder, found.until) if found is not None else None

    # ---- progress -------------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        with self._reading(pipeline) as models:
            return _one(models.StoredCheckpoint, pipeline)

    def intent(self, pipeline: str) -> Checkpoint | None:
        with self._reading(pipeline) as models:
            return _one(models.Intent, pipeline)

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
        closed: Sequence[DeadLetter] = (),
    ) -> None:
        pipeline, epoch, text = checkpoint.pipeline, checkpoint.epoch, checkpoint.to_json()
        with self._step(pipeline) as models:
            self._fenced(models, pipeline, checkpoint.generation)
            _keep(models, letters, keys)
            _drop(models, closed, CAME_THROUGH, checkpoint.run_id)
            _end_attempts(models, pipeline)
            models.StoredCheckpoint.objects.update_or_create(
                pipeline=pipeline, defaults={"epoch": epoch, "checkpoint": text}
            )
            history = models.History.objects.filter(pipeline=pipeline)
            models.History.objects.update_or_create(
                pipeline=pipeline, epoch=epoch, defaults={"checkpoint": text}
            )
            last = history.order_by("-epoch").values_list("epoch", flat=True)[HISTORY : HISTORY + 1]
            for old in last:
                history.filter(epoch__lte=old).delete()

    def history(self, pipeline: str) -> list[Checkpoint]:
        with self._reading(pipeline) as models:
            texts = models.History.objects.filter(pipeline=pipeline).order_by("-epoch")
            return [
                Checkpoint.from_json(text) for text in texts.values_list("checkpoint", flat=True)
            ]

    def forget_after(self, pipeline: str, generation: int, epoch: int) -> None:
        with self._step(pipeline) as models:
            self._fenced(models, pipeline, generation)
            models.History.objects.filter(pipeline=pipeline, epoch__gt=epoch).delete()

    def keep(
        self,
        pipeline: str,
        generation: int,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        with self._step(pipeline) as models:
            self._fenced(models, pipeline, generation)
            _keep(models, letters, keys)

    def forget(self, pipeline: str, generation: int) -> None:
        with self._step(pipeline) as models:
            self._fenced(models, pipeline, generation)
            _end_attempts(models, pipeline)
            models.StoredCheckpoint.objects.filter(pipeline=pipeline).delete()
            models.History.objects.filter(pipeline=pipeline).delete()

    def put_intent(self, checkpoint: Checkpoint) -> None:
        with self._step(checkpoint.pipeline) as models:
            self._fenced(models, checkpoint.pipeline, checkpoint.generation)
            models.Intent.objects.update_or_create(
                pipeline=checkpoint.pipeline,
                defaults={"epoch": checkpoint.epoch, "checkpoint": checkpoint.to_json()},
            )

    def attempt(self, pipeline: str, generation: int, place: str) -> int:
        with self._step(pipeline) as models:
            self._fenced(models, pipeline, generation)
            found, _ = models.Attempt.objects.get_or_create(pipeline=pipeline, place=place)
            found.count += 1
            found.save()
            return int(found.count)

    def withdraw(self, pipeline: str, generation: int, places: Iterable[str]) -> None:
        from django.db.models import F

        with self._step(pipeline) as models:
            if not models.Lease.objects.filter(pipeline=pipeline, generation=generation).exists():
                return
            attempts = models.Attempt.objects.filter(pipeline=pipeline)
            for place in places:
                attempts.filter(place=place).update(count=F("count") - 1)
            attempts.filter(count__lte=0).delete()

    def attempts(self, pipeline: str) -> Mapping[str, int]:
        with self._reading(pipeline) as models:
            found = models.Attempt.objects.filter(pipeline=pipeline)
            return dict(found.values_list("place", "count"))

    # ---- letters, reports, keys -----------------------------------------------------------------

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        with self._reading(pipeline or "") as models:
            found = _of(models.Letter, pipeline)
            if run_id is not None:
                found = found.filter(run_id=run_id)
            return [DeadLetter(*row) for row in found.order_by(*_IDENTITY).values_list(*_LETTER)]

    def failed(self, pipeline: str, since: float) -> list[tuple[str, int, str]]:
        with self._reading(pipeline) as models:
            found = models.Letter.objects.filter(pipeline=pipeline, last__gte=since)
            return list(found.values_list("source", "ordinal", "node"))

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        given = list(letters)
        with self._step(given[0].pipeline if given else "") as models:
            return _drop(models, given, FORGOTTEN)

    def settle_letters(self, pipeline: str, before: float, sources: Iterable[str]) -> int:
        with self._step(pipeline) as models:
            found = models.Letter.objects.filter(
                pipeline=pipeline, last__lt=before, source__in=list(sources)
            )
            _note(models, found, CAME_THROUGH, run_id="")
            return int(found.delete()[0])

    def note(
        self, letters: Sequence[DeadLetter], what: str, who: str, texts: Sequence[str]
    ) -> None:
        """Add to the story of records what a person does with their letters."""
        if letters:
            with self._step(letters[0].pipeline) as models:
                _note(models, letters, what, run_id="", who=who, texts=texts)

    def keep_report(self, report: Mapping[str, Any]) -> None:
        pipeline = report["pipeline"]
        with self._step(pipeline) as models:
            put_report(report)
            _forget_old(models, pipeline)

    def reports(self, pipeline: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        with self._reading(pipeline or "") as models:
            found = _of(models.RunReport, pipeline).order_by("-started", "-run_id")
            return [json.loads(text) for text in found.values_list("report", flat=True)[:limit]]

    def find_key(self, key: str, pipeline: str | None = None) -> list[IndexedKey]:
        with self._reading(pipeline or "") as models:
            found = _of(models.RecordKey, pipeline).filter(key=_clean(key)).order_by("-pk")
            rows = found.values_list("pipeline", "run_id", "source", "ordinal", "key")
            return [IndexedKey(*row) for row in rows]


def put_report(report: Mapping[str, Any], using: str | None = None) -> None:
    """Keep a report on the connection in use."""
    from .models import RunReport

    runs = RunReport.objects.using(using)
    runs.update_or_create(run_id=report["run_id"], defaults=row_of(report))


def row_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the row of a report, by column."""
    status = report.get("status", "")
    return {
        "pipeline": report["pipeline"],
        "status": status,
        "started": report["started"],
        "seconds": report.get("seconds", 0.0),
        "holder": this_process() if status == "running" else "",
        "told": time(),
        "report": _clean(json.dumps(dict(report), default=str)),
    }


def _of(model: Any, pipeline: str | None) -> Any:
    return model.objects.all() if pipeline is None else model.objects.filter(pipeline=pipeline)


def _one(model: Any, pipeline: str) -> Checkpoint | None:
    text = model.objects.filter(pipeline=pipeline).values_list("checkpoint", flat=True).first()
    return None if text is None else Checkpoint.from_json(text)


def _clean(text: str) -> str:
    """PostgreSQL takes no NUL in a text, and no database a half of a surrogate pair."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def letter_of(row: Any) -> DeadLetter:
    """The letter that stands in a row."""
    return DeadLetter(**{name: getattr(row, name) for name in _LETTER})


def _keep(models: Any, letters: Sequence[DeadLetter], keys: Sequence[IndexedKey]) -> None:
    for letter in letters:
        _put(models, letter)
    _note(models, letters, SET_ASIDE, texts=[_clean(letter.message) for letter in letters])
    models.RecordKey.objects.bulk_create(
        models.RecordKey(
            pipeline=one.pipeline,
            run_id=one.run_id,
            source=one.source,
            ordinal=one.ordinal,
            key=_clean(one.key),
        )
        for one in keys
    )


def _put(models: Any, letter: DeadLetter) -> None:
    """A letter of the same identity is replaced, and keeps when it was first seen."""
    values = {name: getattr(letter, name) for name in _LETTER if name not in _IDENTITY}
    values["message"] = _clean(letter.message)
    identity = {name: getattr(letter, name) for name in _IDENTITY}
    there, made = models.Letter.objects.get_or_create(**identity, defaults=values)
    if made:
        return
    values["first"] = there.first
    values["last"] = max(there.last, letter.last)
    values["attempts"] = there.attempts + letter.attempts
    for name, value in values.items():
        setattr(there, name, value)
    there.save()


def _drop(models: Any, letters: Iterable[DeadLetter], what: str, run_id: str = "") -> int:
    gone = []
    for letter in letters:
        identity = {name: getattr(letter, name) for name in _IDENTITY}
        if models.Letter.objects.filter(**identity).delete()[0]:
            gone.append(letter)
    _note(models, gone, what, run_id=run_id)
    return len(gone)


def _note(
    models: Any,
    letters: Iterable[Any],
    what: str,
    *,
    run_id: str | None = None,
    who: str = "",
    texts: Sequence[str] = (),
) -> None:
    """Add to the story of each record; `run_id` is that of the letter if it is not given."""
    told = iter(texts)
    models.Event.objects.bulk_create(
        models.Event(
            **{name: getattr(letter, name) for name in _IDENTITY},
            at=time(),
            what=what,
            run_id=letter.run_id if run_id is None else run_id,
            who=who,
            text=next(told, ""),
        )
        for letter in letters
    )


def _end_attempts(models: Any, pipeline: str) -> None:
    models.Intent.objects.filter(pipeline=pipeline).delete()
    models.Attempt.objects.filter(pipeline=pipeline).delete()


def _forget_old(models: Any, pipeline: str) -> None:
    from django.db.models import Max

    keys = models.RecordKey.objects.filter(pipeline=pipeline)
    runs = keys.order_by().values_list("run_id").annotate(newest=Max("pk")).order_by("-newest")
    old = [run_id for run_id, _ in runs[_KEYED_RUNS:]]
    if old:
        keys.filter(run_id__in=old).delete()
    old_events = models.Event.objects.filter(pipeline=pipeline, at__lt=time() - _STORIES)
    old_events.delete()
