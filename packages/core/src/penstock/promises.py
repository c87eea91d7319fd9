"""What may be promised of an input and an output that records pass between.

The only place that says so: `penstock check` prints it before a run, and the reference shows it
beside the tests that hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PROMISES", "SEVERAL", "TAKEN_OVER", "Promise", "promise"]


@dataclass(frozen=True)
class Promise:
    """What has become of the records when a run that was cut off has been started again: after its
    process was killed, after the power was cut, after a reply of the destination was lost. `needs`
    is what it rests on."""

    kill: str
    power_cut: str
    lost_reply: str
    needs: str


_ONCE = "every record is there once"
_REPEATS = "no record is lost; those of one epoch may be there again"
_AGAIN = "no record is lost; those that were not confirmed may be there again"
_CONFIRMED = (
    "messages are confirmed after the commit; `dedupe` by their id, before the output, "
    "makes it once"
)
_LOST = "records that were read and not yet written are lost"
_ANEW = "the run starts over; what it had read is lost, and is no longer where it was written"
_SAME = "the last state of every key is there"

PROMISES: dict[tuple[str, str], Promise] = {
    ("replayable", "transactional"): Promise(
        _ONCE, _ONCE, _ONCE, "the checkpoint in the output's transaction, compared before it is set"
    ),
    ("replayable", "rewindable"): Promise(
        f"{_ONCE}; who reads along may see some that are taken back",
        _ONCE,
        "no reply that could be lost",
        "nobody else writes there; what is durable stays so",
    ),
    ("replayable", "keyed"): Promise(
        _SAME, _SAME, _SAME, "the same record has the same key whenever it is read"
    ),
    ("replayable", "append"): Promise(_REPEATS, _REPEATS, _REPEATS, "nothing"),
    ("redelivering", "transactional"): Promise(_AGAIN, _AGAIN, _AGAIN, _CONFIRMED),
    ("redelivering", "rewindable"): Promise(
        _AGAIN, _AGAIN, "no reply that could be lost", _CONFIRMED
    ),
    ("redelivering", "keyed"): Promise(
        _SAME, _SAME, _SAME, "the same message has the same key whenever it is delivered"
    ),
    ("redelivering", "append"): Promise(
        _AGAIN, _AGAIN, _AGAIN, "messages are confirmed after the commit"
    ),
    **{
        ("ephemeral", delivery): Promise(
            _LOST, _LOST, _LOST, "nothing; `spool: true` makes the input replayable"
        )
        for delivery in ("transactional", "keyed", "append")
    },
    ("ephemeral", "rewindable"): Promise(
        _ANEW,
        _ANEW,
        "no reply that could be lost",
        "nothing; `spool: true` makes the input replayable",
    ),
}
"""By the input's capability and the output's delivery."""

SEVERAL = Promise(
    "every record is there once in each; between the first and the last of their commits they "
    "differ",
    "every record is there once in each",
    "every record is there once in each",
    "a state folder, in which an epoch is kept until every output has it",
)
"""Of several transactional outputs behind a replayable input."""

TAKEN_OVER = "no record is lost; those of its last epoch may be there again"
"""When a member of a group dies after its checkpoint and before the group was told, and others are
given what it has read. Of outputs that do not say otherwise, by `Output.settles`."""


def promise(capability: str, delivery: str, *, several: bool = False) -> Promise:
    """What is promised; `several` when other transactional outputs take part in the run.

    An unknown word promises as little as the weakest known one.
    """
    if several and (capability, delivery) == ("replayable", "transactional"):
        return SEVERAL
    weakest = PROMISES["ephemeral", "append"]
    return PROMISES.get((capability, delivery), PROMISES.get((capability, "append"), weakest))
