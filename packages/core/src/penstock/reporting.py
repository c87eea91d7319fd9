"""What a run has to say of itself when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import RunError
from .failures import describe
from .journal import NodeReport, Report, balance_of

if TYPE_CHECKING:
    from .runs import Run

__all__ = ["check_balance", "report_of"]


def check_balance(run: Run) -> None:
    """Raise when the sums of a run that has read everything do not meet."""
    wrong = balance_of(_nodes(run), run.graph.edges, ended=True).errors
    if wrong:
        raise RunError(
            f"records were lost or made up: {wrong[0]}", hint="this is a fault in a plugin"
        )


def report_of(run: Run, seconds: float) -> Report:
    """The report of a run that is over, after so many seconds."""
    # Whoever read our output may have left, as `head` does: that is no failure of the run.
    left = run.error is not None and isinstance(run.error.__cause__ or run.error, BrokenPipeError)
    status = _status(run, left)
    if run.limit is not None:
        run.warnings.append(f"stopped {run.limit}; the next run goes on from there")
    run.warnings.extend(run.keys.warnings())
    nodes = _nodes(run)
    balance = balance_of(nodes, run.graph.edges, ended=status in ("ok", "letters"))
    if status in ("interrupted", "failed"):
        balance.held += max(0, balance.under_way)
    return Report(
        pipeline=run.pipeline,
        run_id=run.run_id,
        status=status,
        engine=run.engine_name,
        started=run.started,
        seconds=seconds,
        epochs=run.epochs,
        nodes=nodes,
        balance=balance,
        failures=sorted(run.failures.groups.values(), key=lambda group: -group.count),
        letters=run.failures.letters,
        positions=dict(run.positions),
        warnings=list(run.warnings),
        error=None if run.error is None or left else describe(run.error),
        config_hash=run.config_hash,
    )


def _status(run: Run, left: bool) -> str:
    if run.error is not None:
        return "interrupted" if left else "failed"
    if run.limit is not None:
        return "stopped"
    if run.stopping is not None:
        return "interrupted"
    return "letters" if run.failures.letters else "ok"


def _nodes(run: Run) -> list[NodeReport]:
    return [node.report() for node in run.nodes.values()]
