"""`penstock state rewind`: going back to an earlier checkpoint, or to the start."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..delivery import LEASE_SECONDS
from ..errors import UsageError
from ..graph import Node
from ..holder import alive, this_process
from ..store import Checkpoint
from .loading import Past, load
from .showing import confirm

__all__ = ["leased", "rewind"]

_WHERE = "penstock state rewind"


def rewind(past: Past, name: str, options: Any) -> int:
    """Go where the options say, after asking."""
    if options.delete_after and options.to is None:
        raise UsageError("--delete-after is for --to", where=_WHERE, hint="name the epoch")
    if options.to is not None:
        return _to_epoch(past, name, options)
    if options.to_start:
        return _to_start(past, name, options)
    raise UsageError("where to?", where=_WHERE, hint="add --to EPOCH or --to-start")


def _to_start(past: Past, name: str, options: Any) -> int:
    if not confirm(f"let the next run of {name} read everything again?", yes=options.yes):
        print("nothing was changed")
        return 0
    with leased(past, name) as generation:
        before = past.store.checkpoint(name)
        if before is not None:
            past.store.forget_after(name, generation, 0)
            past.store.save(
                Checkpoint(
                    name,
                    before.run_id,
                    before.epoch,
                    generation,
                    started=before.started,
                    ended=True,
                    finished=True,
                    by_hand=True,
                )
            )
    print("the next run begins at the start; what was written stays, and may be written again")
    return 0


def _to_epoch(past: Past, name: str, options: Any) -> int:
    target = _kept(past, name, options.to)
    pipeline = load(options)
    outputs = pipeline.graph().of_role("output")
    _refuse_completed(past, target, outputs)
    told = list(_consequences(outputs, delete_after=options.delete_after))
    if not options.json:
        print("\n".join(told))
    if not confirm(f"let the next run of {name} go on from epoch {target.epoch}?", yes=options.yes):
        print("nothing was changed")
        return 0
    if options.delete_after:
        _must_be_settled(past, name)
        pipeline.start(store=past.store).go_back(target)
    else:
        _put_there(past, target)
    print(f"the next run goes on from epoch {target.epoch}")
    return 0


def _kept(past: Past, name: str, epoch: int) -> Checkpoint:
    history = past.store.history(name)
    for one in history:
        if one.epoch == epoch:
            return one
    known = ", ".join(str(one.epoch) for one in reversed(history))
    hint = f"those that are kept are {known}" if known else "run the pipeline first"
    raise UsageError(f"epoch {epoch} is not kept", where=name, hint=hint)


def _refuse_completed(past: Past, target: Checkpoint, outputs: Sequence[Node]) -> None:
    """What has taken the place of the old cannot be added to in its middle."""
    later = [one for one in past.store.history(target.pipeline) if one.epoch > target.epoch]
    if target.finished or not any(one.finished for one in later):
        return
    whole = [node.name for node in outputs if getattr(node.component, "replaces", False)]
    if whole:
        raise UsageError(
            f"a run has ended since epoch {target.epoch}, and has put what it wrote into place",
            where=whole[0],
            hint="go back to the end of a run, or run the pipeline anew",
        )


def _consequences(outputs: Iterable[Node], *, delete_after: bool) -> Iterator[str]:
    """What becomes of what each output has."""
    for node in outputs:
        output: Any = node.component
        if output.delivery == "rewindable":
            yield f"{node.name} is cut back to there by the next run"
        elif output.retracts and delete_after:
            yield f"{node.name}: what was added since is deleted; the next run writes it again"
        elif output.retracts:
            yield (
                f"{node.name} keeps what was written since, and the next run writes it again; "
                "--delete-after deletes it"
            )
        elif output.delivery == "keyed":
            yield f"{node.name} keeps what was written since; the next run writes over it"
        else:
            yield f"{node.name} keeps what was written since, and the next run writes it again"


def _put_there(past: Past, target: Checkpoint) -> None:
    with leased(past, target.pipeline) as generation:
        newest = past.store.checkpoint(target.pipeline)
        epoch = max(target.epoch, newest.epoch if newest is not None else 0)
        past.store.forget_after(target.pipeline, generation, target.epoch)
        past.store.save(replace(target, epoch=epoch, generation=generation, by_hand=True))


@contextmanager
def leased(past: Past, name: str) -> Iterator[int]:
    """Be the only one to change the state; refused while a run is under way."""
    now = time.time()
    store = past.store
    generation = store.lease(name, this_process(), now, now + LEASE_SECONDS, alive)
    try:
        _must_be_settled(past, name)
        yield generation
    finally:
        store.release(name, generation)


def _must_be_settled(past: Past, name: str) -> None:
    if past.store.intent(name) is not None:
        raise UsageError(
            "an epoch is half committed",
            where=name,
            hint="run the pipeline once, which completes it",
        )
