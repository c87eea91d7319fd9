"""Expressions over the fields of an element, written in Python: `field("ms") // 1000`.

An expression is put together by Python's own operators, so precedence and parentheses are Python's.
It is compiled to a plain function, once for records that are mappings and once for objects.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock_expressions import make_function

__all__ = ["Expr", "call", "const", "field"]

Function = Callable[[Any], Any]

_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_UNARY: Mapping[str, Callable[[Any], Any]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.invert,
}


def part_of(value: Any, key: Any) -> Any:
    """`value[key]`, or the attribute of that name where the value has no items."""
    if isinstance(value, (Mapping, Sequence)):
        return value[key]
    return getattr(value, key)


class _Code:
    """Source being put together: how fields are read, and the objects that it names."""

    def __init__(self, *, attributes: bool) -> None:
        self.attributes = attributes
        self.names: dict[str, Any] = {"part_of": part_of}

    def name(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def field(self, name: str) -> str:
        if not self.attributes:
            return f"r[{name!r}]"
        # Only an identifier that is not private to a class may stand after a dot.
        if name.isidentifier() and not name.startswith("__"):
            return f"r.{name}"
        return f"part_of(r, {name!r})"


class Expr:
    """An expression. Comparing, adding or indexing it gives another one.

    Where one condition is to hold together with another, use `&` and `|` with parentheses: `and`
    and `or` cannot be overloaded.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def source(self, code: _Code) -> str:
        raise NotImplementedError

    def of_nothing(self) -> Any:
        """The value while no element is there: None for whatever reads a field."""
        raise NotImplementedError

    def function(self, *, attributes: bool = False) -> Function:
        """The compiled function of a mapping, or of an object with `attributes`."""
        code = _Code(attributes=attributes)
        text = self.source(code)
        return make_function(f"def function(r): return {text}", "function", code.names)

    def __call__(self, element: Any) -> Any:
        """The value for one element; `function` is for many."""
        if element is None:
            return self.of_nothing()
        return self.function(attributes=not isinstance(element, Mapping))(element)

    def __getitem__(self, key: Any) -> Expr:
        return _Part(self, key)

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value; write & for and, | for or")

    def __iter__(self) -> Any:  # or Python would try keys 0, 1, 2 …, for ever
        raise TypeError("an expression cannot be iterated over")

    def __eq__(self, other: object) -> Any:
        return _Binary("==", self, other)

    def __ne__(self, other: object) -> Any:
        return _Binary("!=", self, other)

    def __add__(self, other: Any) -> Expr:
        return _Binary("+", self, other)

    def __radd__(self, other: Any) -> Expr:
        return _Binary("+", other, self)

    def __sub__(self, other: Any) -> Expr:
        return _Binary("-", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return _Binary("-", other, self)

    def __mul__(self, other: Any) -> Expr:
        return _Binary("*", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return _Binary("*", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return _Binary("/", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return _Binary("/", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return _Binary("//", self, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return _Binary("//", other, self)

    def __mod__(self, other: Any) -> Expr:
        return _Binary("%", self, other)

    def __rmod__(self, other: Any) -> Expr:
        return _Binary("%", other, self)

    def __pow__(self, other: Any) -> Expr:
        return _Binary("**", self, other)

    def __rpow__(self, other: Any) -> Expr:
        return _Binary("**", other, self)

    def __and__(self, other: Any) -> Expr:
        return _Binary("&", self, other)

    def __rand__(self, other: Any) -> Expr:
        return _Binary("&", other, self)

    def __or__(self, other: Any) -> Expr:
        return _Binary("|", self, other)

    def __ror__(self, other: Any) -> Expr:
        return _Binary("|", other, self)

    def __xor__(self, other: Any) -> Expr:
        return _Binary("^", self, other)

    def __rxor__(self, other: Any) -> Expr:
        return _Binary("^", other, self)

    def __lshift__(self, other: Any) -> Expr:
        return _Binary("<<", self, other)

    def __rlshift__(self, other: Any) -> Expr:
        return _Binary("<<", other, self)

    def __rshift__(self, other: Any) -> Expr:
        return _Binary(">>", self, other)

    def __rrshift__(self, other: Any) -> Expr:
        return _Binary(">>", other, self)

    def __lt__(self, other: Any) -> Expr:
        return _Binary("<", self, other)

    def __le__(self, other: Any) -> Expr:
        return _Binary("<=", self, other)

    def __gt__(self, other: Any) -> Expr:
        return _Binary(">", self, other)

    def __ge__(self, other: Any) -> Expr:
        return _Binary(">=", self, other)

    def __neg__(self) -> Expr:
        return _Unary("-", self)

    def __pos__(self) -> Expr:
        return _Unary("+", self)

    def __invert__(self) -> Expr:
        return _Unary("~", self)

    def __abs__(self) -> Expr:
        return _Call(abs, (self,))


class _Field(Expr):
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def source(self, code: _Code) -> str:
        return code.field(self.name)

    def of_nothing(self) -> Any:
        return None

    def __repr__(self) -> str:
        return f"field({self.name!r})"


class _Const(Expr):
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def source(self, code: _Code) -> str:
        if type(self.value) in (int, str) or self.value is None:
            return f"({self.value!r})"
        return code.name(self.value)

    def of_nothing(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        return repr(self.value)


class _Part(Expr):
    __slots__ = ("key", "whole")

    def __init__(self, whole: Expr, key: Any) -> None:
        self.whole, self.key = whole, _expr(key)

    def source(self, code: _Code) -> str:
        return f"part_of({self.whole.source(code)}, {self.key.source(code)})"

    def of_nothing(self) -> Any:
        whole, key = self.whole.of_nothing(), self.key.of_nothing()
        return None if whole is None or key is None else part_of(whole, key)

    def __repr__(self) -> str:
        return f"{self.whole!r}[{self.key!r}]"


class _Binary(Expr):
    __slots__ = ("left", "right", "symbol")

    def __init__(self, symbol: str, left: Any, right: Any) -> None:
        self.symbol, self.left, self.right = symbol, _expr(left), _expr(right)

    def source(self, code: _Code) -> str:
        return f"({self.left.source(code)} {self.symbol} {self.right.source(code)})"

    def of_nothing(self) -> Any:
        left, right = self.left.of_nothing(), self.right.of_nothing()
        if left is None or right is None:
            return None
        return _BINARY[self.symbol](left, right)

    def __bool__(self) -> bool:
        # Asked whether an expression is something else, as the default of an option, there is an
        # answer: it is the same only if it is the same object.
        if self.symbol in ("==", "!="):
            return (self.left is self.right) == (self.symbol == "==")
        return super().__bool__()

    def __repr__(self) -> str:
        return f"({self.left!r} {self.symbol} {self.right!r})"


class _Unary(Expr):
    __slots__ = ("symbol", "value")

    def __init__(self, symbol: str, value: Expr) -> None:
        self.symbol, self.value = symbol, value

    def source(self, code: _Code) -> str:
        return f"({self.symbol}{self.value.source(code)})"

    def of_nothing(self) -> Any:
        value = self.value.of_nothing()
        return None if value is None else _UNARY[self.symbol](value)

    def __repr__(self) -> str:
        return f"{self.symbol}{self.value!r}"


class _Call(Expr):
    __slots__ = ("arguments", "called")

    def __init__(self, called: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self.called, self.arguments = called, [_expr(one) for one in arguments]

    def source(self, code: _Code) -> str:
        given = ", ".join(one.source(code) for one in self.arguments) if self.arguments else "r"
        return f"{code.name(self.called)}({given})"

    def of_nothing(self) -> Any:
        if not self.arguments:
            return self.called(None)
        given = [one.of_nothing() for one in self.arguments]
        return None if None in given else self.called(*given)

    def __repr__(self) -> str:
        name = getattr(self.called, "__qualname__", type(self.called).__name__)
        return f"{name}({', '.join(map(repr, self.arguments))})"


def _expr(value: Any) -> Expr:
    return value if isinstance(value, Expr) else _Const(value)


def field(name: str) -> Expr:
    """The value of a field; `field("user")["id"]` reads what is inside."""
    return _Field(name)


def const(value: Any) -> Expr:
    """A value that is the same for every element."""
    return _Const(value)


def call(function: Callable[..., Any], *arguments: Any) -> Expr:
    """What `function` gives for the values of these expressions; for the whole element when there
    are none. Without an element, as in an idle moment, it is called with None then."""
    return _Call(function, arguments)
