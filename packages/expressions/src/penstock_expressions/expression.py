"""An expression, checked and ready to be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.errors import nearest

from .code import Code, Parsed, Scope, make_function, translate
from .values import shown

__all__ = ["Expression", "compile_expression", "no_field"]


def compile_expression(text: str, *, where: str = "expression") -> Expression:
    """Check and compile an expression; ExpressionError says what is wrong with it.

    `where` names the expression in messages, as "set.total".
    """
    return Expression(text, where)


class Expression:
    """A compiled expression: call it with a record.

    What goes wrong in a call is raised as Python raises it; `explain` makes a sentence of it.
    """

    __slots__ = ("_function", "_parsed", "asked", "fields", "text", "where")

    def __init__(self, text: str, where: str = "expression") -> None:
        self.text = text
        self.where = where
        scope = _RecordScope()
        self._parsed = Parsed(text, where)
        code = translate(self._parsed, scope)
        self.fields = tuple(scope.read)
        """The names of the fields it reads, in the order of their first use."""
        self.asked = tuple(scope.asked)
        """The names of the fields that it asks for by `has()`."""
        self._function = _function(code, scope.constants)

    def __call__(self, record: Mapping[str, Any]) -> Any:
        return self._function(record)

    @property
    def function(self) -> Callable[[Mapping[str, Any]], Any]:
        """The bare function of a record, for a loop over many."""
        return self._function

    def over(self, columns: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
        """The bare function of a row with these columns."""
        scope = _RowScope(columns)
        return _function(self.source(scope), scope.constants)

    def source(self, scope: Scope) -> Code:
        """The expression as a piece of Python source, for `make_function`."""
        return translate(self._parsed, scope)

    def explain(self, record: Mapping[str, Any], error: BaseException) -> str:
        """What went wrong with this record, as a sentence."""
        if isinstance(error, KeyError) and error.args:
            name = error.args[0]
            if name in self.fields and name not in record:
                return f"{self.where}: {no_field(name, record)}"
            what = f"no key {name!r}"
        else:
            what = str(error) or type(error).__name__
        fields = [name for name in self.fields if name in record][:5]
        if fields:
            what += ", with " + ", ".join(f"{name}={shown(record[name], 40)}" for name in fields)
        texts = [name for name in fields if isinstance(record[name], str)]
        if isinstance(error, TypeError) and texts:
            what += f"; is {texts[0]!r} meant to be a number?"
        return f"{self.where}: {what}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            return NotImplemented
        return (self.text, self.where) == (other.text, other.where)

    def __hash__(self) -> int:
        return hash((self.text, self.where))

    def __repr__(self) -> str:
        return f"<Expression {self.where}: {self.text}>"

    def __reduce__(self) -> Any:
        return Expression, (self.text, self.where)


def no_field(name: str, record: Mapping[str, Any]) -> str:
    """The end of a sentence about a field that a record does not have."""
    names = [str(one) for one in record]
    near = nearest(name, names)
    if near:
        return f"the record has no field {name!r}; did you mean {near!r}?"
    if not names:
        return f"the record has no field {name!r}; it has no fields"
    more = ", …" if len(names) > 20 else ""
    return f"the record has no field {name!r}; there are {', '.join(names[:20])}{more}"


def _function(code: Code, constants: Mapping[str, Any]) -> Callable[[Any], Any]:
    return make_function(f"def function(r): return {code.text}", "function", constants)


class _RecordScope:
    """An expression by itself: fields are read from the mapping `r`."""

    def __init__(self) -> None:
        self.read: dict[str, None] = {}
        self.asked: dict[str, None] = {}
        self.constants: dict[str, Any] = {}

    def field(self, name: str) -> Code:
        self.read[name] = None
        return Code(f"r[{name!r}]")

    def has(self, name: str) -> Code:
        self.asked[name] = None
        return Code(f"({name!r} in r)", "bool")

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name


class _RowScope(_RecordScope):
    """Fields are read from the row `r`, by their place in it."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__()
        self.places = {name: index for index, name in enumerate(columns)}

    def field(self, name: str) -> Code:
        place = self.places.get(name)
        return Code(f"g_missing({name!r})" if place is None else f"r[{place}]")

    def has(self, name: str) -> Code:
        return Code("g_true" if name in self.places else "g_false", "bool")
