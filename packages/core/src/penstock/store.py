"""What outlives a run: dead letters, checkpoints, kept reports and the index of record keys.

A store is given; `MemoryStore` serves embedded runs and tests, the SQLite store is the default of
the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .errors import PenstockError, RunError

__all__ = [
    "HISTORY",
    "Alive",
    "Checkpoint",
    "DeadLetter",
    "FencedError",
    "IndexedKey",
    "LeaseTakenError",
    "MemoryStore",
    "Store",
    "decode_record",
    "encode_record",
    "holds",
    "lease_taken",
]


HISTORY = 10
"""So many of a pipeline's last checkpoints are kept, to go back to."""

Alive = Callable[[str], "bool | None"]
"""Whether a lease's holder lives; None when that cannot be seen from here."""


@dataclass(frozen=True)
class DeadLetter:
    """A record that was set aside, and everything needed to understand it and to try again.

    (`pipeline`, `source`, `ordinal`, `node`, `part`) identifies it: writing it again replaces it.
    `part` tells several results of one source record apart that failed at the same node.
    `record` is the record as it entered `node`, in the JSON of `encode_record`. `first` and `last`
    are seconds since the epoch.
    """

    pipeline: str
    source: str
    ordinal: int
    node: str
    error: str
    message: str
    record: str
    run_id: str
    plugin: str = ""
    version: str = ""
    config_hash: str = ""
    attempts: int = 1
    first: float = 0.0
    last: float = 0.0
    part: int = 0

    @property
    def identity(self) -> tuple[str, str, int, str, int]:
        return (self.pipeline, self.source, self.ordinal, self.node, self.part)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on where an earlier one stopped; all of it is JSON.

    `positions` and `ordinals` (the last one done) by source, `states` by stage, `marks` and
    `counts` by node. `started` is when the first of the runs that led here began. `ended` says that
    the inputs had ended, `finished` that every output is complete as well. `generation` is that of
    the lease it was made under. `opened` and `closed` are the letters, as the values of their
    fields, that a commit to an output opens and closes: the store may learn of them only when the
    next run finds them there. `by_hand` says that a person has put this checkpoint into the store:
    it outweighs that of an output. `reparse` stands in the checkpoints of a reparse: what was
    written up to that epoch is taken back, at the end, where it was not written again. `engine` is
    the engine that alone understands the positions; "" is any that reads the inputs. `tenures`
    counts, by source, how often a partition that moves between processes has been taken over: of
    several checkpoints that know of it, the one with the highest is right.
    """

    pipeline: str
    run_id: str
    epoch: int
    generation: int = 0
    positions: Mapping[str, Any] = field(default_factory=dict)
    ordinals: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    started: float = 0.0
    ended: bool = False
    finished: bool = False
    config_hash: str = ""
    opened: Sequence[Sequence[Any]] = field(default_factory=list)
    closed: Sequence[Sequence[Any]] = field(default_factory=list)
    by_hand: bool = False
    reparse: int | None = None
    engine: str = ""
    tenures: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def from_json(cls, text: str) -> Checkpoint:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class IndexedKey:
    """Which record of which run carried a key; `key` is the text of the value."""

    pipeline: str
    run_id: str
    source: str
    ordinal: int
    key: str


class Store:
    """Keeps what a run must not lose. Every method may be called from one thread at a time.

    What a run changes names the generation of the lease it is done under, and is refused with
    `FencedError` when another run has taken the lease since.
    """

    def open(self) -> None:
        """Acquire the store; refuse one that a newer version has written."""

    def close(self) -> None:
        """Release it; called once."""

    # ---- leases ---------------------------------------------------------------------------------

    def lease(self, pipeline: str, holder: str, now: float, until: float, alive: Alive) -> int:
        """Take the pipeline's lease: its new generation. Raises `LeaseTakenError` while another
        holder is alive, or has not let it run out and nobody here can tell."""
        raise NotImplementedError

    def outrank(self, pipeline: str, generation: int, other: int) -> int:
        """Raise the lease's generation above `other`, which an output has seen and this store, put
        back to an older copy, has not: the new generation."""
        raise NotImplementedError

    def renew(self, pipeline: str, generation: int, until: float) -> None:
        """Keep the lease for longer."""
        raise NotImplementedError

    def release(self, pipeline: str, generation: int) -> None:
        """Give the lease back; nothing happens when another run has it."""
        raise NotImplementedError

    def claim(self, pipeline: str, file: str) -> None:
        """Note which file a pipeline of that name stands in."""
        raise NotImplementedError

    def claimed(self, pipeline: str) -> str | None:
        """The file that was noted for a pipeline."""
        raise NotImplementedError

    def holder(self, pipeline: str) -> tuple[str, float] | None:
        """Who has the lease and until when; None when nobody has, or it was given back."""
        raise NotImplementedError

    # ---- progress -------------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        """The latest checkpoint of a pipeline."""
        raise NotImplementedError

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
        closed: Sequence[DeadLetter] = (),
    ) -> None:
        """Keep a checkpoint with the letters and keys of its epoch, and forget the letters that it
        has answered: durably and in one step. It ends the intent and the attempts at the epoch, and
        stands in the history until `HISTORY` later ones have come."""
        raise NotImplementedError

    def history(self, pipeline: str) -> list[Checkpoint]:
        """The last checkpoints, newest first."""
        raise NotImplementedError

    def forget_after(self, pipeline: str, generation: int, epoch: int) -> None:
        """Drop from the history what came after an epoch: somebody goes back to it."""
        raise NotImplementedError

    def keep(
        self,
        pipeline: str,
        generation: int,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        """Keep letters and keys of a pipeline ahead of their epoch's checkpoint."""
        raise NotImplementedError

    def forget(self, pipeline: str, generation: int) -> None:
        """Drop the checkpoint, the history, the intent and the attempts: the next run starts
        over."""
        raise NotImplementedError

    def put_intent(self, checkpoint: Checkpoint) -> None:
        """Note durably that the outputs are about to commit this checkpoint's epoch."""
        raise NotImplementedError

    def intent(self, pipeline: str) -> Checkpoint | None:
        """The epoch that was being committed when a run died, if one was."""
        raise NotImplementedError

    def attempt(self, pipeline: str, generation: int, place: str) -> int:
        """Count an attempt at `place` durably; the number of attempts since the last checkpoint."""
        raise NotImplementedError

    def withdraw(self, pipeline: str, generation: int, places: Iterable[str]) -> None:
        """Take back one attempt at each of these places, which was survived; nothing happens when
        another run has the lease."""
        raise NotImplementedError

    def attempts(self, pipeline: str) -> Mapping[str, int]:
        """The attempts since the last checkpoint, by place."""
        raise NotImplementedError

    # ---- letters, reports, keys -----------------------------------------------------------------

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        """The open letters, by pipeline, source and ordinal."""
        raise NotImplementedError

    def failed(self, pipeline: str, since: float) -> list[tuple[str, int, str]]:
        """Source, ordinal and node of each open letter that was last seen at that time or later."""
        return [
            (one.source, one.ordinal, one.node)
            for one in self.letters(pipeline)
            if one.last >= since
        ]

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        """Forget these letters; how many there were."""
        raise NotImplementedError

    def settle_letters(self, pipeline: str, before: float, sources: Iterable[str]) -> int:
        """Forget letters last seen before a time, of sources that were read to the end since."""
        raise NotImplementedError

    def keep_report(self, report: Mapping[str, Any]) -> None:
        """Keep the report of a run, as JSON; one with the same run id is replaced."""
        raise NotImplementedError

    def reports(self, pipeline: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Kept reports, newest first."""
        raise NotImplementedError

    def find_key(self, key: str, pipeline: str | None = None) -> list[IndexedKey]:
        """Every record that was read with this key, newest run first."""
        raise NotImplementedError


class LeaseTakenError(PenstockError):
    """Another run of the pipeline is under way."""


class FencedError(RunError):
    """Another run has taken the pipeline over; this one must not write any more."""

    def __init__(self, pipeline: str) -> None:
        super().__init__(
            "another run has taken this pipeline over",
            where=pipeline,
            hint="this run stops; nothing is written twice",
        )


def lease_taken(pipeline: str, holder: str) -> LeaseTakenError:
    """The error for a lease that somebody has."""
    return LeaseTakenError(
        f"another run is under way ({holder})",
        where=pipeline,
        hint="wait for it, or stop it",
    )


def holds(alive: bool | None, in_time: bool) -> bool:
    """Whether a lease's holder still has it. A process that lives here has, however late it is: it
    may wait for a slow destination, and would go on writing."""
    return in_time if alive is None else alive


class MemoryStore(Store):
    """Keeps everything in memory; `limit` bounds the letters and keys it holds."""

    def __init__(self, limit: int = 100_000) -> None:
        self.limit = limit
        self._letters: dict[tuple[str, str, int, str, int], DeadLetter] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._history: dict[str, dict[int, Checkpoint]] = {}
        self._intents: dict[str, Checkpoint] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._leases: dict[str, tuple[str, int, float]] = {}
        self._files: dict[str, str] = {}
        self._reports: dict[str, dict[str, Any]] = {}
        self._keys: list[IndexedKey] = []

    def lease(self, pipeline: str, holder: str, now: float, until: float, alive: Alive) -> int:
        other, generation, ends = self._leases.get(pipeline, ("", 0, 0.0))
        if other and holds(alive(other), ends > now):
            raise lease_taken(pipeline, other)
        self._leases[pipeline] = (holder, generation + 1, until)
        return generation + 1

    def outrank(self, pipeline: str, generation: int, other: int) -> int:
        self._fence(pipeline, generation)
        holder, _, until = self._leases[pipeline]
        self._leases[pipeline] = (holder, max(generation, other + 1), until)
        return max(generation, other + 1)

    def renew(self, pipeline: str, generation: int, until: float) -> None:
        self._fence(pipeline, generation)
        holder, _, _ = self._leases[pipeline]
        self._leases[pipeline] = (holder, generation, until)

    def release(self, pipeline: str, generation: int) -> None:
        if self._leases.get(pipeline, ("", 0, 0.0))[1] == generation:
            self._leases[pipeline] = ("", generation, 0.0)

    def claim(self, pipeline: str, file: str) -> None:
        self._files[pipeline] = file

    def claimed(self, pipeline: str) -> str | None:
        return self._files.get(pipeline)

    def holder(self, pipeline: str) -> tuple[str, float] | None:
        holder, _, until = self._leases.get(pipeline, ("", 0, 0.0))
        return (holder, until) if holder else None

    def _fence(self, pipeline: str, generation: int) -> None:
        if self._leases.get(pipeline, ("", 0, 0.0))[1] != generation:
            raise FencedError(pipeline)

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self._checkpoints.get(pipeline)

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
        closed: Sequence[DeadLetter] = (),
    ) -> None:
        self.keep(checkpoint.pipeline, checkpoint.generation, letters, keys)
        self.drop_letters(closed)
        self._end_attempts(checkpoint.pipeline)
        # Through JSON, as everywhere: a stage may go on changing the state it gave.
        kept = Checkpoint.from_json(checkpoint.to_json())
        self._checkpoints[checkpoint.pipeline] = kept
        history = self._history.setdefault(checkpoint.pipeline, {})
        history[kept.epoch] = kept
        for epoch in sorted(history)[:-HISTORY]:
            del history[epoch]

    def history(self, pipeline: str) -> list[Checkpoint]:
        history = self._history.get(pipeline, {})
        return [history[epoch] for epoch in sorted(history, reverse=True)]

    def forget_after(self, pipeline: str, generation: int, epoch: int) -> None:
        self._fence(pipeline, generation)
        history = self._history.get(pipeline, {})
        for later in [one for one in history if one > epoch]:
            del history[later]

    def keep(
        self,
        pipeline: str,
        generation: int,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        self._fence(pipeline, generation)
        if max(len(self._letters) + len(letters), len(self._keys) + len(keys)) > self.limit:
            raise MemoryError(
                f"more than {self.limit} dead letters or keys for a store in memory; give the run "
                "a state folder"
            )
        for letter in letters:
            earlier = self._letters.get(letter.identity)
            self._letters[letter.identity] = merged(letter, earlier)
        self._keys.extend(keys)

    def forget(self, pipeline: str, generation: int) -> None:
        self._fence(pipeline, generation)
        self._checkpoints.pop(pipeline, None)
        self._history.pop(pipeline, None)
        self._end_attempts(pipeline)

    def _end_attempts(self, pipeline: str) -> None:
        self._intents.pop(pipeline, None)
        for key in [key for key in self._attempts if key[0] == pipeline]:
            del self._attempts[key]

    def put_intent(self, checkpoint: Checkpoint) -> None:
        self._fence(checkpoint.pipeline, checkpoint.generation)
        self._intents[checkpoint.pipeline] = Checkpoint.from_json(checkpoint.to_json())

    def intent(self, pipeline: str) -> Checkpoint | None:
        return self._intents.get(pipeline)

    def attempt(self, pipeline: str, generation: int, place: str) -> int:
        self._fence(pipeline, generation)
        self._attempts[pipeline, place] = self._attempts.get((pipeline, place), 0) + 1
        return self._attempts[pipeline, place]

    def withdraw(self, pipeline: str, generation: int, places: Iterable[str]) -> None:
        if self._leases.get(pipeline, ("", 0, 0.0))[1] != generation:
            return
        for place in places:
            count = self._attempts.pop((pipeline, place), 0)
            if count > 1:
                self._attempts[pipeline, place] = count - 1

    def attempts(self, pipeline: str) -> Mapping[str, int]:
        return {place: n for (name, place), n in self._attempts.items() if name == pipeline}

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        found = [
            letter
            for letter in self._letters.values()
            if pipeline in (None, letter.pipeline) and run_id in (None, letter.run_id)
        ]
        return sorted(found, key=lambda letter: letter.identity)

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        gone = [self._letters.pop(letter.identity, None) for letter in letters]
        return len(gone) - gone.count(None)

    def settle_letters(self, pipeline: str, before: float, sources: Iterable[str]) -> int:
        again = set(sources)
        return self.drop_letters(
            letter
            for letter in self.letters(pipeline)
            if letter.last < before and letter.source in again
        )

    def keep_report(self, report: Mapping[str, Any]) -> None:
        self._reports[report["run_id"]] = dict(report)

    def reports(self, pipeline: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        kept = [one for one in self._reports.values() if pipeline in (None, one["pipeline"])]
        return kept[::-1][:limit]

    def find_key(self, key: str, pipeline: str | None = None) -> list[IndexedKey]:
        return [
            one for one in self._keys[::-1] if one.key == key and pipeline in (None, one.pipeline)
        ]


def merged(letter: DeadLetter, earlier: DeadLetter | None) -> DeadLetter:
    """A letter that replaces an earlier one of the same identity keeps when it was first seen, and
    when it was last seen if that is later: a run that was overtaken may still keep what it had."""
    if earlier is None:
        return letter
    attempts = earlier.attempts + letter.attempts
    return replace(
        letter, first=earlier.first, last=max(earlier.last, letter.last), attempts=attempts
    )


_LARGE = 2048  # bits; Python refuses to write much larger numbers as decimal text


def encode_record(record: Any) -> str:
    """A record as JSON text; values that JSON lacks are tagged so that they come back equal.

    What cannot come back is kept as {"$repr": text}, for people to read.
    """
    return json.dumps(_plain(record), ensure_ascii=False)


def decode_record(text: str) -> Any:
    """What `encode_record` was given, or the tagged value where it could not be kept."""
    return _rich(json.loads(text))


def _plain(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _LARGE:
        return {"$int": hex(value)}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        if _is_clean(value):
            return value
        # Not UTF-16, in which two surrogates side by side would come back as one character.
        return {"$surrogates": value.encode("utf-32-le", "surrogatepass").hex()}
    if isinstance(value, (list, tuple)):
        plain = [_plain(one) for one in value]
        return plain if isinstance(value, list) else {"$tuple": plain}
    if isinstance(value, dict):
        if all(isinstance(key, str) and _is_clean(key) for key in value) and not _tagged(value):
            return {key: _plain(one) for key, one in value.items()}
        return {"$dict": [[_plain(key), _plain(one)] for key, one in value.items()]}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": bytes(value).hex()}
    return _plain_special(value)


def _plain_special(value: Any) -> Any:
    from datetime import date, datetime, time
    from decimal import Decimal
    from uuid import UUID

    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, UUID):
        return {"$uuid": str(value)}
    for name, kind in (("$datetime", datetime), ("$date", date), ("$time", time)):
        if isinstance(value, kind):
            return {name: value.isoformat()}
    return {"$repr": repr(value)}


def _is_clean(text: str) -> bool:
    """Whether a text is free of surrogates, which no file and no database takes."""
    try:
        text.encode()
        return True
    except UnicodeEncodeError:
        return False


def _tagged(value: Mapping[Any, Any]) -> bool:
    return len(value) == 1 and str(next(iter(value))).startswith("$")


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(one) for one in value]
    if not isinstance(value, dict):
        return value
    if not _tagged(value):
        return {key: _rich(one) for key, one in value.items()}
    (tag, inner), *_ = value.items()
    return _untag(tag, inner)


def _untag(tag: str, inner: Any) -> Any:
    from datetime import date, datetime, time
    from decimal import Decimal
    from uuid import UUID

    if tag == "$tuple":
        return tuple(map(_rich, inner))
    if tag == "$dict":
        return {_rich(key): _rich(one) for key, one in inner}
    if tag == "$surrogates":
        return bytes.fromhex(inner).decode("utf-32-le", "surrogatepass")
    makers: dict[str, Callable[[str], Any]] = {
        "$bytes": bytes.fromhex,
        "$int": lambda text: int(text, 16),
        "$decimal": Decimal,
        "$uuid": UUID,
        "$datetime": datetime.fromisoformat,
        "$date": date.fromisoformat,
        "$time": time.fromisoformat,
    }
    return makers[tag](inner) if tag in makers else {tag: _rich(inner)}
