"""The output `django`: objects of a model, committed together with the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from penstock import (
    Batch,
    Checkpoint,
    Context,
    Failure,
    FencedError,
    RecordError,
    RunError,
    TransactionalOutput,
    TransientError,
    component,
    option,
)

from .connection import Line, line_for, model_of, set_up

__all__ = ["DjangoOutput"]

Row = tuple[int, Any, Any]
"""The index in the batch, the record, and the object made of it."""


def _a_label(value: str) -> None:
    if value.count(".") != 1:
        raise ValueError("must name an app and a model, as in 'shop.Order'")


@component
class DjangoOutput(TransactionalOutput):
    """Create or change objects of a Django model, each epoch in one transaction."""

    model: str = option(help="App and model.", check=_a_label, example="shop.Order")
    mode: Literal["append", "upsert"] = option(
        default="append", help="Add objects, or change those that have the same key."
    )
    key: list[str] = option(
        default=[], help="Fields that tell objects apart; a unique constraint holds them."
    )
    validate: bool = option(
        default=False, help="Ask each object's clean_fields() before it is written."
    )
    using: str = option(default="default", help="Name of the database in the settings.")

    def check(self) -> None:
        if self.mode == "upsert" and not self.key:
            raise ValueError("mode 'upsert' needs the key: the fields that tell objects apart")

    # ---- opening, closing -----------------------------------------------------------------------

    def open(self, context: Context) -> None:
        super().open(context)
        set_up()
        self._model = model_of(self.model)
        names = {one.name for one in self._model._meta.concrete_fields}
        names |= {one.attname for one in self._model._meta.concrete_fields}
        self._names = names
        for name in self.key:
            if name not in names:
                raise RunError(f"there is no field {name!r}", where=self.model, hint="look at key")
        self._together = not self._model._meta.concrete_model._meta.parents
        if self.mode == "upsert" and not self._together:
            raise RunError(
                "a model that inherits another one's table cannot be upserted",
                where=self.model,
                hint="set mode to 'append'",
            )
        self._line: Line = line_for(self.using, context.pipeline)

    def close(self) -> None:
        if hasattr(self, "_line"):
            self._line.roll_back()
            self._line.close()

    # ---- epochs ---------------------------------------------------------------------------------

    def _mine(self, pipeline: str) -> Any:
        from .models import OutputCheckpoint

        mine = OutputCheckpoint.objects.using(self.using)
        return mine.filter(pipeline=pipeline, output=self.context.name)

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        with self._line.bound():
            text = self._mine(pipeline).values_list("checkpoint", flat=True).first()
        return None if text is None else Checkpoint.from_json(text)

    def reopen(self, mark: Any, epoch: int) -> None:
        """Mended records are added to what is there."""

    def commit(self, checkpoint: Checkpoint) -> None:
        """The rows of every output of this run in this database, each with its checkpoint."""
        key = _identity(checkpoint)
        with self._line.bound():
            if self._line.committed.pop(id(self), None) == key:
                return  # it went with another one's
            parties = list({**self._line.dirty, id(self): self}.values())
            try:
                self._line.begin()
                for party in parties:
                    party._advance(checkpoint)
            except BaseException:
                self._line.roll_back()
                raise
            self._end(checkpoint)
            for party in parties:
                if party is not self:
                    self._line.committed[id(party)] = key

    def _advance(self, checkpoint: Checkpoint) -> None:
        """Put the checkpoint in the place of the one of the epoch before; FencedError when that is
        not what is there, or is of a later generation."""
        from django.db import IntegrityError, transaction

        from .models import OutputCheckpoint

        values = {
            "epoch": checkpoint.epoch,
            "generation": checkpoint.generation,
            "run_id": checkpoint.run_id,
            "checkpoint": checkpoint.to_json(),
        }
        mine = self._mine(checkpoint.pipeline)
        before = mine.filter(epoch=checkpoint.epoch - 1, generation__lte=checkpoint.generation)
        if before.update(**values) == 1:
            return
        if mine.exists():
            raise FencedError(checkpoint.pipeline)
        try:
            with transaction.atomic(self.using):
                OutputCheckpoint.objects.using(self.using).create(
                    pipeline=checkpoint.pipeline, output=self.context.name, **values
                )
        except IntegrityError as error:  # another run has just put its first one here
            raise FencedError(checkpoint.pipeline) from error

    def _end(self, checkpoint: Checkpoint) -> None:
        """Commit; where the answer is lost, look what is there."""
        from django.db import DatabaseError

        try:
            self._line.commit()
        except DatabaseError as error:
            self._line.roll_back()
            self._line.reconnect()
            there = self.checkpoint(checkpoint.pipeline)
            if there is None or _identity(there) != _identity(checkpoint):
                raise RunError(
                    f"epoch {checkpoint.epoch} could not be committed: {_line_of(error)}",
                    hint="run the pipeline again: it goes on after its last checkpoint",
                ) from error

    def finish(self) -> None:
        pipeline = self.context.pipeline
        with self._line.step():
            last = self.checkpoint(pipeline)
            if last is not None and not last.finished:
                done = replace(last, finished=True)
                self._mine(pipeline).filter(epoch=last.epoch).update(checkpoint=done.to_json())

    # ---- writing --------------------------------------------------------------------------------

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if not len(batch.records):
            return None
        from django.db import OperationalError

        failed: dict[int, RecordError] = {}
        rows = list(self._rows(batch.records, failed))
        with self._line.bound():
            had_rows = bool(self._line.dirty)
            try:
                self._line.begin()
                self._refuse_dangling(rows, failed)
                good = [row for row in rows if row[0] not in failed] if failed else rows
                if self.mode == "append":
                    self._put((), good, failed)
                else:
                    for columns, group in _by_columns(good):
                        self._put(columns, self._last_of_each_key(group), failed)
            except OperationalError as error:
                self._line.roll_back()
                self._line.reconnect()
                if had_rows:
                    raise RunError(
                        f"the transaction was lost in the middle of an epoch: {_line_of(error)}",
                        hint="run the pipeline again: it goes on after its last checkpoint",
                    ) from error
                raise TransientError(_line_of(error)) from error  # nothing was written yet
            self._line.dirty[id(self)] = self
        records, ordinals = batch.records, batch.ordinals
        return [Failure(records[at], ordinals[at], failed[at]) for at in sorted(failed)]

    def _rows(self, records: Sequence[Any], failed: dict[int, RecordError]) -> Iterable[Row]:
        """Objects of records; what has no form of one is refused."""
        model, names, key, validate = self._model, self._names, self.key, self.validate
        for at, record in enumerate(records):
            try:
                if type(record) is not dict and not isinstance(record, Mapping):
                    raise RecordError(f"must be a mapping, got {type(record).__name__}")
                if not record.keys() <= names:
                    unknown = next(name for name in record if name not in names)
                    raise RecordError(f"{self.model} has no field {unknown!r}")
                empty = [name for name in key if record.get(name) is None] if key else ()
                if empty:
                    raise RecordError(f"{empty[0]!r}, which is of the key, is empty")
                made = model(**record)
                if validate:
                    made.clean_fields()
            except Exception as error:
                failed[at] = _refusal(error)
                continue
            yield at, record, made

    def _refuse_dangling(self, rows: Sequence[Row], failed: dict[int, RecordError]) -> None:
        """Refuse what refers to nothing. The databases ask only when the epoch is committed: then
        nobody can say any more which record is to blame."""
        for field in self._model._meta.concrete_fields:
            if field.remote_field is None or not field.db_constraint:
                continue
            meant = {at: getattr(made, field.attname) for at, _, made in rows}
            name = field.target_field.attname
            keys = {value for value in meant.values() if value is not None}
            objects = field.related_model._base_manager.using(self.using)
            try:
                there = set(objects.filter(**{f"{name}__in": keys}).values_list(name, flat=True))
            except (ValueError, TypeError, OverflowError):
                continue  # one is no key at all; it is found when it is written
            known = set(map(str, there))
            for at, value in meant.items():
                if value is not None and str(value) not in known:
                    what = f"{field.name} {value!r} is not in {field.related_model._meta.label}"
                    failed.setdefault(at, RecordError(what))

    def _last_of_each_key(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Of rows with the same key the last one counts, as if they came one after the other."""
        last = {tuple(row[1][name] for name in self.key): row for row in rows}
        return sorted(last.values(), key=_at)

    def _put(
        self, columns: Sequence[str], rows: Sequence[Row], failed: dict[int, RecordError]
    ) -> None:
        """Write rows; halves of what is refused are tried until each culprit is found."""
        from django.db import transaction

        write = self._writer(columns)
        todo = [rows] if rows else []
        while todo:
            part = todo.pop()
            try:
                with transaction.atomic(self.using):
                    write([made for _, _, made in part])
            except Exception as error:
                if not _is_of_a_record(error):
                    raise
                _let_go_of_frames(error)
                if len(part) == 1:
                    failed[part[0][0]] = _refusal(error)
                    continue
                middle = len(part) // 2
                todo += [_afresh(part[middle:]), _afresh(part[:middle])]

    def _writer(self, columns: Sequence[str]) -> Callable[[list[Any]], Any]:
        objects = self._model._base_manager.using(self.using)
        if not self._together:
            return lambda made: [one.save(using=self.using, force_insert=True) for one in made]
        if self.mode == "append":
            return lambda made: objects.bulk_create(made)
        own = self._model._meta
        key = [own.get_field(name).name for name in self.key]
        changed = [own.get_field(name).name for name in columns]
        changed = [
            name for name in changed if name not in key and not own.get_field(name).primary_key
        ]
        if not changed:
            return lambda made: objects.bulk_create(made, ignore_conflicts=True)
        return lambda made: objects.bulk_create(
            made, update_conflicts=True, update_fields=changed, unique_fields=key
        )


