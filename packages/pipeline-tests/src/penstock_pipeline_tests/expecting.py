"""What a case expects, held against what has come of it: every complaint, as a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock import DeadLetter
from penstock.cli.showing import shown
from penstock.store import decode_record

from .cases import LetterOptions, RecordsOptions
from .comparing import Difference, cut, differences, fits, matching, ordered, same, twins
from .expressions import broken_by, compiled
from .fixtures import typed
from .running import Outcome

__all__ = ["MOST", "complaints"]

MOST = 20
"""So many differences of one node are shown."""


def complaints(outcome: Outcome) -> list[str]:
    """Everything that is not as expected; nothing for a case that passes."""
    found = list(_ending(outcome))
    for node, wanted in outcome.case.expected.records.items():
        found.extend(_at(node, _records(wanted, outcome.left(node))))
    found.extend(_letters(outcome))
    found.extend(_counts(outcome))
    found.extend(_warnings(outcome))
    return found


def _at(node: str, found: Iterator[str]) -> Iterator[str]:
    for number, one in enumerate(found):
        if number == MOST:
            yield f"{node}: … and more"
            return
        yield f"{node}, {one}"


# ---- how it ended -------------------------------------------------------------------------------


def _ending(outcome: Outcome) -> Iterator[str]:
    wanted, report = outcome.case.expected.options, outcome.report
    why = f": {report.error}" if report.error else ""
    if wanted.status is not None and report.status != wanted.status:
        yield f"status: expected {wanted.status}, got {report.status}{why}"
    if wanted.exit is not None and outcome.exit != wanted.exit:
        yield f"exit: expected {wanted.exit}, got {outcome.exit}{why}"
    if wanted.error is not None and wanted.error not in (report.error or ""):
        got = shown(report.error) if report.error else "none"
        yield f"error: expected one with {shown(wanted.error)}, got {got}"
    for fault in outcome.unstruck:
        place = f"record {fault.at}" if isinstance(fault.at, int) else fault.at
        yield f"fault at {fault.node}, {place}: it never struck"
    silent = wanted.status is None and wanted.exit is None and wanted.error is None
    if silent and not report.ok:
        yield f"the run {report.status}{why}"


# ---- records ------------------------------------------------------------------------------------


def _records(wanted: RecordsOptions, got: Sequence[Any]) -> Iterator[str]:
    if wanted.count is not None and len(got) != wanted.count:
        yield f"count: expected {wanted.count}, got {len(got)}"
    if wanted.exact is not None:
        yield from map(str, ordered(typed(wanted.exact), got))
    if wanted.unordered is not None:
        yield from map(str, _unordered(typed(wanted.unordered), got))
    if wanted.contains is not None:
        yield from map(str, _contained(typed(wanted.contains), got))
    for text in [wanted.each] if isinstance(wanted.each, str) else wanted.each:
        yield from _each(text, got)


def _unordered(expected: Sequence[Any], got: Sequence[Any]) -> Iterator[Difference]:
    pairs = twins(expected, got)
    missing = [one for index, one in enumerate(expected) if index not in pairs]
    extra = [(index, one) for index, one in enumerate(got) if index not in pairs.values()]
    for wanted in missing:
        near = _nearest(wanted, extra)
        if near is None:
            yield Difference("record", cut(shown(wanted)), None)
        else:
            extra.remove(near)
            yield from differences(wanted, near[1], f"record {near[0] + 1}")
    for index, one in extra:
        yield Difference(f"record {index + 1}", None, cut(shown(one)))


def _contained(expected: Sequence[Any], got: Sequence[Any]) -> Iterator[Difference]:
    pairs = matching(expected, got, fits)
    rest = [(index, one) for index, one in enumerate(got) if index not in pairs.values()]
    for index, wanted in enumerate(expected):
        if index in pairs:
            continue
        near = _nearest(wanted, rest)
        if near is None:
            yield Difference("record", cut(shown(wanted)), None)
        else:
            yield from differences(wanted, near[1], f"record {near[0] + 1}", part=True)


def _nearest(wanted: Any, among: Sequence[tuple[int, Any]]) -> tuple[int, Any] | None:
    """The record that shares the most fields with the one wanted, and at least one; of several,
    one that shares the first fields, which are those that people know records by."""

    def shared(one: tuple[int, Any]) -> tuple[int, list[bool]]:
        if not (isinstance(wanted, Mapping) and isinstance(one[1], Mapping)):
            return 0, []
        each = [key in one[1] and same(value, one[1][key]) for key, value in wanted.items()]
        return sum(each), each

    best = max(among, key=shared, default=None)
    return best if best is not None and shared(best)[0] else None


def _each(text: str, got: Sequence[Any]) -> Iterator[str]:
    expression = compiled(text)
    for index, record in enumerate(got):
        why = broken_by(expression, record)
        if why is not None:
            yield f"record {index + 1}: {text}: {why}: {cut(shown(record))}"


# ---- dead letters, counts, warnings -------------------------------------------------------------


def _letters(outcome: Outcome) -> Iterator[str]:
    expected, got = outcome.case.expected, outcome.letters
    wanted = expected.letters
    if wanted is None:
        options = expected.options
        if options.status is None and options.exit is None:
            yield from (f"dead letter that nothing expects: {_named(letter)}" for letter in got)
        return
    if isinstance(wanted, int):
        if len(got) != wanted:
            yield f"dead letters: expected {wanted}, got {len(got)}"
            yield from (f"dead letter: {_named(letter)}" for letter in got)
        return
    pairs = matching(wanted, got, lambda one, letter: _is(one, letter, outcome))
    for index, one in enumerate(wanted):
        if index not in pairs:
            yield f"dead letter {index + 1}: expected and missing: {_described(one)}"
    for index, letter in enumerate(got):
        if index not in pairs.values():
            yield f"dead letter that nothing expects: {_named(letter)}"


def _is(wanted: LetterOptions, letter: DeadLetter, outcome: Outcome) -> bool:
    return (
        (wanted.node is None or letter.node in outcome.nodes(wanted.node))
        and (wanted.error is None or wanted.error in f"{letter.error}: {letter.message}")
        and (wanted.source is None or wanted.source == letter.source)
        and (wanted.ordinal is None or wanted.ordinal == letter.ordinal)
        and (wanted.record is None or fits(typed(wanted.record), decode_record(letter.record)))
    )


def _described(wanted: LetterOptions) -> str:
    named = {name: value for name, value in vars(wanted).items() if value is not None}
    return cut(shown(named))


def _named(letter: DeadLetter) -> str:
    record = cut(shown(decode_record(letter.record)))
    return f"{letter.node} at {letter.source}:{letter.ordinal}: {letter.message}: {record}"


def _counts(outcome: Outcome) -> Iterator[str]:
    reports = {node.name: node for node in outcome.report.nodes}
    for name, wanted in outcome.case.expected.options.counts.items():
        if not isinstance(wanted, Mapping):
            got = getattr(outcome.report.balance, name)
            if got != wanted:
                yield f"{name}: expected {wanted}, got {got}"
            continue
        for key, number in wanted.items():
            nodes = [reports[node] for node in outcome.nodes(name) if node in reports]
            got = sum(getattr(node, key) for node in nodes)
            if got != number:
                yield f"{name}, {key}: expected {number}, got {got}"


def _warnings(outcome: Outcome) -> Iterator[str]:
    wanted, got = outcome.case.expected.options.warnings, outcome.report.warnings
    if wanted is None:
        return
    pairs = matching(wanted, got, lambda text, warning: text in warning)
    for index, text in enumerate(wanted):
        if index not in pairs:
            yield f"warning: expected and missing: {shown(text)}"
    for index, warning in enumerate(got):
        if index not in pairs.values():
            yield f"warning that nothing expects: {shown(warning)}"
