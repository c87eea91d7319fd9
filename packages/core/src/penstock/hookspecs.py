"""Every hook that a plugin may implement.

The first group says what a plugin provides: each hook is called once and returns a mapping from a
name to the import string "module:Class", which is imported the first time a pipeline uses it. The
second group says what happens: results are ignored, and none is ever called per record.

    from penstock.hookspecs import hookimpl

    @hookimpl
    def penstock_inputs():
        return {"weather": "acme_weather.input:WeatherInput"}

An implementation may take any subset of a hook's arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .batch import Batch
    from .journal import Report
    from .runs import NodeRun, Run
    from .store import Checkpoint, DeadLetter

__all__ = ["EXTRAS", "PROJECT", "PROVIDERS", "Hooks", "hookimpl", "hookspec"]

PROJECT = "penstock"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

PROVIDERS: Mapping[str, str] = {
    "input": "penstock_inputs",
    "inspector": "penstock_inspectors",
    "transformer": "penstock_transformers",
    "output": "penstock_outputs",
    "broker": "penstock_brokers",
    "scheduler": "penstock_schedulers",
    "engine": "penstock_engines",
    "store": "penstock_stores",
    "dialect": "penstock_dialects",
    "syntax": "penstock_syntaxes",
    "command": "penstock_commands",
}
"""The hook through which each kind of thing is provided."""

EXTRAS = "penstock_extras"
"""The hook through which a plugin says what else its components may need."""


class Hooks:
    """The specifications; a plugin implements functions of the same names."""

    # ---- what I provide -------------------------------------------------------------------------

    @hookspec
    def penstock_inputs(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Inputs by name: `{"csv": "penstock_input_csv.input:CsvInput"}`."""

    @hookspec
    def penstock_inspectors(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Inspectors by name: `{"require": "penstock_quality.require:Require"}`."""

    @hookspec
    def penstock_transformers(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Transformers by name: `{"fields": "penstock_fields.fields:Fields"}`."""

    @hookspec
    def penstock_outputs(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Outputs by name: `{"json": "penstock_sink_json.output:JsonOutput"}`."""

    @hookspec
    def penstock_brokers(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Brokers by name; `use: stream` reads and writes their streams."""

    @hookspec
    def penstock_schedulers(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Schedulers by name: classes with `ticks(clock)`."""

    @hookspec
    def penstock_engines(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Engines by name: classes with `execute(run)`."""

    @hookspec
    def penstock_stores(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Stores by name: classes made from a folder, with the methods of `penstock.Store`."""

    @hookspec
    def penstock_dialects(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Dialects by name: classes with `recognises(document)` and `read(document)`."""

    @hookspec
    def penstock_syntaxes(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Syntaxes by file suffix without dot: `{"yaml": "penstock.syntaxes.yaml:YamlSyntax"}`."""

    @hookspec
    def penstock_commands(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Commands by name: modules' `"package.module:command"` objects, each with `HELP`,
        `arguments(parser)` and `run(arguments) -> int`."""

    @hookspec
    def penstock_extras(self) -> Mapping[str, Mapping[str, str]]:  # type: ignore[empty-body]
        """Extras of this distribution that values of options need, for `penstock requires`:
        `{"sql.url": {"postgresql*": "postgresql"}}` says that the component `sql` needs the extra
        `postgresql` when its option `url` is like `postgresql*`."""

    # ---- what happens ---------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def penstock_resolve(self, name: str) -> str | None:
        """The text for a placeholder `${name}` that nothing else knows, or None. The first answer
        counts. Called while a pipeline file is read, once per placeholder."""

    @hookspec
    def penstock_run_started(self, run: Run) -> None:
        """A run begins: everything is open, nothing is read yet."""

    @hookspec
    def penstock_batch_done(self, run: Run, node: NodeRun, batch: Batch) -> None:
        """`node` has worked on a batch; `batch` is what it passes on. Called on the thread of the
        node, often: return quickly."""

    @hookspec
    def penstock_record_failed(self, run: Run, node: NodeRun, letter: DeadLetter) -> None:
        """A record was set aside at `node`. The letter is kept whatever this does."""

    @hookspec
    def penstock_checkpoint_saved(self, run: Run, checkpoint: Checkpoint) -> None:
        """An epoch has ended and its checkpoint is durable."""

    @hookspec
    def penstock_run_finished(self, run: Run, report: Report) -> None:
        """A run has ended, well or not; everything is closed."""
