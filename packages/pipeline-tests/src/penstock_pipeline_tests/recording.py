"""`penstock test --record`: a sample of what a pipeline really reads, written down as a case.

The pipeline reads its real inputs and writes nowhere. What is expected comes from a second run, of
the redacted sample, and a third one proves that the file passes before it is written.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from penstock import Batch, Pipeline, Plugins, RunError, UsageError, hookimpl, load_pipeline
from penstock.cli.loading import find_file, plugins_of
from penstock.dialect import fill_in, parse
from penstock.graph import Graph
from penstock.made import Stream
from penstock.nodes import NodeRun
from penstock.options import secrets_of
from penstock.store import decode_record, encode_record
from penstock.tracing import cut, harmless, watch

from .finding import is_test_file
from .redacting import Redactor
from .running import Outcome
from .suites import Result, suite_of

__all__ = ["record"]


Read = Callable[[Mapping[str, Any]], Iterator["Batch | None"]]


class _Sample:
    """A plugin that keeps what inputs give."""

    def __init__(self) -> None:
        self.records: dict[str, list[Any]] = {}
        self.unread = 0

    @hookimpl
    def penstock_batch_done(self, node: NodeRun, batch: Batch) -> None:
        if node.role == "input":
            self.unread += len(batch.failures)
            records = copy.deepcopy(list(batch.records))
            self.records.setdefault(node.name, []).extend(records)


def record(options: Any) -> int:
    """Run `penstock test --record`."""
    path = find_file(options.record)
    target = _target(path, options.output)
    plugins = plugins_of(options)
    pipeline = load_pipeline(path, plugins)
    graph = pipeline.graph()
    secrets = _secrets(pipeline)
    sample = _Sample()
    run = watch(pipeline, _limited(graph, options.records), sample)
    run.execute()
    if run.error is not None:
        raise run.error
    redactor = Redactor(options.redact, secrets)
    for name in sample.records:
        _must_be_plain(name, sample.records[name])
    fed = redactor.records(sample.records)
    text = _Writer(path, target, options, fed, run.clock.now()).text()
    _refuse_secrets(text, secrets)
    _write(target, text)
    _say(target, fed, redactor, sample.unread)
    return 0


def _secrets(pipeline: Pipeline) -> set[str]:
    """The secrets of every component, and of the brokers behind them."""
    made = [*pipeline.made.values()]
    made += [one.broker for one in made if isinstance(one, Stream) and one.broker is not None]
    return {secret for one in made for secret in secrets_of(one.component())}


def _target(path: Path, given: str | None) -> Path:
    target = Path(given) if given else path.with_name(f"{path.stem}.test.yaml")
    if not is_test_file(target) or target.suffix == ".toml":
        raise UsageError(
            "is no name for a recorded test", where=str(target), hint="call it NAME.test.yaml"
        )
    if not target.parent.is_dir():
        raise UsageError("there is no such folder", where=str(target.parent), hint="make it first")
    if target.exists():
        raise UsageError("is there already", where=str(target), hint="choose another with --output")
    return target


def _limited(graph: Graph, count: int) -> Graph:
    """The same graph, reading only the first records of each input and writing nowhere."""

    def reading(name: str, read: Read) -> Read:
        return lambda positions: _first(read, count, positions)

    return harmless(graph, reading)


def _first(read: Read, count: int, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
    for batch in read(positions):
        if batch is None:  # a log: what is not there now is not there
            return
        ordinals = sorted([*batch.ordinals, *(one.ordinal for one in batch.failures)])
        if len(ordinals) > count:
            batch = cut(batch, ordinals[count - 1])
        count -= len(batch.records) + len(batch.failures)
        yield batch
        if count <= 0:
            return


def _must_be_plain(name: str, records: list[Any]) -> None:
    for number, one in enumerate(records, 1):
        if "$repr" in encode_record(one) and decode_record(encode_record(one)) != one:
            raise RunError(
                f"record {number} cannot be written to a file", where=name, hint="use a fake input"
            )


def _refuse_secrets(text: str, secrets: set[str]) -> None:
    if any(len(secret) >= 4 and secret in text for secret in secrets):
        raise RunError(
            "what the pipeline gives holds a secret of its options; nothing was written",
            where="penstock test --record",
            hint="leave the secret out of the records",
        )


def _write(target: Path, text: str) -> None:
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(target), hint="choose another file"
        ) from error


def _say(target: Path, fed: Mapping[str, list[Any]], redactor: Redactor, unread: int) -> None:
    counts = ", ".join(f"{len(records)} of {name}" for name, records in fed.items())
    print(f"wrote {target}: records: {counts or 'none'}", file=sys.stderr)
    fields = ", ".join(redactor.found) or "no field"
    print(f"redacted: {fields}; look through the file before you share it", file=sys.stderr)
    if unread:
        print(f"{unread} records could not be read and are left out", file=sys.stderr)


# ---- the file -----------------------------------------------------------------------------------


class _Writer:
    """Makes the text of a test file, with what its case comes to."""

    def __init__(
        self, path: Path, target: Path, options: Any, fed: Mapping[str, list[Any]], now: float
    ) -> None:
        self.path, self.target, self.options = path, target, options
        self.suffix = target.suffix.lstrip(".")
        moment = datetime.fromtimestamp(int(now), timezone.utc)
        self.case: dict[str, Any] = {
            "now": moment.isoformat(),
            "feed": {name: [_escaped(one) for one in records] for name, records in fed.items()},
        }

    def text(self) -> str:
        """The whole file; RunError when its case does not come to the same twice."""
        self.case["expect"] = _expected(self.run().outcome)
        again = self.run()
        if not again.passed:
            raise RunError(
                f"the same sample comes to something else each time: {again.complaints[0]}",
                where=str(self.path),
                hint="replace what is random, and write the case by hand",
            )
        return self.written()

    def run(self) -> Result:
        plugins = Plugins(discover=not self.options.no_plugins)
        for file in self.options.plugin:
            plugins.register_file(Path(file))
        document = parse(self.written(), self.suffix, str(self.target), plugins)
        document.path = self.target.absolute()
        fill_in(document, plugins)
        suite = suite_of(document, self.target, plugins)
        return suite.run(suite.stages[0])

    def written(self) -> str:
        name = f"recorded from {self.path.stem}"
        whole: dict[str, Any] = {"tests": {name: self.case}}
        folder = self.target.absolute().parent
        beside = self.path.absolute()
        if beside.parent != folder or self.path.stem != self.target.stem.removesuffix(".test"):
            whole = {"pipeline": _relative(beside, folder), **whole}
        if self.suffix == "json":
            return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
        return "\n".join(_yaml(whole)) + "\n"


def _relative(path: Path, folder: Path) -> str:
    from os.path import relpath

    return Path(relpath(path, folder)).as_posix()


def _expected(outcome: Outcome) -> dict[str, Any]:
    outputs = [node.name for node in outcome.shape.of_role("output")]
    balance = outcome.report.balance
    expected: dict[str, Any] = {
        "records": {name: [_escaped(one) for one in outcome.left(name)] for name in outputs},
        "dead_letters": [
            {
                "node": letter.node,
                "error": _dollars(letter.message),
                "record": _dollars_in(json.loads(letter.record)),
            }
            for letter in outcome.letters
        ],
        "counts": {"read": balance.read, "written": balance.written, "filtered": balance.filtered},
    }
    if outcome.error is not None:
        expected["status"] = outcome.report.status
    return expected


def _escaped(record: Any) -> Any:
    """A record as JSON, with tags for what JSON lacks, in which nothing is a placeholder."""
    return _dollars_in(json.loads(encode_record(record)))


def _dollars_in(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dollars_in(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_dollars_in(one) for one in value]
    return _dollars(value) if isinstance(value, str) else value


def _dollars(text: str) -> str:
    return text.replace("${", "$${")


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """Lines of YAML: a line for each record, blocks around them."""
    if isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, (dict, list)) and one and not _is_flat(one):
                yield f"{indent}{_flow(key)}:"
                yield from _yaml(one, f"{indent}  ")
            else:
                yield f"{indent}{_flow(key)}: {_flow(one)}"
        return
    for one in value:
        yield f"{indent}- {_flow(one)}"


def _is_flat(value: Any) -> bool:
    """Whether a mapping holds only numbers, and so fits on a line."""
    return isinstance(value, dict) and all(isinstance(one, int) for one in value.values())


def _flow(value: Any) -> str:
    """A value in one line. JSON is YAML, so nothing in a text can be taken for anything else."""
    if isinstance(value, str) and value.replace("_", "").replace(" ", "").isalpha():
        if value.lower() not in ("null", "true", "false", "y", "n", "yes", "no", "on", "off"):
            return value
    return json.dumps(value, ensure_ascii=False)
