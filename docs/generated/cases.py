"""What cases of pipeline tests may say: options of classes that are no components."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from penstock.options import options_of
from penstock.plugins import load

from .tables import option_table


def options_in(target: str) -> Iterator[str]:
    """The options of a class, as "module:Class"."""
    yield from option_table(options_of(load(target)))


CASES = "penstock_pipeline_tests.cases"

PARTS: dict[str, Callable[[], Iterable[str]]] = {
    "case": partial(options_in, f"{CASES}:CaseOptions"),
    "fault": partial(options_in, f"{CASES}:FaultOptions"),
    "expect": partial(options_in, f"{CASES}:ExpectOptions"),
    "records": partial(options_in, f"{CASES}:RecordsOptions"),
    "letter": partial(options_in, f"{CASES}:LetterOptions"),
}
