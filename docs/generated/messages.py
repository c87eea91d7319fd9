"""The catalogue of messages: every sentence that the packages can say, found in their source.

A message is what stands for `what` in a call of an error class, of `Problem`, or of a function that
hands its own `what` on to one of these; `hint` is what to do, said in the call or by that function.
Where a call names a variable, the texts that are assigned to it in the same function, or in the
module, are taken. What is put into a text while the program runs is shown as {name}, or as … where
it is more than a name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from penstock import errors

from .packages import project
from .tables import REPO

Function = ast.FunctionDef | ast.AsyncFunctionDef

ADVICE = {
    "ConfigError": "correct the pipeline file",
    "ConnectError": "make it reachable, then run it again",
    "PenstockError": "see what else is under way",
    "PluginError": "install, remove or choose a plugin",
    "RecordError": "mend the record, see `penstock errors`",
    "RunError": "see `penstock runs`; after mending, `penstock run` resumes",
    "TransientError": "nothing: it is tried again",
    "UsageError": "see the `--help` of the command",
    "ValueError": "give a value that is allowed",
}
"""What to do about an error of a class where its message does not say it."""


@dataclass(frozen=True)
class Call:
    """How a callable takes a message: the positions of its arguments, the class it makes, and what
    it says to do where who calls it does not."""

    what: int
    hint: int | None
    error: str
    says: tuple[str, ...] = ()


@dataclass
class Source:
    """A module with the functions around each call, and the texts that its names stand for."""

    tree: ast.Module
    functions: Mapping[str, Function] = field(default_factory=dict)
    around: dict[ast.Call, Function | None] = field(default_factory=dict)
    takers: dict[str, Call] = field(default_factory=dict)
    """What takes a message and is defined here: another module may have one of the same name."""

    def __post_init__(self) -> None:
        self._visit(self.tree, None)

    def _visit(self, node: ast.AST, inside: Function | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                self.around[child] = inside
            self._visit(child, child if isinstance(child, Function) else inside)

    def texts(self, node: ast.expr | None, inside: Function | None) -> list[str]:
        """Every text that an expression may be; none where the program alone can know."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                pieces = [self._piece(part, inside) for part in parts]
                return ["".join(one) for one in product(*pieces)][:8]
            case ast.IfExp(body=one, orelse=other):
                return self.texts(one, inside) + self.texts(other, inside)
            case ast.BoolOp(values=values):
                return [text for value in values for text in self.texts(value, inside)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                begin, end = self.texts(left, inside), self.texts(right, inside)
                pairs = product(begin or ["…"], end or ["…"]) if begin or end else ()
                return [one + other for one, other in pairs]
            case ast.Call(func=ast.Attribute(value=template, attr="format")):
                return self.texts(template, inside)
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.Name(id=name)]) if inside:
                return self._appended(name, inside)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                return self._returned(name)
            case ast.Name(id=name):
                return self._assigned(name, inside)
        return []

    def _piece(self, part: ast.expr, inside: Function | None) -> list[str]:
        if isinstance(part, ast.Constant):
            return [str(part.value)]
        assert isinstance(part, ast.FormattedValue)
        value = part.value
        if isinstance(value, ast.IfExp):
            return self.texts(value, inside) or ["…"]
        if isinstance(value, ast.Name):
            constant = self._assigned(value.id, None)
            return constant or [f"{{{value.id}}}"]
        if isinstance(value, ast.Attribute) and value.attr != "join":
            return [f"{{{value.attr}}}"]
        if isinstance(value, ast.Call) and len(value.args) == 1:  # as short(value)
            return self._piece(ast.FormattedValue(value.args[0], -1), inside)
        return ["…"]

    def _appended(self, name: str, inside: Function) -> list[str]:
        """What a function adds to a list, which it joins then."""
        return [
            text
            for node in ast.walk(inside)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{name}.append"
            for text in self.texts(node.args[0], inside)
        ]

    def _returned(self, name: str) -> list[str]:
        """What a function of the package gives back, if it is there to word a message."""
        function = self.functions.get(name)
        if function is None or ast.unparse(function.returns or ast.Constant(None)) not in _WORDED:
            return []
        return [
            text
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and not _calls(node, name)
            for text in self.texts(node.value, function)
        ]

    def _assigned(self, name: str, inside: Function | None) -> list[str]:
        where: ast.AST = inside or self.tree
        nodes = ast.walk(where) if inside else iter(self.tree.body)
        found = [text for node in nodes for text in self._bound(node, name, inside)]
        return found or (self._assigned(name, None) if inside else [])

    def _bound(self, node: ast.AST, name: str, inside: Function | None) -> list[str]:
        match node:
            case ast.Assign(targets=[ast.Name(id=one)], value=value) if one == name:
                return [] if _mentions(value, name) else self.texts(value, inside)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                pairs = zip(names, values, strict=False)
                return [
                    text
                    for target, value in pairs
                    if isinstance(target, ast.Name) and target.id == name
                    for text in self.texts(value, inside)
                ]
        return []


