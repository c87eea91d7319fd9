"""`penstock why`: what became of one record, node by node, by replaying it with nothing written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..build import Pipeline
from ..errors import EXIT_OK, UsageError
from ..graph import Graph
from ..store import DeadLetter, decode_record
from ..tracing import Finder, Key, Trace, follow, harmless, input_of, keeps, ready, watch
from . import common_arguments
from .loading import load, store_of
from .mending import name_of
from .showing import print_json, show_error, shown, when
from .signals import Draining
from .traces import Became, as_json, became, stacked

HELP = "follow one record through a pipeline"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    which = parser.add_argument_group("which record").add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--record", type=_key, metavar="SOURCE:ORDINAL", help="this one, as orders:17"
    )
    which.add_argument(
        "--output",
        type=_pair,
        metavar="FIELD=VALUE",
        help="the one behind the first record with this value that comes to an output",
    )
    parser.add_argument(
        "--state", metavar="FOLDER", help="look here for what runs kept (default: .penstock)"
    )


def run(options: Any) -> int:
    pipeline = load(options)
    key = options.record or _behind(pipeline, *options.output)
    graph = pipeline.graph()
    keeping = keeps(graph, input_of(graph, key[0]))
    graph = follow(graph, key, alone=not keeping)
    trace = Trace(key)
    one = watch(pipeline, graph, trace)
    with Draining(one) as signals:
        one.execute()
    past = _past(pipeline, options, key)
    found = became(trace, graph, key, list(graph.nodes))
    if options.json:
        print_json(_as_json(key, found, keeping, past))
    elif found:
        print("\n".join(_as_text(graph, key, found, keeping, past)))
    if one.error is not None and not _told(one.error, found):
        return show_error(one.error)
    return EXIT_OK if signals.received is None else 128 + signals.received


def _told(error: Exception, found: Became) -> bool:
    """Whether the run ended by what is shown anyway: the record failed, and `on_error` is stop."""
    node = getattr(error, "node", None)
    return node in found and found[node][0].startswith("failed")


# ---- which --------------------------------------------------------------------------------------


def _key(text: str) -> Key:
    source, _, number = text.partition("@")[0].rpartition(":")
    if not source or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"must be as orders:17, got {text!r}")
    return source, int(number)


def _pair(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not field or not equals:
        raise argparse.ArgumentTypeError(f"must be as id=4711, got {text!r}")
    return field, value


def _behind(pipeline: Pipeline, field: str, value: str) -> Key:
    """The source record behind what is written with this value: found by replaying until then."""
    finder = Finder(field, value)
    graph = harmless(pipeline.graph(), lambda _, read: partial(ready, read))
    run = watch(pipeline, graph, finder)
    with Draining(run):
        run.execute()
    if finder.found is not None:
        source = finder.found[0]
        if source.partition("/")[0] not in {node.name for node in graph.of_role("input")}:
            raise UsageError(
                f"{source} made the record with {field}={value} out of several",
                where="penstock why",
                hint="name one of them with --record",
            )
        return finder.found
    if run.error is not None:
        raise run.error
    raise UsageError(
        f"no record with {field}={value} comes to an output",
        where="penstock why",
        hint="`penstock preview` shows what does",
    )


# ---- what runs have kept ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Past:
    """What is known of the record from real runs. `read` is None when none has kept anything;
    `same` says that the pipeline has not changed since."""

    read: bool | None = None
    run_id: str = ""
    same: bool = False
    letters: tuple[DeadLetter, ...] = ()

    @property
    def written(self) -> bool:
        return bool(self.read and self.same and not self.letters)


def _past(pipeline: Pipeline, options: Any, key: Key) -> _Past:
    store = store_of(options)
    if not store.path.is_file():
        return _Past()
    try:
        checkpoint = store.checkpoint(pipeline.name)
        letters = tuple(
            one for one in store.letters(pipeline.name) if (one.source, one.ordinal) == key
        )
    finally:
        store.close()
    if checkpoint is None:
        return _Past(letters=letters)
    return _Past(
        checkpoint.ordinals.get(key[0], 0) >= key[1],
        checkpoint.run_id,
        checkpoint.config_hash == pipeline.config_hash,
        letters,
    )


# ---- what to show -------------------------------------------------------------------------------


def _as_json(key: Key, found: Became, keeping: list[str], past: _Past) -> dict[str, Any]:
    return {
        "source": key[0],
        "ordinal": key[1],
        "nodes": as_json(found),
        "replayed": "everything up to it" if keeping else "this record alone",
        "read": past.read,
        "run_id": past.run_id or None,
        "pipeline_changed": bool(past.read) and not past.same,
        "letters": [
            {"id": name_of(one), "message": one.message, "attempts": one.attempts}
            for one in past.letters
        ],
    }


def _as_text(
    graph: Graph, key: Key, found: Became, keeping: list[str], past: _Past
) -> Iterator[str]:
    yield f"{key[0]}:{key[1]}"
    yield from stacked(graph, _differences(graph, found, past))
    yield ""
    for letter in past.letters:
        yield f"set aside at {letter.node} on {when(letter.last)}: {letter.message}"
    if past.read is None:
        yield "no run has kept anything yet"
    elif not past.read:
        yield f"the last run, {past.run_id}, has not come as far"
    elif not past.same:
        yield f"the pipeline has changed since run {past.run_id}, which read it"
    if keeping:
        what = "keeps" if len(keeping) == 1 else "keep"
        yield (
            f"{', '.join(keeping)} {what} something between records, so everything up to this "
            "one was replayed"
        )


def _differences(graph: Graph, found: Became, past: _Past) -> Became:
    """Where one record with fields became another one, only the fields that differ."""
    changed: Became = {}
    for name, (outcome, texts) in found.items():
        if outcome == "would be written" and past.written:
            outcome = "was written"
        before = [one for one in graph.predecessors[name] if one in found]
        texts_before = found[before[0]][1] if before else []
        if len(texts) == len(texts_before) == 1 and not outcome:
            told = _changes(decode_record(texts_before[0]), decode_record(texts[0]))
            if texts == texts_before or told:
                changed[name] = (told or "unchanged", [])
                continue
        changed[name] = (outcome, texts)
    return changed


def _changes(before: Any, after: Any) -> str:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return ""
    parts = [
        f"{name}: {shown(before[name])} → {shown(after[name])}"
        for name in before
        if name in after
        and (before[name] != after[name] or type(before[name]) is not type(after[name]))
    ]
    parts += [f"+ {name}: {shown(after[name])}" for name in after if name not in before]
    parts += [f"- {name}" for name in before if name not in after]
    return ", ".join(parts)
