"""The roles that touch data, and the base classes that their authors start from.

A constructor only keeps options; `open` acquires, `close` releases. The run promises to call one
component from one thread at a time.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from .batch import Batch, Failure, each, expand, inspect_each
from .errors import PluginError, RunError
from .options import component, option
from .schedule import Clock, SystemClock

if TYPE_CHECKING:
    import logging
    import random
    from pathlib import Path

    from .store import Checkpoint

__all__ = [
    "BATCH_SIZE",
    "Component",
    "Context",
    "Input",
    "Inputs",
    "Inspector",
    "Output",
    "RecordInput",
    "Retraction",
    "Stage",
    "TransactionalOutput",
    "Transformer",
    "from_function",
]

BATCH_SIZE = 512
"""Records in a batch. Fewer than 256 pay for the hand-overs, 4 096 and more for cache misses."""


class Context:
    """What a run gives to a component when it opens it. `state` is the folder of what outlives a
    run, None where it has none. `epoch` is the number of the epoch that is being written; the
    numbers of a pipeline grow from run to run. `epoch_seconds` is how long it lasts at most:
    infinite when time does not end it, None outside of a run.

    `shared` says whether another process may be given the same records after this one has died, as
    a member of a group is: then source and ordinal alone say which record a result is of.

    `moves` says whether partitions of the run's inputs move between processes with the states that
    belong to them: an input then yields `Moves`."""

    def __init__(
        self,
        name: str = "",
        *,
        pipeline: str = "",
        run_id: str = "",
        clock: Clock | None = None,
        observations: dict[str, Any] | None = None,
        state: Path | None = None,
        epoch_seconds: float | None = None,
        shared: bool = False,
        moves: bool = False,
    ) -> None:
        self.name = name
        self.state = state
        self.pipeline = pipeline
        self.run_id = run_id
        self.clock = clock or SystemClock()
        self.epoch = 0
        self.epoch_seconds = epoch_seconds
        self.shared = shared
        self.moves = moves
        self._observations = observations if observations is not None else {}

    @cached_property
    def logger(self) -> logging.Logger:
        """`penstock.<name of the component>`; the library never configures logging."""
        import logging  # 5 ms, and most components never log

        return logging.getLogger(f"penstock.{self.name}")

    @cached_property
    def random(self) -> random.Random:
        """A generator of this component's own, seeded by the run's id and the component's name."""
        import random

        return random.Random(f"{self.run_id}/{self.name}")

    def observe(self, name: str, value: Any) -> None:
        """Put a JSON value into the run's report, under this component and `name`."""
        self._observations[name] = value

    def observed(self, name: str) -> Any:
        """What was put there in this run; None when nothing was. Where every partition has a stage
        of its own, others of its kind may have put it there."""
        return self._observations.get(name)


class Component:
    """Something with options that can be opened and closed."""

    context: Context = Context()

    def open(self, context: Context) -> None:
        """Acquire what is needed. Called once, before any record; call it on super() first."""
        self.context = context

    def close(self) -> None:
        """Release what `open` acquired. Called once, whatever happened, also if `open` failed."""


