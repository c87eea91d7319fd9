"""Where a pipeline is in a partition of a topic, and what it tells its group about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .library import load

__all__ = ["Told", "of_group", "read_told", "told"]

_OURS = "penstock:"
_ENDED = ";ended"


class Told:
    """What a group was told last of a partition: the offset to go on from, by which pipeline (empty
    for a program that is none of ours), and whether the stream had ended there."""

    def __init__(self, offset: int, by: str, ended: bool) -> None:
        self.offset, self.by, self.ended = offset, by, ended


def told(position: Mapping[str, Any], pipeline: str) -> Any:
    """A position as an offset of the group."""
    about = f"{_OURS}{pipeline}{_ENDED if position.get('ended') else ''}"
    # -1: the client library asks for ever when it has no leader epoch to send.
    return load().OffsetAndMetadata(position["offset"], about, -1)


def read_told(found: Any) -> Told | None:
    if found is None or found.offset < 0:
        return None
    about = found.metadata or ""
    by = about.removeprefix(_OURS).removesuffix(_ENDED) if about.startswith(_OURS) else ""
    return Told(found.offset, by, about.endswith(_ENDED))


def of_group(positions: Iterable[Any], cluster: str, pipeline: str) -> dict[Any, dict[Any, Any]]:
    """The offsets that are to be committed with the records made of what was read, by member.

    Of each group only those of the newest generation: others were kept by an earlier run, or are of
    partitions that have gone to somebody else.
    """
    kafka = load()
    ours = [
        one
        for one in positions
        if isinstance(one, dict) and one.get("cluster") == cluster and one.get("member")
    ]
    newest: dict[str, int] = {}
    for group, generation, _ in (one["member"] for one in ours):
        newest[group] = max(generation, newest.get(group, generation))
    made: dict[Any, dict[Any, Any]] = {}
    for position in ours:
        group, generation, member = position["member"]
        if generation == newest[group]:
            metadata = kafka.ConsumerGroupMetadata(group, generation, member, None)
            partition = kafka.TopicPartition(position["topic"], position["partition"])
            made.setdefault(metadata, {})[partition] = told(position, pipeline)
    return made
