"""One run of one pipeline as the kernel sees it: items in, each through a pipe, results out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from penstock import Batch, Failure, Output, RecordError, RunError, Skip, Stage, each

from .failing import error_of
from .items import Key, keys_of
from .models import PipelineError, PipelineTrack
from .pipes import Bag, Pipe, PipeBreak, PipeContinue, PipeError, PipeIgnore
from .tracking import Tracker, take_back, tracks_of
from .units import Done, Unit

if TYPE_CHECKING:
    from .sessions import Session

__all__ = ["Process", "Results"]

logger = logging.getLogger("pipeline")


class Process(Stage):
    """Puts each item through a pipe of its own.

    `fatal` is what a pipe raised that ends the run; `left` are tracks of triggered pipelines, of
    items that were processed again; `seen` counts the items that were begun, for who is watching.
    """

    seen = 0

    def __init__(
        self, session: Session, name: str, cls: type[Pipe], local: Bag, trigger: str
    ) -> None:
        self.session = session
        self.name = name
        self.cls = cls
        self.local = local
        self.trigger = trigger
        self.satisfied = False
        self.fatal: Exception | None = None
        self.left: list[PipelineTrack] = []
        tracker = Tracker(name, trigger) if cls.track else None
        self._unit = Unit(session.using, session.chunksize, tracker, together=session.atomic)
        self._old: dict[str, list[PipelineTrack]] = {}
        self._open: dict[Key, PipelineError] = {}
        self._errors: list[PipelineError] = []
        self._fixed: list[int] = []

    def process(self, batch: Batch) -> Iterable[Batch]:
        self._look_up(batch.records)
        before, self.session.unit = self.session.unit, self._unit
        try:
            with self._unit.watching():
                made = each(self._one, batch)
        finally:
            self.session.unit = before
        self._unit.flush()
        self._unit.flush_tracks()
        out = self._sorted_out(batch, made)
        self._note_errors()
        if self.fatal is not None:
            raise RunError("pipe stopped") from self.fatal  # the session raises what it raised
        self.session.processed(self.name, len(batch.records))
        yield out

    # ---- before the items -----------------------------------------------------------------------

    def _look_up(self, items: Sequence[Any]) -> None:
        """What is known of these items: what they gave before, and their errors."""
        self._keys = keys_of(items)
        self._old, self._open = {}, {}
        by_type: dict[int | None, list[str]] = {}
        for type_id, text in self._keys.values():
            by_type.setdefault(type_id, []).append(text)
        for type_id, texts in by_type.items():
            errors = PipelineError.objects.filter(
                pipeline_name=self.name, item_type_id=type_id, fixed=None
            )
            where = "record__in" if type_id is None else "item_id__in"
            # Mostly there are none, and a condition of a thousand keys takes its time.
            for error in errors.filter(**{where: texts}).order_by("pk") if errors.exists() else ():
                self._open[type_id, error.item_id or error.record] = error
            if type_id is not None and self.cls._enable_reparse and self.cls.track:
                self._old.update(tracks_of(self.name, type_id, texts))

    # ---- one item -------------------------------------------------------------------------------

    def _one(self, item: Any) -> Done:
        """Process an item. What is raised is not the end of the others, unless it is meant so."""
        if self.satisfied or self.fatal is not None:
            raise Skip
        self.seen += 1
        unit, key = self._unit, self._keys[id(item)]
        pipe = self.cls(self.session, self.local, item)
        unit.begin()
        try:
            left = self._take_back(pipe, key)
            try:
                result = pipe.process()
            except PipeContinue as stopped:
                result = stopped.value
            done = Done(item, key, unit.created, pipe._to_save, result)
            unit.done(done)
        except PipeIgnore as reason:
            unit.undo(reason)
            if str(reason) not in ("", "None"):
                logger.info("%s ignores %s: %s", self.name, item, reason)
            raise Skip from None
        except PipeBreak as reason:
            unit.undo(reason)
            self.satisfied = True
            raise Skip from None
        except Exception as error:
            unit.undo(error)
            if isinstance(error, PipeError) or self.session.debug:
                self.fatal = error
                raise Skip from None
            raise self._failed(item, key, error) from error
        except BaseException as error:
            unit.undo(error)
            raise
        self.left.extend(left)
        return done

    def _take_back(self, pipe: Pipe, key: Key) -> list[PipelineTrack]:
        """Remove what the item gave the last time. It comes back if the item fails."""
        old = self._old.get(key[1]) if key[0] is not None else None
        if not old:
            return []
        self._unit.enter(noted=True)  # what is deleted may be an item that was just processed
        pipe.remember(old)
        return take_back(old)

    def _failed(self, item: Any, key: Key, error: Exception) -> RecordError:
        row = error_of(self.name, item, key, error, self.trigger)
        earlier = self._open.get(key)
        if earlier is not None:
            row.attempts, row.created = earlier.attempts + 1, earlier.created
        self._errors.append(row)
        logger.error("%s: %s failed: %s", self.name, row.item_repr, row.message)
        return RecordError(row.message)

    # ---- after the items ------------------------------------------------------------------------

    def _sorted_out(self, batch: Batch, made: Batch) -> Batch:
        """The results; an item whose results could not be saved has failed after all."""
        failures = list(made.failures)
        results, ordinals = [], []
        for done, ordinal in zip(made.records, made.ordinals, strict=True):
            if done.error is not None:
                self._not_saved(done)
                failures.append(Failure(done.item, ordinal, RecordError(str(done.error))))
                continue
            if done.key in self._open:
                self._fixed.append(self._open[done.key].pk)
            if done.result is not None:
                results.append(done.result)
                ordinals.append(ordinal)
        return Batch(results, batch.source, ordinals, None, failures, len(batch.records))

    def _not_saved(self, done: Done) -> None:
        error = done.error
        assert error is not None
        if isinstance(error, PipeError) or self.session.debug:
            self.fatal = self.fatal or error
        else:
            self._failed(done.item, done.key, error)

    def _note_errors(self) -> None:
        errors, self._errors = self._errors, []
        fixed, self._fixed = self._fixed, []
        again = [self._open[key].pk for key in map(_key, errors) if key in self._open]
        if again:
            PipelineError.objects.filter(pk__in=again).delete()
        if fixed:
            PipelineError.objects.filter(pk__in=fixed).update(fixed=timezone.now())
        PipelineError.objects.bulk_create(errors)


def _key(error: PipelineError) -> Key:
    return (error.item_type_id, error.item_id or error.record)


class Results(Output):
    """Collects results, for `finish` and for pipelines that go on with them."""

    delivery = "keyed"

    def __init__(self) -> None:
        self.values: list[Any] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.values.extend(batch.records)
        return None