class Input(Component):
    """Reads a source.

    `capability` says what reading again means:

    - "replayable": it can resume at any position it ever gave.
    - "redelivering": a broker gives unconfirmed messages again. It confirms them in `commit`, which
      comes after the checkpoint; so none is lost, and those that were committed and not yet
      confirmed come again. Only a keyed output makes that no difference, if the key is in the
      message.
    - "ephemeral": what was read is gone. `spool: true` keeps it in a log, which can be resumed.
    """

    capability: str = "replayable"
    finite: bool = True
    """Whether the source has an end. A finite one is read from its start by each new run; one that
    is a log goes on from its kept position."""
    shared: bool = False
    """Whether other processes may read it at the same time, each its share, as the members of a
    consumer group do."""
    hands_over: bool = False
    """Whether it can tell by `Moves` which partitions leave and come."""

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        """Yield batches from after `positions`, a mapping from source to its last `resume`.

        Yield None when nothing is ready now; return at the end of the stream. Records that cannot
        be read go into the batch's `failures`.
        """
        raise NotImplementedError

    def commit(self, positions: Mapping[str, Any]) -> None:
        """A hint that everything up to `positions` is safe; it may be lost, repeated or late. It
        comes from the run's thread, while `read` may be waiting on another."""

    def moved(self, positions: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to `Moves`, from the run's thread: what leaves may be given away, and what
        comes is read from after these positions, or from the start where there is none. Returns the
        positions to be kept in their place, for those which are to be others."""
        return {}

    def split(self, n: int) -> Sequence[Input]:
        """At most `n` inputs that together read the same records."""
        return [self]

    def partial(self) -> Batch | None:
        """What `read` has taken and not yet given while it waits for more. Asked for on another
        thread, when a run stops; what is given here does not come from `read` any more."""
        return None

    def progress(self) -> float | None:
        """How much is read, from 0 to 1, or None when the size is not known."""
        return None


class Inputs:
    """A note of the type of an option, as `Annotated[dict[str, Any], Inputs()]`: its values are
    inputs, which a file declares in place or by the names that they have under `inputs`.

    Their owner opens, reads and closes them. Records that fail, and positions, are the owner's.
    """

    name = "a mapping to inputs"


class RecordInput(Input):
    """An input whose author yields records one by one."""

    batch_size: ClassVar[int] = BATCH_SIZE

    def records(self, skip: int) -> Iterable[Any]:
        """Yield every record after the first `skip`."""
        raise NotImplementedError

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done = positions.get(self.context.name, 0)
        records = iter(self.records(done))
        while True:
            self._filling = filling = _Filling(done)
            batch = filling.records
            try:
                batch.extend(islice(records, self.batch_size))
            finally:  # what was read before an error still goes on its way
                if (rest := filling.rest()) is not None:
                    yield rest
            done += len(batch)
            if len(batch) < self.batch_size:
                return

    def partial(self) -> Batch | None:
        filling: _Filling | None = getattr(self, "_filling", None)
        return filling.rest() if filling is not None else None


class _Filling:
    """A batch that is being filled; whoever asks gets what nobody has had of it."""

    def __init__(self, done: int) -> None:
        self.records: list[Any] = []
        self._given = 0
        self._done = done
        self._lock = Lock()

    def rest(self) -> Batch | None:
        with self._lock:
            first, self._given = self._given, len(self.records)
        if first == self._given:
            return None
        last = self._done + self._given
        records = self.records[first : self._given]
        return Batch(records, "", range(self._done + first + 1, last + 1), last)


class Stage(Component):
    """Works on batches between inputs and outputs.

    Records that a stage cannot process go into the `failures` of a batch it yields; an exception
    that leaves `process` ends the run.
    """

    mutates: ClassVar[bool] = True
    """Whether records may be changed in place; then other branches get copies."""

    satisfied: bool = False
    """True once no further record can matter; when every path has such a stage, reading stops."""

    partitioned: bool = False
    """Whether every source has a state of its own. The run then works with a copy of this stage for
    each, made before it is opened, and the state of a partition goes where its partition goes. A
    stage that has it as an option leaves that to whoever writes the pipeline."""

    @property
    def keeps_state(self) -> bool:
        """Whether `snapshot` may give something, as the options are."""
        return type(self).snapshot is not Stage.snapshot

    def process(self, batch: Batch) -> Iterable[Batch]:
        """Answer for every record of `batch`, now or in a later batch (see `Batch.consumed`)."""
        raise NotImplementedError

    def idle(self, now: float) -> Iterable[Batch]:
        """Called while nothing arrives, with the time in seconds since the epoch."""
        return ()

    def finish(self) -> Iterable[Batch]:
        """The stream has ended well: give up what is held."""
        return ()

    def snapshot(self) -> Any:
        """The state as JSON, or None for a stage without one."""
        return None

    def restore(self, state: Any) -> None:
        """Take back what `snapshot` gave."""


class Transformer(Stage):
    """Changes, drops or adds records, one at a time."""

    def transform(self, record: Any) -> Any:
        """Return the record to pass on, or None to drop it; a generator yields any number."""
        raise NotImplementedError

    def process(self, batch: Batch) -> Iterable[Batch]:
        loop = expand if inspect.isgeneratorfunction(self.transform) else each
        yield loop(self.transform, batch)


class Inspector(Stage):
    """Reads records and may object to one. It is shown copies, so it cannot change data."""

    mutates: ClassVar[bool] = False

    def inspect(self, record: Any) -> None:
        """Raise, at best `RecordError`, to object to a record."""
        raise NotImplementedError

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield inspect_each(self.inspect, batch)


@dataclasses.dataclass(frozen=True)
class Retraction:
    """What an output is to take back: the results that it wrote in the epochs up to `epoch`.

    Left alone are those of the records in `keep`, as (source, ordinal), and those that came from
    the sources of the inputs in `spare`. With `only`, nothing but the results of these records is
    taken back.
    """

    epoch: int
    keep: Collection[tuple[str, int]] = ()
    spare: Sequence[str] = ()
    only: Collection[tuple[str, int]] | None = None


class Output(Component):
    """Writes to a destination.

    `delivery` is what may be promised: "append", "keyed", "rewindable" or "transactional".
    `replaces` says that a new run puts what it writes in the place of all that was there;
    `retracts` that it knows which record and epoch each result came from, and can take it back.
    """

    delivery: ClassVar[str] = "append"
    replaces: bool = False
    retracts: bool = False

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        """Write a batch; return the records that cannot be written, having written the others.

        Records must not be changed. An exception means that the output itself failed.
        """
        raise NotImplementedError

    def settles(self, source: Input) -> bool:
        """Asked about an input that is `shared`: whether its records are here once even when
        another process is given some again after this one has died. Of a transactional output also
        whether nothing of a partition can be committed here any more once it has gone to another
        process, so that the last checkpoint says where that one goes on."""
        return self.delivery == "keyed"

    def flush(self) -> None:
        """Make everything written so far durable."""

    def resume(self, mark: Any, epoch: int) -> None:
        """Called once, between `open` and the first write. `mark` is what `prepare` last gave: go
        on right after it and take back what was written since. None: begin with nothing."""

    def reopen(self, mark: Any, epoch: int) -> None:
        """Called in place of `resume` when the run before has ended well and records are added to
        what it wrote, as mended ones are. `mark` is what `prepare` gave when that run ended. Until
        the next `prepare`, a crash must leave what is complete as it is."""
        cls = type(self)
        if cls.finish is not Output.finish or cls.resume is not Output.resume:
            raise RunError(
                "nothing can be added to what a finished run has written",
                hint="run the pipeline again",
            )

    def prepare(self, epoch: int) -> Any:
        """An epoch ends: make what was written durable. A "rewindable" output returns a JSON mark,
        to which it can be cut back by `resume`; every other one returns None."""
        self.flush()
        return None

    def retract(self, what: Retraction) -> None:
        """At the end of a reparse, before the last epoch is committed: take back results that were
        not written again. In the transaction of that commit, if there is one; called again when a
        run died before it."""
        raise NotImplementedError

    def take_back(self, epoch: int) -> None:
        """Take back what was added after an epoch that somebody goes back to, in the transaction of
        the next commit, if there is one. What only changed, by its key, may stay: it is written
        again."""
        raise NotImplementedError

    def finish(self) -> None:
        """The run has ended well: complete what is written, as by moving a file into place. Called
        again when a run died before it could note that it was done."""


class TransactionalOutput(Output):
    """An output that commits its data and the checkpoint in one transaction.

    `tells_group` says that what a group has read of its input is committed along with it, so that
    only states need to be handed over when partitions move."""

    delivery: ClassVar[str] = "transactional"
    tells_group: bool = False

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        """The checkpoint that was last committed here."""
        raise NotImplementedError

    def checkpoint_of(self, pipeline: str) -> Checkpoint | None:
        """The checkpoint that another worker has last committed here, of which this one takes a
        partition over. Asked between two epochs; it must leave that worker alone."""
        return self.checkpoint(pipeline)

    def commit(self, checkpoint: Checkpoint) -> None:
        """Make what was written since the last commit visible, together with `checkpoint`.

        In the same transaction: raise FencedError when the checkpoint that is there has a higher
        generation, or an epoch that is not lower. When the reply is lost, look what is there before
        trying again.
        """
        raise NotImplementedError

    def prepare(self, epoch: int) -> Any:
        return None  # nothing is durable before `commit`


def from_function(role: str, function: Callable[..., Any], name: str) -> type[Component]:
    """A component class around a plain function; `name` is its "module:function".

    An input's function yields records; every other function takes a record first. The remaining
    parameters become options, required where they have no default.
    """
    base = _WRAPPERS[role]
    parameters = list(inspect.signature(function).parameters.values())
    if role != "input":
        if not parameters or parameters[0].kind not in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            raise PluginError(f"{name} must take a record as its first argument", where=name)
        parameters = parameters[1:]
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    hints = inspect.get_annotations(function, eval_str=True)
    body: dict[str, Any] = {
        "__doc__": inspect.getdoc(function) or f"The function {name}.",
        "__module__": __name__,
        "__annotations__": {p.name: hints.get(p.name, Any) for p in named},
        "function": staticmethod(function),
        "reference": name,
    }
    for parameter in named:
        default = dataclasses.MISSING if parameter.default is parameter.empty else parameter.default
        body[parameter.name] = option(help=f"Argument of {name}.", default=default)
    made: type[Component] = component(type(function.__name__, (base,), body))
    return made


class _Wrapped:
    role: ClassVar[str]
    reference: ClassVar[str]
    function: ClassVar[Callable[..., Any]]

    def arguments(self) -> dict[str, Any]:
        names: Iterable[str] = type(self).__annotations__
        return {name: getattr(self, name) for name in names}

    def call(self) -> Callable[..., Any]:
        arguments = self.arguments()
        return partial(self.function, **arguments) if arguments else self.function

    def __reduce__(self) -> Any:  # the class was made at run time and has no importable name
        return _rewrap, (self.role, self.reference, self.arguments())


def _rewrap(role: str, reference: str, arguments: dict[str, Any]) -> Any:
    from importlib import import_module

    module, _, attribute = reference.partition(":")
    return from_function(role, getattr(import_module(module), attribute), reference)(**arguments)


class _FunctionInput(_Wrapped, RecordInput):
    role = "input"

    def records(self, skip: int) -> Iterable[Any]:
        return islice(self.call()(), skip, None)


class _FunctionInspector(_Wrapped, Inspector):
    role = "inspector"

    def open(self, context: Context) -> None:
        super().open(context)
        self.inspect = self.call()  # type: ignore[method-assign]


class _FunctionTransformer(_Wrapped, Transformer):
    role = "transformer"

    def open(self, context: Context) -> None:
        super().open(context)
        self.transform = self.call()  # type: ignore[method-assign]


class _FunctionOutput(_Wrapped, Output):
    role = "output"

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        return inspect_each(self.call(), batch).failures


_WRAPPERS: Mapping[str, type[Component]] = {
    "input": _FunctionInput,
    "inspector": _FunctionInspector,
    "transformer": _FunctionTransformer,
    "output": _FunctionOutput,
}
