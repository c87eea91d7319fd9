"""From the text of an expression to Python source that may be compiled.

The text is parsed, and every node of the tree is written anew by the method for its type; a node
without a method is refused. Names and constants reach the new source as their repr only.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from keyword import kwlist
from typing import Any, NamedTuple, Protocol

from penstock.errors import nearest

from .functions import FUNCTIONS, GUARDS, Function
from .patterns import bounded_pattern
from .values import reader

__all__ = ["Code", "ExpressionError", "Parsed", "Scope", "make_function", "translate"]

MOST_CHARACTERS = 2000
MOST_NODES = 300
MOST_LEVELS = 40


class ExpressionError(ValueError):
    """An expression cannot be used; the text is a sentence with its place in it."""


class Code(NamedTuple):
    """A piece of Python source that gives a value, and what is known of that value.

    The kind is "int", "float", "decimal", "bool", "text" or "date", "number" for any number, or
    "any"; None may stand for a value of any kind. An "int" is one as it is read, not one that has
    grown in multiplications.
    """

    text: str
    kind: str = "any"
    constant: bool = False


class Scope(Protocol):
    """What an expression is built into: it says how a field is read there.

    The source that it gives is a name or a subscript of one, never a constant; there are
    `g_true`, `g_false`, `g_none` and `g_missing(name)`, which raises KeyError.
    """

    def field(self, name: str) -> Code:
        """The value of a field; the source may come to stand twice."""

    def has(self, name: str) -> Code:
        """Whether the record has the field."""

    def constant(self, value: Any) -> str:
        """A name, in the globals of the function being built, for an object."""


def make_function(source: str, name: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    """Compile a `def` of generated source; it sees `names`, and what expressions call."""
    namespace: dict[str, Any] = {"__builtins__": {}, **_CALLED, **names}
    exec(compile(source, "<expression>", "exec"), namespace)  # noqa: S102
    function: Callable[..., Any] = namespace[name]
    return function


def missing(name: str) -> Any:
    """What stands for a field that a row is known not to have."""
    raise KeyError(name)


_ATOM = re.compile(r"[a-z][0-9]*(\[('\w*'|[0-9]+)\])?")
"""Source that may stand twice: what a scope gives for a field."""

_GUARD_NAMES = {"+": "g_add", "*": "g_multiply", "**": "g_power", "%": "g_modulo"}
_CALLED: dict[str, Any] = {
    "g_missing": missing,
    # Names for constants: Python warns when it sees that one has no parts or is not None.
    "g_true": True,
    "g_false": False,
    "g_none": None,
    "type": type,
    "float": float,
    **{_GUARD_NAMES[operator]: guard for operator, guard in GUARDS.items()},
    **{f"f_{name}": function.call for name, function in FUNCTIONS.items()},
}

_NUMBERS = {"int", "float", "decimal", "bool", "number"}
_NAMED = {"true": "True", "false": "False", "null": "None", "none": "None"}
_OPERATORS = {
    "Add": "+",
    "Sub": "-",
    "Mult": "*",
    "Div": "/",
    "FloorDiv": "//",
    "Mod": "%",
    "Pow": "**",
    "USub": "-",
    "UAdd": "+",
    "Not": "not",
    "Eq": "==",
    "NotEq": "!=",
    "Lt": "<",
    "LtE": "<=",
    "Gt": ">",
    "GtE": ">=",
    "In": "in",
    "NotIn": "not in",
    "Is": "is",
    "IsNot": "is not",
}
_REFUSED = {
    "BitAnd": ("'&'", "write 'and'"),
    "BitOr": ("'|'", "write 'or'"),
    "Invert": ("'~'", "write 'not'"),
    "BitXor": ("'^'", "the power of a number is x**2"),
    "LShift": ("'<<'", None),
    "RShift": ("'>>'", None),
    "MatMult": ("'@'", None),
    "Attribute": ("a dot after a value", None),
    "Lambda": ("lambda", None),
    "JoinedStr": ("f-strings", "write concat(a, b)"),
    "NamedExpr": ("':='", "write '=='"),
    "Starred": ("'*' before an argument", None),
    "Await": ("await", None),
    "Yield": ("yield", None),
    "YieldFrom": ("yield", None),
    "GeneratorExp": ("'for'", None),
    "ListComp": ("'for'", None),
    "SetComp": ("'for'", None),
    "DictComp": ("'for'", None),
}


class Parsed:
    """The tree of an expression, and what its constant patterns and formats have become.

    It is made once, where the expression is checked: some of it is not for several threads.
    """

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self._check(text)
        self.text = re.sub(r"[\r\n]", " ", text.strip())
        self.skipped = len(text) - len(text.lstrip())
        self.tree = self._tree()
        self.prepared: dict[ast.Call, Callable[..., Any]] = {}

    def _check(self, text: Any) -> None:
        what = None
        if not isinstance(text, str):
            what = f"must be an expression in quotes, got {text!r}"
        elif len(text) > MOST_CHARACTERS:
            what = f"the expression has {len(text)} characters; {MOST_CHARACTERS} is most"
        elif not text.strip():
            what = "the expression is empty"
        elif re.search("[\0\ud800-\udfff]", text):  # each version of Python says it differently
            what = "the expression has characters that are no text"
        if what:
            raise ExpressionError(f"{self.where}: {what}")

    def _tree(self) -> ast.expr:
        try:
            with (
                warnings.catch_warnings()
            ):  # of an unknown escape, as in "\d", which stays as it is
                warnings.simplefilter("ignore")
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            column = min(error.offset or 1, len(self.text)) + self.skipped
            what = f"is not an expression at column {column}: {_first_words(error)}"
            habit = _habit(self.text)
            what += f"; {habit}" if habit else ""
        except (RecursionError, MemoryError):
            what = f"the expression has more than {MOST_LEVELS} levels"
        raise ExpressionError(f"{self.where}: {what}")


def translate(parsed: Parsed, scope: Scope) -> Code:
    """The expression as a piece of source for `scope`, or ExpressionError."""
    return _Translator(parsed, scope).value(parsed.tree, 1)


class _Translator:
    def __init__(self, parsed: Parsed, scope: Scope) -> None:
        self.where = parsed.where
        self.text = parsed.text
        self.skipped = parsed.skipped
        self.prepared = parsed.prepared
        self.scope = scope
        self.nodes = 0

    def error(
        self, what: str, node: ast.AST | None = None, hint: str | None = None
    ) -> ExpressionError:
        column = getattr(node, "col_offset", None)
        if column is not None:  # in bytes of UTF-8
            column = len(
                self.text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "replace")
            )
            what += f" at column {column + 1 + self.skipped}"
        return ExpressionError(f"{self.where}: {what}" + (f"; {hint}" if hint else ""))

    def value(self, node: ast.expr, level: int) -> Code:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise self.error(f"the expression has more than {MOST_NODES} parts")
        if level > MOST_LEVELS:
            raise self.error(f"the expression has more than {MOST_LEVELS} levels", node)
        method = _METHODS.get(type(node))
        if method is None:
            raise self.refused(node, type(node).__name__)
        return method(self, node, level + 1)

    def refused(self, node: ast.AST, name: str) -> ExpressionError:
        what, hint = _REFUSED.get(name, (name, None))
        if isinstance(node, ast.Attribute):
            if node.attr in FUNCTIONS:
                hint = f"write {FUNCTIONS[node.attr].usage}"
            elif (
                isinstance(node.value, ast.Name)
                and node.attr.isidentifier()
                and "__" not in node.attr
            ):
                field, part = node.value.id, node.attr
                hint = f"write {field}[{part!r}], or field({field + '.' + part!r})"
        return self.error(f"{what} cannot be used", node, hint)

    def values(self, nodes: Sequence[ast.expr], level: int) -> list[Code]:
        return [self.value(node, level) for node in nodes]

    # ---- one method for each type of node ---------------------------------------------------

    def constant(self, node: ast.Constant, level: int) -> Code:
        value = node.value
        kinds = {str: "text", int: "int", float: "float", bool: "bool", type(None): "any"}
        kind = kinds.get(type(value))
        if kind is None or (isinstance(value, float) and not math.isfinite(value)):
            raise self.error(f"{node.value!r} cannot be used", node)
        return Code(repr(value), kind, constant=True)

    def name(self, node: ast.Name, level: int) -> Code:
        if node.id in _NAMED:
            hint = f"write {_NAMED[node.id]}, or field({node.id!r}) for a field of that name"
            raise self.error(f"unknown name {node.id!r}", node, hint)
        return self.scope.field(node.id)

    def logic(self, node: ast.BoolOp, level: int) -> Code:
        word = " and " if isinstance(node.op, ast.And) else " or "
        parts = self.values(node.values, level)
        return Code(f"({word.join(part.text for part in parts)})", _common(parts))

    def choice(self, node: ast.IfExp, level: int) -> Code:
        test = self.value(node.test, level)
        parts = self.values([node.body, node.orelse], level)
        text = f"({parts[0].text} if {test.text} else {parts[1].text})"
        return Code(text, _common(parts))

    def unary(self, node: ast.UnaryOp, level: int) -> Code:
        sign = self.operator(node.op, node)
        operand = self.value(node.operand, level)
        kind = operand.kind if operand.kind in _NUMBERS else "any"
        if sign == "not":
            return Code(f"(not {operand.text})", "bool")
        return Code(f"({sign}{operand.text})", kind)

    def binary(self, node: ast.BinOp, level: int) -> Code:
        sign = self.operator(node.op, node)
        left, right = self.value(node.left, level), self.value(node.right, level)
        kind = _arithmetic(sign, left, right)
        if sign in GUARDS and not _is_harmless(sign, left, right):
            text = f"{_GUARD_NAMES[sign]}({left.text}, {right.text})"
            if sign == "*" and _ATOM.fullmatch(left.text) and _ATOM.fullmatch(right.text):
                text = f"({left.text} * {right.text} if type({left.text}) is float else {text})"
            return Code(text, kind)
        return Code(f"({left.text} {sign} {right.text})", kind)

    def compare(self, node: ast.Compare, level: int) -> Code:
        operands = [node.left, *node.comparators]
        text = self.value(node.left, level).text
        for index, (operator, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
            if isinstance(operator, (ast.Is, ast.IsNot)):
                pair = operands[index : index + 2]
                if not any(map(_is_none, pair)) or all(isinstance(one, _CONSTANT) for one in pair):
                    raise self.error("'is' only compares a field with None", node, "write '=='")
            text += f" {self.operator(operator, node)} {self.value(right, level).text}"
        return Code(f"({text})", "bool")

    def subscript(self, node: ast.Subscript, level: int) -> Code:
        if isinstance(node.value, (*_CONSTANT, ast.Dict)):
            raise self.error("only fields and results have parts", node)
        value = self.value(node.value, level)
        if isinstance(node.slice, ast.Slice):
            ends = [
                self.index(one) for one in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            kind = "text" if value.kind == "text" else "any"
            return Code(f"{value.text}[{':'.join(ends)}]", kind)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return Code(f"{value.text}[{node.slice.value!r}]")
        return Code(f"{value.text}[{self.index(node.slice)}]")

    def index(self, node: ast.expr | None) -> str:
        if node is None:
            return ""
        try:
            number = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError):
            number = None
        if type(number) is not int:
            hint = "a key that varies is read by get(mapping, key)"
            raise self.error("an index is a constant", node, hint)
        return repr(number)

    def display(self, node: ast.List | ast.Tuple | ast.Set, level: int) -> Code:
        parts = self.values(node.elts, level)
        inside = "".join(f"{part.text}, " for part in parts)
        marks = {ast.List: "[]", ast.Tuple: "()", ast.Set: "{}"}[type(node)]
        text = f"{marks[0]}{inside}{marks[1]}"
        return Code(text, constant=all(part.constant for part in parts))

    def mapping(self, node: ast.Dict, level: int) -> Code:
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                raise self.error("the keys of a mapping are constant texts", node)
            pairs.append(f"{key.value!r}: {self.value(value, level).text}")
        return Code(f"{{{', '.join(pairs)}}}")

    def call(self, node: ast.Call, level: int) -> Code:
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, ast.Attribute):
                raise self.refused(node.func, "Attribute")
            raise self.error("only functions can be called", node)
        name = node.func.id
        if node.keywords:
            raise self.error(f"{name}() takes its arguments without names", node)
        if name in ("field", "has"):
            read = self.scope.field if name == "field" else self.scope.has
            return read(
                self.constant_text(node, 0, f"{name}() takes the name of a field in quotes", 1)
            )
        function = FUNCTIONS.get(name)
        if function is None:
            near = nearest(name, [*FUNCTIONS, "field", "has"])
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(FUNCTIONS)}"
            raise self.error(f"unknown function {name!r}", node, hint)
        if not function.low <= len(node.args) <= function.high:
            raise self.error(f"wrong number of arguments: {function.usage}", node)
        if function.special == "pattern":
            return self.pattern_call(name, node, level)
        if function.special == "format":
            return self.reader_call(name, function, node, level)
        parts = self.values(node.args, level)
        kind = _common(parts) if function.kind == "same" else function.kind
        if kind == "number" and len(parts) == 2 and parts[0].kind in ("float", "decimal"):
            kind = parts[0].kind  # round(x, 2)
        return Code(f"f_{name}({', '.join(part.text for part in parts)})", kind)

    def constant_text(self, node: ast.Call, index: int, what: str, count: int) -> str:
        argument = node.args[index] if len(node.args) == count else None
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            self.nodes += 1
            return argument.value
        raise self.error(what, node)

    def pattern_call(self, name: str, node: ast.Call, level: int) -> Code:
        text = self.constant_text(node, 1, f"the pattern of {name}() is a constant text", 2)
        if node not in self.prepared:
            try:
                self.prepared[node] = getattr(bounded_pattern(text), name)
            except ValueError as error:
                raise self.error(str(error), node) from None
        value = self.value(node.args[0], level)
        return Code(
            f"{self.scope.constant(self.prepared[node])}({value.text})", FUNCTIONS[name].kind
        )

    def reader_call(self, name: str, function: Function, node: ast.Call, level: int) -> Code:
        if node not in self.prepared:
            self.prepared[node] = self.prepared_reader(name, function, node)
        read = self.prepared[node]
        argument = node.args[0]
        if isinstance(argument, ast.Constant):  # a constant date is read once
            try:
                return Code(self.scope.constant(read(argument.value)), function.kind)
            except ValueError as error:
                raise self.error(str(error), node) from None
        value = self.value(argument, level)
        return Code(f"{self.scope.constant(read)}({value.text})", function.kind)

    def prepared_reader(self, name: str, function: Function, node: ast.Call) -> Callable[..., Any]:
        if len(node.args) == 1:
            return function.call
        format_ = self.constant_text(node, 1, f"the format of {name}() is a constant text", 2)
        try:
            return reader(name, format_)
        except ValueError as error:
            raise self.error(f"{name}() {error}", node) from None

    def operator(self, operator: ast.AST, node: ast.AST) -> str:
        name = type(operator).__name__
        if name not in _OPERATORS:
            raise self.refused(node, name)
        return _OPERATORS[name]


_METHODS: dict[type, Callable[[_Translator, Any, int], Code]] = {
    ast.Constant: _Translator.constant,
    ast.Name: _Translator.name,
    ast.BoolOp: _Translator.logic,
    ast.IfExp: _Translator.choice,
    ast.UnaryOp: _Translator.unary,
    ast.BinOp: _Translator.binary,
    ast.Compare: _Translator.compare,
    ast.Subscript: _Translator.subscript,
    ast.List: _Translator.display,
    ast.Tuple: _Translator.display,
    ast.Set: _Translator.display,
    ast.Dict: _Translator.mapping,
    ast.Call: _Translator.call,
}


def _arithmetic(sign: str, left: Code, right: Code) -> str:
    """The kind of a result."""
    kinds = {left.kind, right.kind}
    if kinds == {"text"} and sign == "+":
        return "text"
    if not kinds <= _NUMBERS:
        return "any"
    if "number" in kinds or sign == "**":
        return "number"
    for kind in ("decimal", "float"):
        if kind in kinds:
            return kind
    return {"/": "float", "*": "number"}.get(sign, "int")


def _is_harmless(sign: str, left: Code, right: Code) -> bool:
    """Whether an operator can do without its guard: what would be dangerous is a TypeError."""
    kinds = {left.kind, right.kind}
    if sign == "+":
        plain = kinds & (_NUMBERS | {"date"})
        return bool(plain) or left.constant or right.constant
    if sign == "*":
        return bool(kinds & {"float", "decimal"}) or kinds <= {"int", "bool"}
    return sign == "%" and left.kind in _NUMBERS


def _common(parts: Sequence[Code]) -> str:
    """The kind of a value that may come from any of these."""
    kinds = {part.kind for part in parts}
    if len(kinds) == 1:
        return parts[0].kind
    return "number" if kinds <= _NUMBERS else "any"


_CONSTANT = (ast.Constant, ast.List, ast.Tuple, ast.Set)
"""What Python would warn of where it is compared by `is`, or has an index."""


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _first_words(error: SyntaxError) -> str:
    return re.split(r"[.(]", error.msg)[0].strip().lower()


def _habit(text: str) -> str | None:
    """What somebody may have meant who writes as in another language."""
    if re.search(r"&&|\|\||!(?!=)|<>|\b(AND|OR|NOT)\b", text):
        return "write 'and', 'or', 'not' and '!=', as in Python"
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "write '==' to compare"
    if re.search(r"\bIS\b|\bNULL\b|\bIN\b", text):
        return "write 'is None' and 'in [a, b]', as in Python"
    for left, right in re.findall(r"([^\W\d]\w*) (?=([^\W\d]\w*))", text):
        if not {left, right} & set(kwlist):
            return f"write field({left + ' ' + right!r}) for a field of that name"
    return None
