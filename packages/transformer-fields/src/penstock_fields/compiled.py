"""From a layout to the one function that does it, for rows of a table or for mappings.

The function is a loop over pairs of an ordinal and an item. It passes each result to `keep` and the
ordinal to `number`; a record that fails raises out of it, and the loop goes on when it is called
again with the same iterator. One loop for a batch, where a call for each record would cost 15 %
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from penstock_expressions import Code, make_function

from .layout import Layout
from .steps import Cast, Fail, Read, Step

__all__ = ["Compiled", "Loop"]

Pairs = Iterable[tuple[int, Any]]
Loop = Callable[[Pairs, Callable[[Any], None], Callable[[int], None]], "tuple[int, Any] | None"]
"""Ends with None, or with a pair whose record has other fields than the function was made for."""


class Compiled:
    """The functions for records with certain columns."""

    def __init__(self, layout: Layout, *, of_rows: bool) -> None:
        self.layout = layout
        self._of_rows = of_rows
        self._loops: dict[bool, Loop] = {}
        self._text = [
            step.needs[0].column  # type: ignore[attr-defined]
            for step in layout.order
            if isinstance(step, Cast) and step.of_text
        ]
        if of_rows:
            places = {column: index for index, column in enumerate(layout.columns)}
            self._text = [places[column] for column in self._text]
        self._only_text = True

    def loop(self, item: Any) -> Loop:
        """The function for items such as this one."""
        text = self._only_text and all(type(item[place]) is str for place in self._text)
        found = self._loops.get(text)
        if found is None:
            found = self._loops[text] = _compile(self.layout, of_rows=self._of_rows, text_only=text)
        return found

    def allow_any(self) -> None:
        """The values are not as they seemed to be: from now on, expect any."""
        self._only_text = False


def _compile(layout: Layout, *, of_rows: bool, text_only: bool) -> Loop:
    writer = _Writer(layout.columns, of_rows=of_rows, text_only=text_only)
    reached = True
    for step in layout.order:
        writer.codes[step] = step.write(writer)
        if isinstance(step, Fail):
            reached = False
            break
    if reached:
        _write_result(layout, writer)
    shape = ""
    if not of_rows:  # a list is compared in 65 ns, a tuple in 85
        shape = f"        if [*r] != {writer.constant(list(layout.columns))}: return n, r\n"
    head = f"def loop(pairs, keep, number):\n    for n, r in pairs:\n{shape}"
    return make_function(head + "".join(writer.lines), "loop", writer.globals)


def _write_result(layout: Layout, writer: _Writer) -> None:
    outputs = list(layout.outputs.items())
    if not writer.of_rows and [*layout.outputs][: len(layout.columns)] == list(layout.columns):
        # All fields stay where they are: a copy is quicker, however many they are.
        writer.line("o = dict(r)")
        for name, step in outputs:
            if not isinstance(step, Read) or step.column != name:
                writer.line(f"o[{writer.literal(name)}] = {writer.code(step).text}")
        writer.line("keep(o)")
    else:
        pairs = [f"{writer.literal(name)}: {writer.code(step).text}" for name, step in outputs]
        writer.line(f"keep({{{', '.join(pairs)}}})")
    if layout.plan.where is not None:  # otherwise every record is kept
        writer.line("number(n)")


class _Writer:
    """Collects the lines of the loop's body, and the objects that it refers to."""

    def __init__(self, columns: Sequence[Any], *, of_rows: bool, text_only: bool) -> None:
        self.of_rows = of_rows
        self.text_only = text_only
        self.places = {column: index for index, column in enumerate(columns)}
        self.lines: list[str] = []
        self.codes: dict[Step, Code] = {}
        self.globals: dict[str, Any] = {
            "int": int,
            "float": float,
            "type": type,
            "dict": dict,
            "refused": ValueError,
        }
        self._names = 0

    def line(self, source: str) -> None:
        self.lines.append(f"        {source}\n")

    def name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def constant(self, value: Any) -> str:
        name = f"c{len(self.globals)}"
        self.globals[name] = value
        return name

    def literal(self, value: Any) -> str:
        # Only the exact types: a class derived from str may have a repr of its own.
        if type(value) in (str, int, bool, type(None)):
            return repr(value)
        if type(value) is list:
            return f"[{', '.join(map(self.literal, value))}]"
        if type(value) is dict:
            pairs = [f"{self.literal(key)}: {self.literal(one)}" for key, one in value.items()]
            return f"{{{', '.join(pairs)}}}"
        return self.constant(value)

    def code(self, step: Step) -> Code:
        return self.codes[step]

    def read(self, column: Any) -> Code:
        return Code(f"r[{self.places[column]}]" if self.of_rows else f"r[{self.literal(column)}]")
