"""Pipeline files run with the store on the ORM, and their dead letters tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock import DeadLetter, PenstockError, Report, UsageError, load_pipeline
from penstock.claims import claim
from penstock.retries import choose, complete, retry

from .live import shown_live, state_folder
from .store import DjangoStore

__all__ = ["Retried", "file_of", "open_store", "retry_letters", "run_file", "sentence"]

Identity = tuple[str, str, int, str, int]


def open_store() -> DjangoStore:
    """The project's store; what no database keeps is in its state folder."""
    return DjangoStore(state_folder())


def run_file(file: str | Path, *, fresh: bool = False, engine: str | None = None) -> Report:
    """Run a pipeline file, on `engine` instead of the file's; a run that was cut off is resumed.
    The report says what came of it, also when it failed."""
    pipeline = load_pipeline(file, engine=engine)
    store = open_store()
    try:
        claim(store, pipeline.name, Path(file).absolute())
        run = pipeline.start(store=store, fresh=fresh)
        with shown_live(run):
            return run.execute()
    finally:
        store.close()


@dataclass
class Retried:
    """What came of dead letters: how many were `mended`, how many `failed` again, and the names of
    those that were `left` alone, with the reason."""

    mended: int = 0
    failed: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


def retry_letters(
    letters: Sequence[DeadLetter], mended: Mapping[Identity, str] | None = None, who: str = ""
) -> Retried:
    """Try letters again where they failed; `mended` are new records by the letters' identities, in
    JSON. `who` did it, as the stories of the records tell. Raises what ended the run: the letters
    stay open then."""
    made = Retried()
    store = open_store()
    try:
        for name in dict.fromkeys(letter.pipeline for letter in letters):
            theirs = [letter for letter in letters if letter.pipeline == name]
            _retry(store, name, theirs, mended or {}, made, who)
    finally:
        store.close()
    return made


def _retry(
    store: DjangoStore,
    name: str,
    letters: Sequence[DeadLetter],
    mended: Mapping[Identity, str],
    made: Retried,
    who: str,
) -> None:
    pipeline = load_pipeline(file_of(store, name))
    error = complete(pipeline, store)
    if error is not None:
        raise error
    graph = pipeline.graph()
    chosen = choose(letters, graph, store.checkpoint(name), mended=mended)
    made.left.extend((_name_of(letter), why) for letter, why in chosen.left)
    if not chosen.letters:
        return
    for what, some in (("mended", True), ("tried again", False)):
        theirs = [one for one in chosen.letters if (one.identity in mended) == some]
        store.note(theirs, what, who, [one.record for one in theirs] if some else [])
    run = retry(pipeline, chosen.letters, store, graph=graph)
    with shown_live(run):
        run.execute()
    if run.error is not None:
        raise run.error
    made.mended += run.mended
    made.failed += run.failures.letters


def file_of(store: DjangoStore, name: str) -> Path:
    """The file that a pipeline was run from. UsageError when that is not known, or it is gone."""
    claimed = store.claimed(name)
    file = (store.folder / claimed).resolve() if claimed else None
    if file is None or not file.is_file():
        raise UsageError(
            "the file of this pipeline is not known here",
            where=name,
            hint="run it once with `manage.py penstock run`",
        )
    return file


def _name_of(letter: Any) -> str:
    return f"{letter.source}:{letter.ordinal}@{letter.node}"


def sentence(error: Exception) -> str:
    """An error for people."""
    return str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
