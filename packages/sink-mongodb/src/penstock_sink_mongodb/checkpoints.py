"""Checkpoints in the collection `penstock_checkpoints`, written in the transactions whose
documents they are about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from penstock import Checkpoint, FencedError, RunError

__all__ = ["COLLECTION", "Checkpoints", "identity"]

COLLECTION = "penstock_checkpoints"
_LARGEST = 16 * 1024**2 - 4096  # of a document, but for what else is in it


def identity(checkpoint: Checkpoint) -> tuple[int, int, str, bool]:
    """What tells a checkpoint from any other of its pipeline."""
    return (checkpoint.epoch, checkpoint.generation, checkpoint.run_id, checkpoint.finished)


class Checkpoints:
    """Those of one output, by pipeline."""

    def __init__(self, database: Database[dict[str, Any]], output: str, sure: WriteConcern) -> None:
        self.output = output
        self._in = database[COLLECTION]
        self._now = database.get_collection(
            COLLECTION,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
            write_concern=sure,
        )

    def _key(self, pipeline: str) -> dict[str, str]:
        return {"pipeline": pipeline, "output": self.output}

    def latest(self, pipeline: str) -> Checkpoint | None:
        """The checkpoint that was last committed here."""
        found = self._now.find_one({"_id": self._key(pipeline)})
        return None if found is None else Checkpoint.from_json(found["checkpoint"])

    def take_session(self, pipeline: str, session: Any) -> Any:
        """Note the session of the run that writes now; that of the one before, None if there was
        none."""
        key = {**self._key(pipeline), "what": "session"}
        before = self._now.find_one({"_id": key}) or {}
        self._now.replace_one({"_id": key}, {"session": session}, upsert=True)
        return before.get("session")

    def advance(self, session: ClientSession, checkpoint: Checkpoint, *, tried: bool) -> bool:
        """Put `checkpoint` in the place of the one of the epoch before; FencedError when that is
        not what is there, or is of a later generation. False when it is there already and was
        `tried` before, by a commit of which nobody knew what became of it."""
        key = self._key(checkpoint.pipeline)
        values = {
            "epoch": checkpoint.epoch,
            "generation": checkpoint.generation,
            "run_id": checkpoint.run_id,
            "checkpoint": _fitting(checkpoint.to_json()),
        }
        there = self._in.find_one({"_id": key}, session=session)
        if there is None:
            try:
                self._in.insert_one({"_id": key, **values}, session=session)
            except DuplicateKeyError as error:  # another run has just put its first one here
                raise FencedError(checkpoint.pipeline) from error
            return True
        if tried and identity(Checkpoint.from_json(there["checkpoint"])) == identity(checkpoint):
            return False
        follows = there["epoch"] == checkpoint.epoch - 1
        if not follows or there["generation"] > checkpoint.generation:
            raise FencedError(checkpoint.pipeline)
        # Who changes it at the same time meets a write conflict, begins anew and reads it again.
        self._in.update_one({"_id": key}, {"$set": values}, session=session)
        return True

    def finish(self, checkpoint: Checkpoint) -> None:
        """Note that the output is complete."""
        same = {"_id": self._key(checkpoint.pipeline), "epoch": checkpoint.epoch}
        done = replace(checkpoint, finished=True)
        self._now.update_one(same, {"$set": {"checkpoint": done.to_json()}})


def _fitting(text: str) -> str:
    size = len(text.encode())
    if size > _LARGEST:
        raise RunError(
            f"the checkpoint has {size:,} bytes, and a document holds 16 MiB",
            where=COLLECTION,
            hint='let stages remember less, or keep it with the runs by transactions: "off"',
        )
    return text