def _at(row: Row) -> int:
    return row[0]


def _by_columns(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, ...], list[Row]]]:
    """Rows side by side that have the same fields."""
    from itertools import groupby

    for columns, group in groupby(rows, lambda row: tuple(row[1])):
        yield columns, list(group)


def _afresh(rows: Sequence[Row]) -> Sequence[Row]:
    """The same rows with objects that no attempt has touched."""
    return [(at, record, type(made)(**record)) for at, record, made in rows]


def _is_of_a_record(error: Exception) -> bool:
    from django.core.exceptions import ValidationError
    from django.db import DataError, IntegrityError

    refused = (ValidationError, DataError, IntegrityError, ValueError, TypeError, OverflowError)
    text = str(error)
    return isinstance(error, refused) or "binding parameter" in text or "cannot adapt type" in text


def _refusal(error: Exception) -> RecordError:
    if isinstance(error, RecordError):
        return error
    messages = getattr(error, "message_dict", None)
    if messages:
        return RecordError(
            "; ".join(f"{name}: {' '.join(told)}" for name, told in messages.items())
        )
    return RecordError(_line_of(error))


def _let_go_of_frames(error: Exception) -> None:
    """What Django raises and the frame that raises it hold each other, and the rows with them: a
    megabyte of what was refused would wait for the garbage collector."""
    inner: BaseException | None = error
    while inner is not None:
        inner.__traceback__ = None
        inner = inner.__cause__ or inner.__context__


def _line_of(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _identity(checkpoint: Checkpoint) -> tuple[int, int, str]:
    return (checkpoint.epoch, checkpoint.generation, checkpoint.run_id)
