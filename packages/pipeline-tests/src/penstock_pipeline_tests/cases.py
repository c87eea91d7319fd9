"""A case as it is written: what it feeds, replaces and breaks, and what it expects.

Each part is declared once, as the options of a component are, so that a mistake is reported with
its place, the nearest name and everything else that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, Literal

from penstock import Document, component, option
from penstock.errors import nearest
from penstock.options import read_options, short

__all__ = [
    "TOTALS",
    "Case",
    "CaseOptions",
    "ExpectOptions",
    "FaultOptions",
    "LetterOptions",
    "RecordsOptions",
    "Where",
    "moment_of",
    "read_cases",
]

Where = tuple["str | int", ...]
"""A path inside a document."""

TOTALS = ("read", "copied", "added", "written", "filtered", "merged", "dead", "skipped", "held")
"""What a case may count over a whole run; the sums of the report."""

OF_NODES = ("received", "sent", "filtered", "failed", "dead", "skipped", "added", "merged")
"""What a case may count of one node."""


def _not_negative(value: int | None) -> None:
    if value is not None and value < 0:
        raise ValueError("must not be negative")


def _at_least_one(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


def _place_in_run(value: int | str) -> None:
    if isinstance(value, int) and value < 1:
        raise ValueError("must be at least 1: records count from 1")
    if isinstance(value, str) and value not in ("open", "finish"):
        raise ValueError("must be the number of a record, 'open' or 'finish'")


def _moment(value: Any) -> None:
    moment_of(value)


def moment_of(value: Any) -> float | None:
    """Seconds since the epoch; without a time zone, UTC is meant."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            raise ValueError("must be a moment such as '2026-11-20T12:00:00Z'") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("must be a moment such as '2026-11-20T12:00:00Z'")
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()


@component
class CaseOptions:
    """One case: a run of the pipeline with other records, and what must come of it."""

    description: str = option(help="What the case is about, for people.", default="")
    feed: dict[str, Any] = option(
        help="By node, the records to give it: a list, a file, or an input with 'use'. A node that "
        "is no input is fed in mid-pipe. Inputs that are not fed give nothing.",
        default={},
    )
    replace: dict[str, Any] = option(
        help="By component, what to use instead, as it would stand in the pipeline.", default={}
    )
    real: list[str] = option(
        help="Inputs and outputs that do read and write; every other output is captured.",
        default=[],
    )
    environment: dict[str, str] = option(
        help="Variables for the placeholders of the pipeline, beside those around us.", default={}
    )
    now: Any = option(
        help="The moment at which the run's clock stands; sleeping moves it.",
        default=None,
        check=_moment,
        example="2026-11-20T12:00:00Z",
    )
    engine: str = option(help="The engine that runs it.", default="inline")
    fail: Any = option(help="A fault, or a list of faults, to inject; see below.", default=[])
    expect: Any = option(help="What must come of the run; see below.", default={})


@component
class FaultOptions:
    """A fault that strikes one node."""

    node: str = option(help="Where it strikes.")
    at: int | str = option(
        help="At which record, counted from 1 as they reach the node; or 'open' or 'finish'.",
        default=1,
        check=_place_in_run,
    )
    error: Literal["transient", "data", "fatal"] = option(
        help="transient may work when it is tried again, data is the record's own fault, fatal "
        "ends the run.",
        default="data",
    )
    times: int = option(help="How often it strikes.", default=1, check=_at_least_one)
    message: str = option(help="What the error says.", default="injected by the test")

    def check(self) -> None:
        if isinstance(self.at, str) and self.error == "data":
            raise ValueError(f"no record is at fault at {self.at!r}: use transient or fatal")


@component
class ExpectOptions:
    """What must come of a run. Left out: it ends well, without dead letters."""

    records: dict[str, Any] = option(
        help="By node, the records that leave it (of an output: that it has written): a list, or a "
        "mapping; see below.",
        default={},
    )
    dead_letters: Any = option(
        help="How many, or a list with a mapping for each; see below.", default=None
    )
    counts: dict[str, Any] = option(
        help=f"Numbers of records: {', '.join(TOTALS)}; or by node a mapping of "
        f"{', '.join(OF_NODES)}.",
        default={},
    )
    warnings: list[str] | None = option(
        help="A text for each warning, which it contains; [] for none.", default=None
    )
    status: Literal["ok", "letters", "stopped", "interrupted", "failed"] | None = option(
        help="The status of the report.", default=None
    )
    exit: int | None = option(help="The exit code of `penstock run`.", default=None)
    error: str | None = option(help="A text that the run's error contains.", default=None)


@component
class RecordsOptions:
    """Which records must leave a node. Several of these may be given."""

    exact: list[Any] | None = option(help="These, in this order.", default=None)
    unordered: list[Any] | None = option(help="These, in any order.", default=None)
    contains: list[Any] | None = option(
        help="These are among them; of a mapping, only the fields given are looked at.",
        default=None,
    )
    each: str | list[str] = option(
        help="Expressions that must be true for every record; need penstock-expressions.",
        default=[],
        example="total >= 0",
    )
    count: int | None = option(help="So many.", default=None, check=_not_negative)


