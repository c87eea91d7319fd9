"""What outlives a run: dead letters, checkpoints, kept reports and the index of record keys.

A store is given; `MemoryStore` serves embedded runs and tests, the SQLite store is the default of
the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = [
    "Checkpoint",
    "DeadLetter",
    "IndexedKey",
    "MemoryStore",
    "Store",
    "decode_record",
    "encode_record",
]


@dataclass(frozen=True)
class DeadLetter:
    """A record that was set aside, and everything needed to understand it and to try again.

    (`pipeline`, `source`, `ordinal`, `node`) identifies it: writing it again replaces it.
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

    @property
    def identity(self) -> tuple[str, str, int, str]:
        return (self.pipeline, self.source, self.ordinal, self.node)


@dataclass(frozen=True)
class Checkpoint:
    """How far a pipeline has come: `positions` by source, `states` by stage."""

    pipeline: str
    run_id: str
    epoch: int
    positions: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexedKey:
    """Which record of which run carried a key; `key` is the text of the value."""

    pipeline: str
    run_id: str
    source: str
    ordinal: int
    key: str


class Store:
    """Keeps what a run must not lose. Every method may be called from one thread at a time."""

    def open(self) -> None:
        """Acquire the store; refuse one that a newer version has written."""

    def close(self) -> None:
        """Release it; called once."""

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        """Keep a checkpoint with the letters and keys of its epoch, durably and in one step."""
        raise NotImplementedError

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        """The latest checkpoint of a pipeline."""
        raise NotImplementedError

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        """The open letters, oldest first."""
        raise NotImplementedError

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        """Forget these letters; how many there were."""
        raise NotImplementedError

    def settle_letters(self, pipeline: str, run_id: str, sources: Iterable[str]) -> int:
        """Forget letters of earlier runs whose source `run_id` has read again from start to end."""
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


class MemoryStore(Store):
    """Keeps everything in memory; `limit` bounds the letters and keys it holds."""

    def __init__(self, limit: int = 100_000) -> None:
        self.limit = limit
        self._letters: dict[tuple[str, str, int, str], DeadLetter] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._reports: dict[str, dict[str, Any]] = {}
        self._keys: list[IndexedKey] = []

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        if (
            len(self._letters) + len(letters) > self.limit
            or len(self._keys) + len(keys) > self.limit
        ):
            raise MemoryError(
                f"more than {self.limit} dead letters or keys for a store in memory; give the run "
                "a state folder"
            )
        for letter in letters:
            earlier = self._letters.get(letter.identity)
            self._letters[letter.identity] = merged(letter, earlier)
        self._keys.extend(keys)
        self._checkpoints[checkpoint.pipeline] = checkpoint

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self._checkpoints.get(pipeline)

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        return [
            letter
            for letter in self._letters.values()
            if pipeline in (None, letter.pipeline) and run_id in (None, letter.run_id)
        ]

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        gone = [self._letters.pop(letter.identity, None) for letter in letters]
        return len(gone) - gone.count(None)

    def settle_letters(self, pipeline: str, run_id: str, sources: Iterable[str]) -> int:
        again = set(sources)
        return self.drop_letters(
            letter
            for letter in self.letters(pipeline)
            if letter.run_id != run_id and letter.source in again
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
    """A letter that replaces an earlier one of the same identity keeps when it was first seen."""
    if earlier is None:
        return letter
    return replace(letter, first=earlier.first, attempts=earlier.attempts + letter.attempts)


def encode_record(record: Any) -> str:
    """A record as JSON text; values that JSON lacks are tagged so that they come back equal.

    What cannot come back is kept as {"$repr": text}, for people to read.
    """
    return json.dumps(_plain(record), ensure_ascii=False)


def decode_record(text: str) -> Any:
    """What `encode_record` was given, or the tagged value where it could not be kept."""
    return _rich(json.loads(text))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        try:
            value.encode()
            return value
        except UnicodeEncodeError:
            return {"$surrogates": value.encode("utf-16", "surrogatepass").hex()}
    if isinstance(value, (list, tuple)):
        plain = [_plain(one) for one in value]
        return plain if isinstance(value, list) else {"$tuple": plain}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not _tagged(value):
            return {key: _plain(one) for key, one in value.items()}
        return {"$dict": [[_plain(key), _plain(one)] for key, one in value.items()]}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": bytes(value).hex()}
    return _plain_special(value)


def _plain_special(value: Any) -> Any:
    from datetime import date, datetime, time
    from decimal import Decimal

    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    for name, kind in (("$datetime", datetime), ("$date", date), ("$time", time)):
        if isinstance(value, kind):
            return {name: value.isoformat()}
    return {"$repr": repr(value)}


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

    if tag == "$tuple":
        return tuple(map(_rich, inner))
    if tag == "$dict":
        return {_rich(key): _rich(one) for key, one in inner}
    if tag == "$surrogates":
        return bytes.fromhex(inner).decode("utf-16", "surrogatepass")
    makers: dict[str, Callable[[str], Any]] = {
        "$bytes": bytes.fromhex,
        "$decimal": Decimal,
        "$datetime": datetime.fromisoformat,
        "$date": date.fromisoformat,
        "$time": time.fromisoformat,
    }
    return makers[tag](inner) if tag in makers else {tag: _rich(inner)}
