"""One record for each key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import compress
from types import NoneType
from typing import Any, ClassVar, Literal

from penstock import Batch, Context, RunError, Transformer, component, option

from .holding import Held, dropped, failed, freeze, give_up, thaw
from .picking import Picked, names, one_or_more_names, pick, reader

__all__ = ["Dedupe"]

_DIGEST = 16


def _positive(value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError("must be at least 1")


def _key_names(value: str | list[str] | None) -> None:
    if value is not None:
        one_or_more_names(value)


@component
class Dedupe(Transformer):
    """Pass on one record for each value of `key` and drop the others.

    The first one is passed on at once; the last one when the stream has ended, or with `within`
    when so many further records have come.
    """

    mutates: ClassVar[bool] = False

    key: str | list[str] | None = option(
        default=None,
        help="The field or fields that must differ; the whole record if left out.",
        check=_key_names,
        example="id",
    )
    keep: Literal["first", "last"] = option(
        default="first", help="Which of the records with one key to pass on."
    )
    within: int | None = option(
        default=None,
        help="Compare a record only with so many records before it, so that memory is bounded.",
        check=_positive,
        example=10_000,
    )
    partitioned: bool = option(
        default=False,
        help="Every partition of the input has keys of its own, which go where it goes: several "
        "workers may share the partitions.",
    )
    max_keys: int = option(
        default=1_000_000, help="Stop the run rather than remember more keys.", check=_positive
    )

    def open(self, context: Context) -> None:
        super().open(context)
        read = _whole_record if self.key is None else reader(names(self.key))
        self._read: Callable[[Any], Any] = read
        self._memory: _Seen | _Recent | _Latest
        if self.keep == "last":
            self._memory = _Latest(self.within)
        elif self.within is not None:
            self._memory = _Recent(self.within)
        else:
            self._memory = _Seen()

    def process(self, batch: Batch) -> Iterable[Batch]:
        picked = _hashable(pick(self._read, batch))
        yield from self._memory.process(picked, batch.source)
        yield from failed(batch.source, picked.failures)
        if self._memory.size() > self.max_keys:
            raise RunError(
                f"there are more than {self.max_keys} different keys to remember",
                where=self.context.name,
                hint="raise max_keys, or give within to compare only records that are close",
            )

    def finish(self) -> Iterable[Batch]:
        return self._memory.finish()

    def snapshot(self) -> Any:
        return self._memory.snapshot(self.context.name)

    def restore(self, state: Any) -> None:
        self._memory.restore(state)


class _Seen:
    """Every key there was. Passes on the first record of each, also in the runs that follow."""

    def __init__(self) -> None:
        self._keys: set[Any] = set()
        self._fresh: list[Any] = []
        self._frozen: list[str] = []

    def size(self) -> int:
        return len(self._keys)

    def process(self, picked: Picked, source: str) -> Iterator[Batch]:
        keys, add = self._keys, self._keys.add
        flags = [key not in keys and not add(key) for key in picked.values]
        self._fresh.extend(compress(picked.values, flags))
        yield Batch(picked.records, source, picked.ordinals).keep(flags)

    def finish(self) -> Iterable[Batch]:
        return ()

    def snapshot(self, where: str) -> Any:
        # Keys are only ever added, so each checkpoint encodes those that came since the last one.
        if self._fresh:
            self._frozen.append(freeze(self._fresh, where))
            self._fresh = []
        return {"seen": list(self._frozen)}

    def restore(self, state: Any) -> None:
        self._frozen = list(state["seen"])
        self._keys = {key for part in self._frozen for key in thaw(part)}


class _Recent:
    """The keys of the last `within` records."""

    def __init__(self, within: int) -> None:
        self._within = within
        self._count = 0
        self._last: dict[Any, int] = {}

    def size(self) -> int:
        return 0

    def process(self, picked: Picked, source: str) -> Iterator[Batch]:
        last, within = self._last, self._within
        flags = []
        for number, key in enumerate(picked.values, self._count + 1):
            flags.append(number - last.get(key, -within) > within)
            last[key] = number
        self._count += len(flags)
        if len(last) > 2 * within + 1000:
            self._forget()
        yield Batch(picked.records, source, picked.ordinals).keep(flags)

    def _forget(self) -> None:
        oldest = self._count - self._within
        self._last = {key: count for key, count in self._last.items() if count > oldest}

    def finish(self) -> Iterable[Batch]:
        return ()

    def snapshot(self, where: str) -> Any:
        self._forget()
        return {"count": self._count, "recent": freeze(list(map(list, self._last.items())), where)}

    def restore(self, state: Any) -> None:
        self._count = state["count"]
        self._last = dict(thaw(state["recent"]))


class _Latest:
    """The last record of each key: of all, or until `within` further records have come."""

    def __init__(self, within: int | None) -> None:
        self._within = within
        self._count = 0
        self._held: dict[Any, tuple[int, Held]] = {}

    def size(self) -> int:
        return len(self._held) if self._within is None else 0

    def process(self, picked: Picked, source: str) -> Iterator[Batch]:
        held, within = self._held, self._within
        replaced: dict[str, int] = {}
        settled: list[Held] = []
        for key, record, ordinal in zip(picked.values, picked.records, picked.ordinals):
            self._count += 1
            earlier = held.pop(key, None)
            if earlier is not None:
                replaced[earlier[1].source] = replaced.get(earlier[1].source, 0) + 1
            held[key] = (self._count, Held(source, ordinal, record))
            if within is not None:
                oldest = next(iter(held))  # a key that comes again moves to the end
                if held[oldest][0] <= self._count - within:
                    settled.append(held.pop(oldest)[1])
        yield from dropped(replaced)
        yield from give_up(settled)

    def finish(self) -> Iterable[Batch]:
        held, self._held = self._held, {}
        return give_up(entry for _, entry in held.values())

    def snapshot(self, where: str) -> Any:
        held = [[key, count, *entry] for key, (count, entry) in self._held.items()]
        return {"count": self._count, "held": freeze(held, where)}

    def restore(self, state: Any) -> None:
        self._count = state["count"]
        self._held = {key: (count, Held(*entry)) for key, count, *entry in thaw(state["held"])}


def _whole_record(record: Any) -> bytes:
    """A digest of a record, so that remembering it costs the same whatever its size.

    Two different records share a digest of 16 bytes with a chance of one in 10^24 among ten
    million of them. Other than in a key, 1 and 1.0 and True differ here.
    """
    flat = type(record) is dict and _FLAT.issuperset(map(type, record.values()))
    if flat and set(map(type, record)) == {str}:
        frozen: Any = sorted(record.items())
    else:
        frozen = _frozen(record)
    text = repr(frozen).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=_DIGEST).digest()


_FLAT = frozenset({str, int, float, bool, NoneType})


def _hashable(picked: Picked) -> Picked:
    try:
        list(map(hash, picked.values))
    except TypeError:
        return picked._replace(values=list(map(_frozen, picked.values)))
    return picked


def _frozen(value: Any) -> Any:
    """Something hashable that is equal for equal values, whatever the order of their fields."""
    if isinstance(value, Mapping):
        pairs = [(repr(key), _frozen(one)) for key, one in value.items()]
        return ("{}", *sorted(pairs, key=lambda pair: pair[0]))
    if isinstance(value, list):
        return ("[]", *map(_frozen, value))
    if isinstance(value, tuple):
        return tuple(map(_frozen, value))
    if isinstance(value, (set, frozenset)):
        return ("set", *sorted(map(repr, value)))
    return value