@component
class LetterOptions:
    """A dead letter that must be there; what is left out may be anything."""

    node: str | None = option(help="Where the record failed.", default=None)
    error: str | None = option(help="A text that its message contains.", default=None)
    record: Any = option(help="The record; of a mapping, only the fields given.", default=None)
    source: str | None = option(help="The input it came from.", default=None)
    ordinal: int | None = option(help="Its number there.", default=None)


@dataclass
class Expected:
    """The expectations of a case, read."""

    options: ExpectOptions
    records: dict[str, RecordsOptions] = field(default_factory=dict)
    letters: list[LetterOptions] | int | None = None


@dataclass
class Case:
    """One case, read and not yet tried: `path` is where it stands in `document`."""

    name: str
    document: Document
    path: Where
    pipeline: Path
    options: CaseOptions
    faults: list[FaultOptions]
    expected: Expected

    @property
    def place(self) -> str:
        """File and line."""
        return str(self.document.place(*self.path)).rpartition(":")[0]

    def wrong(self, what: str, *path: str | int, hint: str | None = None) -> None:
        """Note a problem with this case, at a path inside it."""
        problem = self.document.problem(what, *self.path, *path, hint=hint)
        self.document.problems.append(problem)

    def no_such(self, what: str, name: str, known: Sequence[str], *path: str | int) -> None:
        near = nearest(name, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
        self.wrong(f"no {what} named {short(name)}", *path, hint=hint)


def read_cases(document: Document, pipeline: Path) -> list[Case]:
    """Every case under `tests`; what is wrong goes into the document's problems."""
    found = document.data.get("tests")
    if not isinstance(found, Mapping):
        document.problems.append(
            document.problem(
                f"must be a mapping of cases by name, got {short(found)}",
                "tests",
                hint="give each case a name",
            )
        )
        return []
    return [
        _Reader(document, ("tests", name)).case(str(name), pipeline, entry)
        for name, entry in found.items()
        if not str(name).startswith(("x-", "_"))
    ]


class _Reader:
    """Reads one case; every problem is noted where it stands."""

    def __init__(self, document: Document, path: Where) -> None:
        self.document = document
        self.path = path

    def case(self, name: str, pipeline: Path, entry: Any) -> Case:
        options = CaseOptions(**self.options(CaseOptions, entry))
        faults = list(self.faults(options.fail))
        expected = self.expected(options.expect)
        return Case(name, self.document, self.path, pipeline, options, faults, expected)

    def wrong(self, what: str, *path: str | int, hint: str | None = None) -> None:
        self.document.problems.append(self.document.problem(what, *self.path, *path, hint=hint))

    def options(self, cls: type, entry: Any, *path: str | int) -> dict[str, Any]:
        """What can be used of a mapping of options; nothing when they do not go together."""
        if not isinstance(entry, Mapping):
            self.wrong(f"must be a mapping, got {short(entry)}", *path)
            return {}
        values, problems = read_options(cls, entry)
        for problem in problems:
            inner = problem.path.split(".") if problem.path else ()
            self.wrong(problem.what, *path, *inner, hint=problem.hint)
        return {} if any(not problem.path for problem in problems) else values

    def faults(self, entry: Any) -> Iterator[FaultOptions]:
        several = isinstance(entry, list)
        for index, one in enumerate(entry if several else [entry]):
            values = self.options(FaultOptions, one, *(("fail", index) if several else ("fail",)))
            if "node" in values:
                yield FaultOptions(**values)

    def expected(self, entry: Any) -> Expected:
        made = Expected(ExpectOptions(**self.options(ExpectOptions, entry, "expect")))
        for node, wanted in made.options.records.items():
            path = ("expect", "records", node)
            if isinstance(wanted, list):
                wanted = {"exact": wanted}
            made.records[node] = RecordsOptions(**self.options(RecordsOptions, wanted, *path))
            self.expressions(made.records[node], path)
        made.letters = self.letters(made.options.dead_letters)
        for name, wanted in made.options.counts.items():
            self.counts(name, wanted, ("expect", "counts", name))
        return made

    def expressions(self, wanted: RecordsOptions, path: Where) -> None:
        from .expressions import compiled

        for text in [wanted.each] if isinstance(wanted.each, str) else wanted.each:
            try:
                compiled(text)
            except ValueError as error:
                self.wrong(str(error), *path, "each")

    def letters(self, entry: Any) -> list[LetterOptions] | int | None:
        if entry is None or (isinstance(entry, int) and not isinstance(entry, bool)):
            return entry
        if not isinstance(entry, list):
            what = f"must be a number or a list, got {short(entry)}"
            self.wrong(what, "expect", "dead_letters")
            return None
        return [
            LetterOptions(**self.options(LetterOptions, one, "expect", "dead_letters", index))
            for index, one in enumerate(entry)
        ]

    def counts(self, name: str, wanted: Any, path: Where) -> None:
        if isinstance(wanted, Mapping):
            for key, number in wanted.items():
                if key not in OF_NODES:
                    self.unknown(key, OF_NODES, *path, key)
                else:
                    self.number(number, *path, key)
        elif name not in TOTALS:
            self.unknown(name, TOTALS, *path)
        else:
            self.number(wanted, *path)

    def unknown(self, name: Any, known: Sequence[str], *path: str | int) -> None:
        near = nearest(str(name), known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
        self.wrong("is not counted", *path, hint=hint)

    def number(self, value: Any, *path: str | int) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(f"must be a whole number, got {short(value)}", *path)
