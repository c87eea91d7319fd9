"""Penstock moves records: Input → Inspectors and Transformers → Outputs.

    import penstock

    report = penstock.run("pipeline.yaml")
    report = penstock.run(CsvInput(path="in.csv"), Fields(where="n > 0"), JsonOutput(path="out"))

Everything public is listed in `__all__`; each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .batch import EPOCH_END, Batch, Failure, Moves, Noted, Rows, each, expand, inspect_each
    from .broker import Broker
    from .build import Pipeline, load_pipeline
    from .components import (
        BATCH_SIZE,
        Component,
        Context,
        Input,
        Inputs,
        Inspector,
        Output,
        RecordInput,
        Retraction,
        Stage,
        TransactionalOutput,
        Transformer,
    )
    from .errors import (
        ConfigError,
        ConnectError,
        PenstockError,
        Place,
        PluginError,
        Problem,
        RecordError,
        RunError,
        Skip,
        TransientError,
        UsageError,
    )
    from .hookspecs import hookimpl
    from .journal import Report
    from .options import ByteSize, Duration, component, option
    from .plugins import Plugins
    from .schedule import Clock, Scheduler, Tick
    from .spec import Document, PipelineSpec
    from .store import (
        Checkpoint,
        DeadLetter,
        FencedError,
        LeaseTakenError,
        MemoryStore,
        Store,
    )

__version__ = "0.1.0"

_HOMES = {
    "batch": (
        "EPOCH_END",
        "Batch",
        "Failure",
        "Moves",
        "Noted",
        "Rows",
        "each",
        "expand",
        "inspect_each",
    ),
    "broker": ("Broker",),
    "build": ("Pipeline", "load_pipeline"),
    "components": (
        "BATCH_SIZE",
        "Component",
        "Context",
        "Input",
        "Inputs",
        "Inspector",
        "Output",
        "RecordInput",
        "Retraction",
        "Stage",
        "TransactionalOutput",
        "Transformer",
    ),
    "errors": (
        "ConfigError",
        "ConnectError",
        "PenstockError",
        "Place",
        "PluginError",
        "Problem",
        "RecordError",
        "RunError",
        "Skip",
        "TransientError",
        "UsageError",
    ),
    "hookspecs": ("hookimpl",),
    "journal": ("Report",),
    "options": ("ByteSize", "Duration", "component", "option"),
    "plugins": ("Plugins",),
    "schedule": ("Clock", "Scheduler", "Tick"),
    "spec": ("Document", "PipelineSpec"),
    "store": (
        "Checkpoint",
        "DeadLetter",
        "FencedError",
        "LeaseTakenError",
        "MemoryStore",
        "Store",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BATCH_SIZE",
    "EPOCH_END",
    "Batch",
    "Broker",
    "ByteSize",
    "Checkpoint",
    "Clock",
    "Component",
    "ConfigError",
    "ConnectError",
    "Context",
    "DeadLetter",
    "Document",
    "Duration",
    "Failure",
    "FencedError",
    "Input",
    "Inputs",
    "Inspector",
    "LeaseTakenError",
    "MemoryStore",
    "Moves",
    "Noted",
    "Output",
    "PenstockError",
    "Pipeline",
    "PipelineSpec",
    "Place",
    "PluginError",
    "Plugins",
    "Problem",
    "RecordError",
    "RecordInput",
    "Report",
    "Retraction",
    "Rows",
    "RunError",
    "Scheduler",
    "Skip",
    "Stage",
    "Store",
    "Tick",
    "TransactionalOutput",
    "Transformer",
    "TransientError",
    "UsageError",
    "component",
    "each",
    "expand",
    "hookimpl",
    "inspect_each",
    "load_pipeline",
    "option",
    "run",
]


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"penstock.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def run(
    *what: str | Path | Component | Sequence[Component],
    settings: Iterable[str] = (),
    engine: str | None = None,
    store: Store | None = None,
    plugins: Plugins | None = None,
    name: str = "pipeline",
) -> Report:
    """Run a pipeline and return its report.

    `what` is a pipeline file; or components, which make one pipe; or lists of components, one for
    each pipe. Without a `store`, a file's run keeps its state in `.penstock` beside the file and a
    run of components in memory. Raises PenstockError when the run, or what it was given, failed;
    records that failed are in the report, not raised.
    """
    from .build import load_pipeline, pipeline_of

    if len(what) == 1 and (isinstance(what[0], str) or hasattr(what[0], "__fspath__")):
        file = cast("str | Path", what[0])
        return load_pipeline(file, plugins, settings=settings, engine=engine).run(store=store)
    if all(isinstance(one, (list, tuple)) for one in what):
        pipes = [list(cast("Sequence[Component]", one)) for one in what]
    else:
        pipes = [list(cast("tuple[Component, ...]", what))]
    if not pipes or not all(pipes):
        from .errors import UsageError

        raise UsageError(
            "nothing to run",
            where="penstock.run",
            hint="give a pipeline file, components, or lists of components",
        )
    return pipeline_of(pipes, plugins, name=name, engine=engine).run(store=store)
