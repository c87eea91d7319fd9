"""The keys of the records that a run reads, so that a person can ask which run has read one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import IndexedKey

if TYPE_CHECKING:
    from .batch import Batch
    from .nodes import NodeRun

__all__ = ["Keys"]

_PENDING = 10_000


class Keys:
    """The keys that a run has met and not yet kept."""

    def __init__(self, pipeline: str, run_id: str) -> None:
        self.pipeline = pipeline
        self.run_id = run_id
        self._pending: list[IndexedKey] = []
        self._met: dict[NodeRun, bool] = {}  # whether any record of an input had its key

    def note(self, node: NodeRun, batch: Batch) -> bool:
        """Note the key of every record; whether so many are noted that they should be kept."""
        key = node.settings.key
        assert key is not None
        before = len(self._pending)
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            value = record.get(key) if isinstance(record, dict) else getattr(record, key, None)
            if value is not None:
                self._pending.append(
                    IndexedKey(self.pipeline, self.run_id, batch.source, ordinal, str(value))
                )
        if batch.records:
            self._met[node] = self._met.get(node, False) or len(self._pending) > before
        return len(self._pending) >= _PENDING

    def take(self) -> list[IndexedKey]:
        """The keys that are not kept yet; they are the caller's from now on."""
        taken, self._pending = self._pending, []
        return taken

    def warnings(self) -> list[str]:
        """A sentence for each input whose key no record had."""
        return [
            f"{node.name}: key is {node.settings.key!r}, which no record has"
            for node, met in self._met.items()
            if not met
        ]
