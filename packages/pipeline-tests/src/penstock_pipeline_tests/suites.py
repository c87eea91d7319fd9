"""The tests of one file: read, tried against their pipeline, and run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from penstock import ConfigError, Document, PluginError, Plugins, Problem
from penstock.dialect import read_document
from penstock.errors import nearest
from penstock.options import short

from .cases import Case, read_cases
from .expecting import complaints
from .finding import SUFFIXES, is_test_file
from .running import Outcome, Recorder, run
from .staging import Stage, stage

__all__ = ["Result", "Suite", "open_suite", "suite_of"]

_KEYS = ("pipeline", "description", "tests")


@dataclass
class Result:
    """One case that was run: what is wrong, in sentences; nothing when it passed."""

    case: Case
    outcome: Outcome
    complaints: list[str]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.complaints


@dataclass
class Suite:
    """A file whose cases fit their pipeline."""

    path: Path
    pipeline: Path
    stages: list[Stage] = field(default_factory=list)
    recorder: Recorder = field(default_factory=Recorder)

    @property
    def cases(self) -> list[Case]:
        return [one.case for one in self.stages]

    def run(self, stage: Stage) -> Result:
        """Run one of the `stages`."""
        started = perf_counter()
        outcome = run(stage, self.recorder)
        return Result(stage.case, outcome, complaints(outcome), perf_counter() - started)


def open_suite(
    path: Path,
    *,
    plugin_files: Iterable[Path] = (),
    discover: bool = True,
    engine: str | None = None,
) -> Suite:
    """Read the tests of a file and build the pipeline of each.

    Raises ConfigError with every problem of the file and the pipeline, or PluginError for what is
    missing. `engine` outweighs the one that a case names.
    """
    plugins = Plugins(discover=discover)
    for file in plugin_files:
        plugins.register_file(file)
    return suite_of(read_document(path, plugins), path, plugins, engine)


def suite_of(document: Document, path: Path, plugins: Plugins, engine: str | None = None) -> Suite:
    """The tests of a document that has been read; `plugins` must be for it alone."""
    pipeline = _pipeline_of(path, document)
    if not is_test_file(path):
        document.problems = [one for one in document.problems if one.path.startswith("tests")]
    cases = read_cases(document, pipeline)
    suite = Suite(path, pipeline)
    problems: list[Problem] = []
    missing: list[str] = []
    if pipeline.is_file():
        beside = pipeline.parent / "plugins.py"
        if beside.is_file():
            plugins.register_file(beside)
        plugins.register(suite.recorder)
        for case in cases:
            try:
                suite.stages.append(stage(case, plugins, engine))
            except ConfigError as error:
                problems.extend(error.problems)
            except PluginError as error:
                missing.extend(str(error).splitlines())
    problems = list(dict.fromkeys([*document.problems, *problems]))
    if problems:
        raise ConfigError(problems)
    if missing:
        raise PluginError("\n".join(dict.fromkeys(missing)))
    return suite


def _pipeline_of(path: Path, document: Document) -> Path:
    """The pipeline that a file tests."""
    if not is_test_file(path):
        return path
    for key in document.data:
        if key not in _KEYS and not str(key).startswith(("x-", "_", "$")):
            near = nearest(str(key), _KEYS)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(_KEYS)}"
            _wrong(document, "no such key", str(key), hint)
    named: Any = document.data.get("pipeline")
    if named is not None and not isinstance(named, str):
        _wrong(document, f"must be a path, got {short(named)}", "pipeline", None)
    elif named is not None:
        found = path.parent / named
        if not found.is_file():
            _wrong(document, f"no such file: {short(named)}", "pipeline", _other(found))
        return found
    stem = path.stem.removesuffix(".test")
    beside = [path.with_name(stem + suffix) for suffix in SUFFIXES]
    found = next((one for one in beside if one.is_file()), path)
    if found is path and named is None:
        what = f"names no pipeline, and there is no {stem}{path.suffix} beside it"
        _wrong(document, what, "pipeline", "say which, as in `pipeline: orders.yaml`")
        return path.with_name(f"{stem}{path.suffix}")
    return found


def _wrong(document: Document, what: str, key: str, hint: str | None) -> None:
    document.problems.append(document.problem(what, key, hint=hint))


def _other(path: Path) -> str | None:
    if not path.parent.is_dir():
        return None
    near = nearest(path.name, [one.name for one in path.parent.iterdir()])
    return f"did you mean {near!r}?" if near else None
