"""A session: runs pipelines over items, with what they depend on and what they trigger."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from django.conf import settings
from django.db import router, transaction
from django.db.models import Model, QuerySet

from penstock import MemoryStore, PluginError, Plugins, Report, UsageError
from penstock.build import pipeline_of
from penstock.runs import Run

from . import batches
from .inserting import create
from .items import Items
from .live import shown_live
from .pipes import Bag, Pipe
from .processing import Process, Results
from .registry import registry
from .tracking import revert
from .units import Unit

if TYPE_CHECKING:
    from .models import PipelineTrack

__all__ = ["Progress", "Session", "get_session"]

Progress = Callable[[str, int, int], None]
"""Told the pipeline, how many of its items are done, and how many there are."""

_CELERY = "penstock_celery.django.run_in_celery"


def get_session(**options: Any) -> Session:
    """A session; see `Session` for the options."""
    return Session(**options)


class Session:
    """Runs pipelines. One session has one `context`, which their pipes share.

    `debug` raises the first error of an item instead of keeping it; left out, it is the setting
    DEBUG. `chunksize` is how many items are read at a time, and how many results wait to be saved.
    `direct_save` saves each result at once. `atomic` makes a run one transaction, in which each
    item has a savepoint; without it each item has a transaction. `progress` is true for a line on
    standard error, or a function that is told of it. `using` is the database, which is that of the
    tables of penstock_django; `batch` is the run of many chunks that this session does one of.
    """

    unit: Unit | None
    """The item that is being processed saves through this."""

    def __init__(
        self,
        context: dict[str, Any] | None = None,
        debug: bool | None = None,
        chunksize: int = 2000,
        direct_save: bool = False,
        atomic: bool = True,
        trigger_from_name: str | None = None,
        mode: str | None = None,
        progress: bool | Progress = False,
        using: str = "default",
        batch: str | None = None,
    ) -> None:
        if mode is not None:
            raise UsageError(
                f"there is no session of mode {mode!r}",
                where="get_session",
                hint="leave it out; run_in_celery works on several machines",
            )
        if chunksize < 1:
            raise UsageError(
                f"chunksize must be at least 1, got {chunksize!r}", where="get_session"
            )
        _refuse_two_databases(using)
        self.context = Bag(context or {})
        self.debug = settings.DEBUG if debug is None else debug
        self.chunksize = chunksize
        self.direct_save = direct_save
        self.atomic = atomic
        self.trigger_from_name = trigger_from_name
        self.using = using
        self.batch = batch
        self.unit = None
        self.results: list[Any] = []
        """What the pipeline that was run last gave."""
        self._progress = _Line(sys.stderr) if progress is True else progress or None
        self._running: list[tuple[str, Items]] = []
        self._done = 0
        self._reports: list[Report] = []
        registry.discover()

    @property
    def options(self) -> dict[str, Any]:
        """The options that a session elsewhere needs to work as this one does; all of it JSON."""
        names = ["debug", "chunksize", "direct_save", "atomic", "trigger_from_name"]
        return {name: getattr(self, name) for name in names}

    # ---- running --------------------------------------------------------------------------------

    def run(self, items: Any, name: Any = None, *, pipe: type[Pipe] | None = None) -> Report | None:
        """Run a pipeline over items: a queryset, a list or tuple, or one item.

        Also `run(name, items)`. Left out, the name is what `get_default_pipe_name()` of the items,
        or of the first of them, says; `pipe` is run without a name. The report says what became of
        the items; there is none if there were no items. Raises PipeError when a pipe did, and
        everything is rolled back then.
        """
        items, name = _in_order(items, name)
        items = _as_items(items)
        first = _first_of(items)
        if first is None:
            return None
        if pipe is not None:
            name, cls = f"{pipe.__module__}.{pipe.__qualname__}", pipe
        else:
            name, cls = registry.find(name or _default_name(items, first))
        self._reports = []
        try:
            with transaction.atomic(self.using) if self.atomic else nullcontext():
                report = self._run(name, cls, items, self.trigger_from_name or "")
        finally:
            self._running.clear()
            self._keep_reports()
        return report

    def run_in_celery(
        self, items: Any, name: Any = None, celery_chunksize: int = 10, queue: str | None = None
    ) -> Any:
        """Run a pipeline over items in workers of Celery, each chunk in a session of its own.

        It is done by the function that the setting PENSTOCK_RUN_IN_CELERY names, that of
        penstock-engine-celery if nothing is set: it is given this session's `options` and the run
        that is kept of all chunks, the items, the pipeline's stored name, the chunk's size and the
        queue. What it returns is returned.
        """
        from django.utils.module_loading import import_string

        items, name = _in_order(items, name)
        if celery_chunksize < 1:
            raise UsageError(
                f"celery_chunksize must be at least 1, got {celery_chunksize!r}",
                where="run_in_celery",
            )
        items = _as_items(items)
        first = _first_of(items)
        if first is None:
            return None
        route, _ = registry.find(name or _default_name(items, first))
        place = getattr(settings, "PENSTOCK_RUN_IN_CELERY", _CELERY)
        try:
            run = import_string(place)
        except ImportError as error:
            raise PluginError(
                f"items cannot be run in Celery: {error}",
                hint="pip install penstock-engine-celery, or name a function in "
                "PENSTOCK_RUN_IN_CELERY",
            ) from error
        count = items.count() if isinstance(items, QuerySet) else len(items)
        chunks = -(-count // celery_chunksize)
        with transaction.atomic(self.using):
            run_id = batches.begin(route, count, chunks, self.using)
            name = run({**self.options, "batch": run_id}, items, route, celery_chunksize, queue)
            batches.name_it(run_id, str(name or ""), self.using)
        return name

    def _run(self, name: str, cls: type[Pipe], items: Any, trigger: str) -> Report:
        """Run what it depends on, the pipeline itself, and what it triggers."""
        if any(running == name for running, _ in self._running):
            chain = " → ".join([*(running for running, _ in self._running), name])
            raise UsageError(f"pipelines go round in a circle: {chain}", where=name)
        self._running.append((name, Items(items, self.chunksize)))
        for needed in _depends(cls):
            self._run(*registry.find(needed), items, "")
        process, results, report = self._process(name, cls, items, trigger)
        triggered = self._trigger(name, results)
        self._revert_left(process.left, triggered)
        self._running.pop()
        self.results = results
        return report

    def _process(
        self, name: str, cls: type[Pipe], items: Any, trigger: str
    ) -> tuple[Process, list[Any], Report]:
        local = Bag()
        head = cls(self, local)
        prepared = _as_items(head.prepare(items))
        self._save(head)
        source = Items(prepared, self.chunksize)
        self._running[-1], self._done = (name, source), 0
        process, output = Process(self, name, cls, local, trigger), Results()
        report = self._execute(name, source, process, output)
        tail = cls(self, local)
        tail.finish(output.values)
        self._save(tail)
        return process, output.values, report

    def _execute(self, name: str, source: Items, process: Process, output: Results) -> Report:
        plan = pipeline_of([[source, process, output]], Plugins(discover=False), name=name)
        plan.spec.components["process"].settings.on_error = "skip"  # their errors have rows here
        run: Run = plan.start(store=MemoryStore())
        run.failures.breaker = False
        with self._shown(run, process, source):
            report = run.execute()
        self._reports.append(report)
        if process.fatal is not None:
            raise process.fatal
        if run.error is not None:
            raise run.error
        return report

    def _shown(self, run: Run, process: Process, source: Items) -> AbstractContextManager[None]:
        """Says how far it is; one of many chunks is part of what another run says."""
        if self.batch is not None:
            return nullcontext()
        return shown_live(run, self.using, lambda: {"done": process.seen, "total": source.total})

    def _save(self, pipe: Pipe) -> None:
        """Save what `prepare` or `finish` gave; it is of no item, so it is not tracked."""
        create(self.using, pipe._to_save)

    def _trigger(self, name: str, results: Sequence[Any]) -> list[Any]:
        """Run the pipelines that go on with model objects; these are returned."""
        objects = [one for one in results if isinstance(one, Model) and one.pk is not None]
        for route in registry.triggered_by(name) if objects else ():
            self._run(route, registry.find(route)[1], objects, name)
        return objects

    def _revert_left(self, left: Sequence[PipelineTrack], given: Sequence[Any]) -> None:
        """Take back what triggered pipelines made of items that they were not given again."""
        from .items import key_of

        again = {key_of(one) for one in given}
        revert(track for track in left if (track.item_type_id, track.item_id) not in again)

    def _keep_reports(self) -> None:
        """Keep the reports, also of a run that was rolled back."""
        from .store import put_report

        reports, self._reports = self._reports, []
        if self.batch is not None:
            batches.add(self.batch, reports, self.using)
            return
        for report in reports:
            put_report(report.to_dict(), self.using)

    # ---- what takes part calls ------------------------------------------------------------------

    def processed(self, name: str, count: int) -> None:
        """Called with each chunk that is done."""
        self._done += count
        if self._progress is not None:
            self._progress(name, self._done, self._running[-1][1].total)


class _Line:
    """Shows progress as a line: how many are done, how fast, and how long the rest will take."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.begun: dict[str, float] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        seconds = max(monotonic() - self.begun.setdefault(name, monotonic()), 1e-9)
        rate = done / seconds
        end = "\n" if done >= total else ""
        text = f"\r{name}: {done} of {total} items"
        if seconds > 0.01:
            text += f", {rate:.0f}/s, {max(total - done, 0) / rate:.0f} s left"
        self.stream.write(text + end)
        self.stream.flush()


