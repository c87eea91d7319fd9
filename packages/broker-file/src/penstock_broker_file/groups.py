"""Consumer groups: which member reads which partitions, and how far the group has come.

    groups/shop/
        members/7f3c…   one file for each member, locked while it lives
        0.lock          locked by the member that reads partition 0
        0.json          how far the group has come there, which pipeline says so, and which may
                        have committed more since

There is no coordinator. Each member looks who is there, from which follows which partitions should
be its own; it gives back those that should not, and takes those that are free. A member that dies
loses its locks, and others take over.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .locks import Lock, write_safely

__all__ = ["Group", "Kept"]

_LOOK_EVERY = 0.2


class Kept(NamedTuple):
    """How far a group has come in a partition, and the pipeline that noted it, if one has.
    `holders` are those that may have committed something there, the last one first."""

    position: Mapping[str, Any] | None
    by: str | None
    holders: Sequence[str]


class Group:
    """This process as a member of a group. `owned` are the partitions that are its own."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self.folder = folder
        self.partitions = partitions
        self.owned: dict[int, Lock] = {}
        self._look_at = 0.0
        self._members = folder / "members"
        self._members.mkdir(parents=True, exist_ok=True)
        # Members of one process too: they sort in the order in which they came.
        self._name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}"
        self._share: set[int] = set()
        self._join()

    def surplus(self) -> set[int]:
        """Partitions that are to be given back, looked up now and then."""
        now = time.monotonic()
        if now < self._look_at:
            return set()
        self._look_at = now + _LOOK_EVERY
        self._share = self._my_share()
        return self.owned.keys() - self._share

    def claim(self) -> set[int]:
        """Take the partitions of our share that are free: those that are new."""
        new = set()
        for number in self._share - self.owned.keys():
            lock = Lock(self.folder / f"{number}.lock")
            if lock.take(wait=False):
                self.owned[number] = lock
                new.add(number)
        return new

    def is_taken(self, number: int) -> bool:
        """Whether somebody reads a partition that is not ours."""
        lock = Lock(self.folder / f"{number}.lock")
        if not lock.take(wait=False):
            return True
        lock.release()
        return False

    def give_back(self, number: int) -> None:
        self.owned.pop(number).release()

    def kept(self, number: int) -> Kept | None:
        """How far the group has come in a partition."""
        try:
            found = json.loads(self._note(number).read_bytes())
        except FileNotFoundError:
            return None
        return Kept(found["position"], found["by"], found.get("holders", [found["by"]]))

    def keep(self, number: int, position: Mapping[str, Any], by: str) -> None:
        """Note durably how far the group has come in a partition of ours, as committed by us."""
        text = json.dumps({"position": position, "by": by})
        write_safely(self._note(number), text.encode())

    def enter(self, number: int, pipeline: str) -> Kept:
        """Note durably that from now on this pipeline, too, may commit something of a partition of
        ours; what was noted before."""
        before = self.kept(number) or Kept(None, None, [])
        if pipeline not in before.holders:
            now = before._replace(holders=[pipeline, *before.holders])
            write_safely(self._note(number), json.dumps(now._asdict()).encode())
        return before

    def _note(self, number: int) -> Path:
        return self.folder / f"{number}.json"

    def leave(self) -> None:
        for number in list(self.owned):
            self.give_back(number)
        (self._members / self._name).unlink(missing_ok=True)
        self._self.release()

    def _join(self) -> None:
        """Appear among the members with the lock already held, or somebody might think us dead."""
        coming = self.folder / f".{self._name}"
        self._self = Lock(coming)
        self._self.take()
        coming.rename(self._members / self._name)

    def _my_share(self) -> set[int]:
        """Every n-th partition, if there are n members."""
        names = sorted(path.name for path in self._members.iterdir())
        alive = [name for name in names if name == self._name or self._is_alive(name)]
        mine = alive.index(self._name)
        return {number for number in range(self.partitions) if number % len(alive) == mine}

    def _is_alive(self, name: str) -> bool:
        lock = Lock(self._members / name)
        if not lock.take(wait=False):
            return True
        (self._members / name).unlink(missing_ok=True)  # nobody holds it: its process is dead
        lock.release()
        return False
