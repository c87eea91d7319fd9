"""Whether a pipeline can be run in chunks at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock import ConfigError, Input, Output, Problem, Stage, UsageError

if TYPE_CHECKING:
    from penstock.runs import NodeRun, Run

__all__ = ["check_fitness"]


def check_fitness(run: Run) -> None:
    """Refuse a run that several processes cannot do together, with every reason."""
    for given, argument in ((run.reparse, "--reparse"), (run.max_records, "--max-records")):
        if given:
            raise UsageError(
                "the engine 'celery' cannot do this", where=argument, hint="use another engine"
            )
    problems = [
        Problem(what, node.name, hint=hint)
        for node in run.nodes.values()
        for what, hint in _wrong(node)
    ]
    committing = [node.name for node in run.outputs if _level(node.component) == "transactional"]
    if len(committing) > 1:
        what = f"commits apart from {committing[0]}, and a chunk has no folder to make them agree"
        problems.append(Problem(what, committing[1], hint="write to one of them"))
    if problems:
        raise ConfigError(problems)


def _wrong(node: NodeRun) -> Iterator[tuple[str, str]]:
    one: Any = node.component
    if isinstance(one, Input):
        if type(one).split is Input.split:
            yield "cannot be split into chunks", "read a table, or use another engine"
        elif not one.finite:
            yield "goes on where it stood, which chunks cannot", "leave out its cursor"
    elif isinstance(one, Output):
        if _level(one) == "rewindable":
            yield "takes one writer, not several workers", "write to a table or a stream"
        elif one.replaces:
            yield "replaces all that was there, and so would every chunk", "append or upsert"
    elif isinstance(one, Stage) and type(one).snapshot is not Stage.snapshot:
        # Whatever its options are: a sample that keeps nothing goes by source and ordinal, which in
        # chunks are others than in the whole.
        yield "keeps state, and each chunk would have its own", "do this in a pipeline behind it"


def _level(component: Any) -> str:
    level: str = component.delivery
    return level
