"""The tables: what runs keep (the store), errors to fix, and which results an item gave."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone

__all__ = [
    "Attempt",
    "Event",
    "History",
    "Intent",
    "Lease",
    "Letter",
    "OutputCheckpoint",
    "PipelineError",
    "PipelineTrack",
    "RecordKey",
    "RunReport",
    "StoredCheckpoint",
]

_NAME = 200


def _name(**options: Any) -> Any:
    return models.CharField(max_length=_NAME, **options)


# ---- the store ----------------------------------------------------------------------------------


class Lease(models.Model):
    """Who runs a pipeline, under which generation, and which file it stands in."""

    pipeline = _name(primary_key=True)
    holder = models.TextField(default="", blank=True)
    generation = models.BigIntegerField(default=0)
    until = models.FloatField(default=0.0)
    file = models.TextField(null=True)


class StoredCheckpoint(models.Model):
    """How far a pipeline has come, as the store knows."""

    pipeline = _name(primary_key=True)
    epoch = models.BigIntegerField()
    checkpoint = models.TextField()


class History(models.Model):
    """The last checkpoints of a pipeline."""

    pipeline = _name()
    epoch = models.BigIntegerField()
    checkpoint = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "epoch"], name="penstock_history_epoch")
        ]


class Intent(models.Model):
    """The epoch that several outputs are about to commit."""

    pipeline = _name(primary_key=True)
    epoch = models.BigIntegerField()
    checkpoint = models.TextField()


class Attempt(models.Model):
    """How often something was tried since the last checkpoint."""

    pipeline = _name()
    place = models.TextField()
    count = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "place"], name="penstock_attempt_place")
        ]


class Letter(models.Model):
    """A dead letter: a record that was set aside."""

    pipeline = _name()
    source = _name()
    ordinal = models.BigIntegerField()
    node = _name()
    part = models.IntegerField(default=0)
    error = _name()
    message = models.TextField()
    record = models.TextField()
    run_id = _name(db_index=True)
    plugin = _name(default="", blank=True)
    version = _name(default="", blank=True)
    config_hash = _name(default="", blank=True)
    attempts = models.IntegerField(default=1)
    first = models.FloatField(default=0.0)
    last = models.FloatField(default=0.0)

    class Meta:
        verbose_name = "dead letter"
        ordering = ["pipeline", "source", "ordinal", "node", "part"]
        permissions = [
            ("retry_letter", "Can try dead letters again"),
            ("mend_letter", "Can mend dead letters"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["pipeline", "source", "ordinal", "node", "part"], name="penstock_letter"
            )
        ]

    def __str__(self) -> str:
        part = f"#{self.part}" if self.part else ""
        return f"{self.source}:{self.ordinal}@{self.node}{part}"


class Event(models.Model):
    """Something that happened to a record that was set aside; it stays when the dead letter goes.

    `at` is in seconds since the epoch, `text` the message or the mended record, `who` a person.
    """

    pipeline = _name()
    source = _name()
    ordinal = models.BigIntegerField()
    node = _name()
    part = models.IntegerField(default=0)
    at = models.FloatField()
    what = _name()
    run_id = _name(default="", blank=True)
    text = models.TextField(default="", blank=True)
    who = _name(default="", blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["pipeline", "source", "ordinal"], name="penstock_event_record")
        ]

    def __str__(self) -> str:
        return f"{self.source}:{self.ordinal}@{self.node}: {self.what}"


class RunReport(models.Model):
    """The report of one run, as JSON.

    While it is under way, `holder` is the process that it runs in, and `told` when it last said how
    far it is, in seconds since the epoch.
    """

    run_id = _name(primary_key=True)
    pipeline = _name(db_index=True)
    status = _name(default="", blank=True)
    started = models.FloatField(db_index=True)
    seconds = models.FloatField(default=0.0)
    report = models.TextField()
    holder = models.TextField(default="", blank=True)
    told = models.FloatField(default=0.0)

    class Meta:
        verbose_name = "run"
        ordering = ["-started", "-run_id"]

    def __str__(self) -> str:
        return f"{self.pipeline} {self.run_id}"


class RecordKey(models.Model):
    """Which record of which run carried a key."""

    pipeline = _name()
    run_id = _name()
    source = _name()
    ordinal = models.BigIntegerField()
    key = models.TextField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["pipeline", "run_id"], name="penstock_key_run")]


class OutputCheckpoint(models.Model):
    """How far a pipeline has come, as an output knows: it changes with the rows of an epoch."""

    pipeline = _name()
    output = _name()
    epoch = models.BigIntegerField()
    generation = models.BigIntegerField()
    run_id = _name()
    checkpoint = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "output"], name="penstock_output")
        ]


# ---- items of pipes -----------------------------------------------------------------------------


class PipelineError(models.Model):
    """An item whose processing raised: it was rolled back, and waits to be fixed and redone.

    `record` is an item that is no model object, in JSON that can be redone.
    """

    pipeline_name = _name(db_index=True)
    item_type = models.ForeignKey(ContentType, models.CASCADE, null=True, related_name="+")
    item_id = models.CharField(max_length=255, default="", blank=True)
    item_repr = models.TextField(default="", blank=True)
    record = models.TextField(default="", blank=True)
    error_type = _name()
    message = models.TextField(default="", blank=True)
    detail = models.JSONField(default=dict, blank=True)
    stack = models.TextField()
    stack_hash = models.CharField(max_length=64, db_index=True)
    html = models.TextField(default="", blank=True)
    revision = models.CharField(max_length=64, default="", blank=True)
    trigger_from_name = _name(default="", blank=True)
    attempts = models.IntegerField(default=1)
    created = models.DateTimeField(default=timezone.now)
    fixed = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created", "-pk"]
        permissions = [
            ("retry_pipelineerror", "Can run the items of errors again"),
            ("ignore_pipelineerror", "Can ignore errors"),
        ]
        indexes = [
            models.Index(fields=["pipeline_name", "item_type", "item_id"], name="penstock_err_item")
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_name}: {self.error_type}: {self.message}"[:200]

    @property
    def item(self) -> Any:
        """The item, as it is now; None when it is gone, or was never kept."""
        from .items import item_of

        return item_of(self)

    @property
    def same_errors(self) -> Any:
        """The errors that are not fixed yet and happened at the same place, this one among them."""
        return PipelineError.objects.filter(
            stack_hash=self.stack_hash, pipeline_name=self.pipeline_name, fixed=None
        )

    @property
    def same_error_items(self) -> list[Any]:
        """The items of `same_errors` that are still there."""
        from .items import items_of

        return items_of(self.same_errors)

    def do_fix_it(
        self, items: Any = None, in_celery: bool = False, queue: str | None = None, **options: Any
    ) -> Any:
        """Run the pipeline again for `items`, or all of the same error. Errors of items that come
        through are fixed then; `options` are those of the session."""
        from .sessions import get_session

        chosen = self.same_error_items if items is None else items
        session = get_session(**{"debug": False, **options})
        if in_celery:
            return session.run_in_celery(chosen, self.pipeline_name, queue=queue)
        return session.run(chosen, self.pipeline_name)

    def ignore(self) -> int:
        """Call all of the same errors fixed, without running anything; how many there were."""
        return int(self.same_errors.update(fixed=timezone.now()))


class PipelineTrack(models.Model):
    """What an item gave in a pipeline: `created_info` is [[model, [primary keys]], …]."""

    pipeline_name = _name()
    item_type = models.ForeignKey(ContentType, models.CASCADE, related_name="+")
    item_id = models.CharField(max_length=255)
    created_info = models.JSONField(default=list, blank=True)
    result_type = models.ForeignKey(ContentType, models.SET_NULL, null=True, related_name="+")
    result_id = models.CharField(max_length=255, default="", blank=True)
    trigger_from_name = _name(default="", blank=True)
    kept = models.TextField(default="", blank=True)
    created_date = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(
                fields=["pipeline_name", "item_type", "item_id"], name="penstock_trk_item"
            ),
            models.Index(fields=["item_type", "item_id"], name="penstock_trk_of"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_name}: {self.item_type_id}/{self.item_id}"

    @property
    def item(self) -> Any:
        """The item; None when it is gone."""
        from .items import object_of

        return object_of(self.item_type_id, self.item_id)

    @property
    def result(self) -> Any:
        """What `process` returned, if it was a model object that is still there."""
        from .items import object_of

        return object_of(self.result_type_id, self.result_id)

    @property
    def created(self) -> list[Any]:
        """The objects that the item gave and that are still there."""
        from .tracking import created_by

        return created_by([self])

    def revert(self) -> None:
        """Delete what the item gave, here and in pipelines that went on from it, and the track."""
        self.revert_batch(self)

    @classmethod
    def revert_batch(cls, *tracks: PipelineTrack) -> None:
        """`revert` for several, in one transaction."""
        from .tracking import revert

        revert(tracks)

    def keep_and_delete(self) -> None:
        """Delete what the item gave, and keep a copy in the track that `re_insert` puts back."""
        from .tracking import keep_and_delete

        keep_and_delete(self)

    def re_insert(self) -> None:
        """Put back what `keep_and_delete` has deleted."""
        from .tracking import re_insert

        re_insert(self)