def _refuse_two_databases(using: str) -> None:
    """What is saved here and tracked there could not be rolled back together."""
    from .models import PipelineTrack

    there = router.db_for_write(PipelineTrack)
    if using != there:
        raise UsageError(
            f"the database {using!r} has not the tables of penstock_django, which are in {there!r}",
            where="get_session",
            hint="leave using out, or have a database router put both into one",
        )


def _in_order(items: Any, name: Any) -> tuple[Any, Any]:
    """Items and name, whichever came first; of two texts the name is that of a pipeline."""
    if not isinstance(items, str) or name is None:
        return items, name
    if isinstance(name, str) and (registry.resolve(name) or not registry.resolve(items)):
        return items, name
    return name, items


def _as_items(items: Any) -> Any:
    if isinstance(items, (QuerySet, list, tuple)):
        return items
    if isinstance(items, (str, bytes, dict)) or not isinstance(items, Iterable):
        return [items]
    return list(items)


def _first_of(items: Any) -> Any:
    if isinstance(items, QuerySet):
        return items.first() if not items.query.is_sliced else next(iter(items), None)
    return items[0] if items else None


def _default_name(items: Any, first: Any) -> str:
    for one in (items, first):
        if hasattr(one, "get_default_pipe_name"):
            return str(one.get_default_pipe_name())
    raise UsageError(
        "which pipeline?",
        where="Session.run",
        hint="name it, or give the items a get_default_pipe_name()",
    )


def _depends(cls: type[Pipe]) -> list[str]:
    """What a pipe and those it inherits from depend on, in that order, each once."""
    found: dict[str, None] = {}
    for one in reversed(cls.__mro__):
        names = one.__dict__.get("depends", ())
        found.update(dict.fromkeys([names] if isinstance(names, str) else names))
    return list(found)
