"""The steps of a plan, each in two forms: as source of the fast function, and done slowly.

A step gives one value, which never changes afterwards; a field that is cast and set again has three
values from three steps. So steps can be done in any order that respects what they need.

The fast form may give up on a record by raising anything: then the slow form decides, which either
has the value after all or says in a sentence why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock import RecordError
from penstock_expressions import Code, Expression, Pattern, Reader, no_field, shown

__all__ = [
    "Cast",
    "Compute",
    "Default",
    "Fail",
    "Literal",
    "Nest",
    "Read",
    "Step",
    "Substitute",
    "Test",
    "Writer",
    "missing",
]

Values = Mapping["Step", Any]
"""What the steps before have given."""


class Writer(Protocol):
    """Where the source of a function grows."""

    text_only: bool
    """Whether the values that are read are expected to be text."""

    def line(self, source: str) -> None: ...
    def name(self) -> str:
        """A new local variable."""

    def constant(self, value: Any) -> str:
        """A global name for an object."""

    def literal(self, value: Any) -> str:
        """Source that makes this value, anew each time if it can be changed."""

    def code(self, step: Step) -> Code:
        """Where the value of an earlier step is found."""

    def read(self, column: Any) -> Code:
        """Where the value of a column of the record is found."""


class Step:
    """Gives one value from the values of the steps that it needs."""

    def __init__(self, where: str, needs: Sequence[Step] = ()) -> None:
        self.where = where
        self.needs = needs

    def write(self, writer: Writer) -> Code:
        """Write the source that gives the value, and say where it is then found."""
        raise NotImplementedError

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        """The value, or RecordError with the sentence that tells why there is none."""
        raise NotImplementedError


class Read(Step):
    def __init__(self, column: Any) -> None:
        super().__init__(str(column))
        self.column = column

    def write(self, writer: Writer) -> Code:
        return writer.read(self.column)

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        return record[self.column]


class Literal(Step):
    def __init__(self, where: str, constant: Any) -> None:
        super().__init__(where)
        self.constant = constant

    def write(self, writer: Writer) -> Code:
        kinds = {str: "text", int: "int", float: "float", bool: "bool"}
        kind = kinds.get(type(self.constant), "any")
        return Code(writer.literal(self.constant), kind, constant=kind != "any")

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        return fresh(self.constant)


class Default(Step):
    def __init__(self, where: str, given: Step, constant: Any, nulls: tuple[str, ...]) -> None:
        super().__init__(where, (given,))
        self.constant = constant
        self.nulls = (None, *nulls)

    def write(self, writer: Writer) -> Code:
        given = writer.code(self.needs[0]).text
        empty = f"{given} in {self.nulls!r}" if len(self.nulls) > 1 else f"{given} is None"
        name = writer.name()
        writer.line(f"{name} = {writer.literal(self.constant)} if {empty} else {given}")
        return Code(name)

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        given = values[self.needs[0]]
        return fresh(self.constant) if given in self.nulls else given


class Substitute(Step):
    def __init__(self, where: str, given: Step, rules: Sequence[tuple[Pattern, str]]) -> None:
        super().__init__(where, (given,))
        self.rules = rules

    def write(self, writer: Writer) -> Code:
        name = writer.name()
        given = writer.code(self.needs[0]).text
        writer.line(f"{name} = {writer.constant(self.apply)}({given})")
        return Code(name, "text")

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        try:
            return self.apply(values[self.needs[0]])
        except ValueError as error:
            raise RecordError(f"{self.where}: {error}") from None

    def apply(self, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError(f"must be text for a pattern, got {shown(value)}")
        text: str = value
        for pattern, replacement in self.rules:
            text = pattern.substitute(replacement, text)
        return text


class Cast(Step):
    def __init__(
        self, where: str, given: Step, kind: str, read: Reader, nulls: Sequence[str]
    ) -> None:
        super().__init__(where, (given,))
        self.kind = kind
        self.read = read
        self.nulls = tuple(nulls)

    @property
    def of_text(self) -> bool:
        """Whether there is a faster form for values that are text, as those of a CSV file."""
        return self.kind in ("int", "float") and isinstance(self.needs[0], Read)

    def write(self, writer: Writer) -> Code:
        given = writer.code(self.needs[0]).text
        name = writer.name()
        if self.of_text and writer.text_only:
            self._write_text(writer, name, given)
        else:
            value = self._general(writer, given)
            empty = f"None if {given} in {self.nulls!r} else " if self.nulls else ""
            writer.line(f"{name} = {empty}{value}")
        kinds = {"datetime": "date", "json": "any"}
        return Code(name, kinds.get(self.kind, self.kind))

    def _write_text(self, writer: Writer, name: str, given: str) -> None:
        """Bare `int` and `float`, which take text with "_" between digits; and `float` takes nan.

        Both tests raise TypeError or ValueError for what is no text, as does int with a base.
        """
        convert = f"int({given}, 10)" if self.kind == "int" else f"float({given})"
        indent = ""
        if self.nulls:
            writer.line(f"if {given} in {self.nulls!r}: {name} = None")
            writer.line("else:")
            indent = "    "
        writer.line(f'{indent}if "_" in {given}: raise refused')
        writer.line(f"{indent}{name} = {convert}")
        if self.kind == "float":  # false for nan and for infinity, and quicker than isfinite
            writer.line(f"{indent}if {name} - {name} != 0.0: raise refused")

    def _general(self, writer: Writer, given: str) -> str:
        read = f"{writer.constant(self.read)}({given})"
        if self.kind == "int":
            return f"{given} if type({given}) is int else {read}"
        if self.kind == "float":
            return f"{given} if type({given}) is float and {given} - {given} == 0.0 else {read}"
        return read

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        given = values[self.needs[0]]
        if given in self.nulls:
            return None
        try:
            return self.read(given)
        except ValueError as error:
            hint = "; list '' in nulls to take it as nothing" if given == "" else ""
            raise RecordError(f"{self.where}: {error}{hint}") from None


class Compute(Step):
    """An expression over the values of fields; a field that is not there has no step.

    In an expression the missing field is None if `lenient`, otherwise reading it fails.
    """

    def __init__(self, expression: Expression, fields: Mapping[Any, Step], lenient: bool) -> None:
        read = {name: fields[name] for name in expression.fields if name in fields}
        super().__init__(expression.where, tuple(read.values()))
        self.expression = expression
        self.read = read
        self.asked = {name: name in fields for name in expression.asked}
        self.lenient = lenient
        self.names = tuple(fields)

    def write(self, writer: Writer) -> Code:
        code = self.expression.source(_ExpressionScope(self, writer))
        name = writer.name()
        writer.line(f"{name} = {code.text}")
        return Code(name, code.kind)

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        fields = {
            **dict.fromkeys(self.names),
            **{name: values[one] for name, one in self.read.items()},
        }
        seen = _Lenient(fields) if self.lenient else fields
        try:
            return self.expression(seen)
        except Exception as error:
            raise RecordError(self.expression.explain(fields, error)) from None


class _Lenient(dict[Any, Any]):
    def __missing__(self, name: Any) -> None:
        return None


class Test(Compute):
    """The condition of `where`; a record for which it is false is dropped."""

    def write(self, writer: Writer) -> Code:
        code = self.expression.source(_ExpressionScope(self, writer))
        writer.line(f"if not {code.text}: continue")
        return Code("True", "bool")


class _ExpressionScope:
    """Builds an expression into the function: its fields are values of earlier steps."""

    def __init__(self, step: Compute, writer: Writer) -> None:
        self.step = step
        self.writer = writer

    def field(self, name: str) -> Code:
        step = self.step.read.get(name)
        if step is None:
            return Code("g_none" if self.step.lenient else f"g_missing({name!r})")
        code = self.writer.code(step)
        if code.constant:
            return Code(self.writer.constant(step.value({}, {})), code.kind)
        return code

    def has(self, name: str) -> Code:
        return Code("g_true" if self.step.asked[name] else "g_false", "bool")

    def constant(self, value: Any) -> str:
        return self.writer.constant(value)


class Nest(Step):
    def __init__(self, where: str, parts: Mapping[str, Step]) -> None:
        super().__init__(where, tuple(parts.values()))
        self.parts = parts

    def write(self, writer: Writer) -> Code:
        pairs = [
            f"{writer.literal(name)}: {writer.code(one).text}" for name, one in self.parts.items()
        ]
        name = writer.name()
        writer.line(f"{name} = {{{', '.join(pairs)}}}")
        return Code(name)

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        return {name: values[step] for name, step in self.parts.items()}


class Fail(Step):
    """What no record with these columns gets past."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)

    def write(self, writer: Writer) -> Code:
        writer.line("raise refused")
        return Code("None")

    def value(self, values: Values, record: Mapping[Any, Any]) -> Any:
        raise RecordError(self.where)


def missing(where: str, name: str, fields: Mapping[Any, Any]) -> Fail:
    return Fail(f"{where}: {no_field(name, fields)}")


def fresh(value: Any) -> Any:
    """The value, with lists and mappings made anew: records must not share what can be changed."""
    if isinstance(value, dict):
        return {key: fresh(one) for key, one in value.items()}
    return [fresh(one) for one in value] if isinstance(value, list) else value