_WORDED = ("str", "str | None")


def _calls(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Call) and _name(one) == name for one in ast.walk(node))


def _mentions(node: ast.expr, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


# ---- who takes a message ------------------------------------------------------------------------


def callables(sources: Sequence[Source]) -> dict[str, Call]:
    """By its bare name, everything that takes a `what`, beginning with the classes of errors."""
    known = {name: Call(0, None, name) for name in ADVICE}
    known["LeaseTakenError"] = Call(0, None, "PenstockError")
    known["Problem"] = Call(0, 3, "ConfigError")
    functions = [
        (source, node)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, Function) and any(one.arg == "what" for one in node.args.args)
    ]
    for _ in range(3):  # a function that hands on to one that hands on
        for source, function in functions:
            if function.name != "__init__" and function.name not in source.takers:
                made = _made(function, source, {**known, **source.takers})
                if made:
                    source.takers[function.name] = made
                    known.setdefault(function.name, made)
    return known


def _made(function: Function, source: Source, known: Mapping[str, Call]) -> Call | None:
    """How a function takes its `what`, if it makes an error of it."""
    names = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _name(node) in known and _mentions(node, "what"):
            inner = known[_name(node)]
            own = source.texts(_argument(node, "hint", inner.hint), function)
            return Call(
                names.index("what"),
                names.index("hint") if "hint" in names else None,
                inner.error,
                tuple(own) or inner.says,
            )
    return None


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


# ---- the messages -------------------------------------------------------------------------------


def messages(package: Path) -> dict[tuple[str, str], list[str]]:
    """The messages of a package with the classes of their errors, and what to do about each."""
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(package.glob("src/**/*.py"))]
    functions = {
        node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, Function)
    }
    sources = [Source(tree, functions) for tree in trees]
    known = callables(sources)
    found: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        for call, inside in source.around.items():
            if how := source.takers.get(_name(call)) or known.get(_name(call)):
                hints = source.texts(_argument(call, "hint", how.hint), inside) or list(how.says)
                for text in source.texts(_argument(call, "what", how.what), inside):
                    what, _, hint = text.partition("; ")
                    if _says_something(what):
                        advice = found.setdefault((what, how.error), [])
                        advice.extend([hint] if hint else hints)
    return found


def _argument(call: ast.Call, name: str, position: int | None) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and len(call.args) > position:
        return call.args[position]
    return None


def _says_something(text: str) -> bool:
    return len(re.findall(r"[a-z]{2,}", re.sub(r"\{\w+\}", "", text))) > 1


def catalogue() -> Iterator[str]:
    for path in sorted(REPO.glob("packages/*"), key=lambda path: (path.name != "core", path.name)):
        found = messages(path)
        if not found:
            continue
        yield f"### {project(path / 'pyproject.toml')['name']}"
        yield ""
        yield "| message | what to do | error |"
        yield "|---|---|---|"
        for (text, error), hints in sorted(found.items(), key=lambda one: one[0][0].lower()):
            advice = "<br>".join(dict.fromkeys(hints)) or ADVICE[error]
            yield f"| {_cell(text)} | {_cell(advice)} | {_shown(error)} |"
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<br>", "; or: ").replace("<", "&lt;")


def _shown(error: str) -> str:
    code = getattr(getattr(errors, error, None), "exit_code", None)
    return f"`{error}`, {code}" if code else f"`{error}`"


PARTS = {"messages": catalogue}
