"""Changes the code in small ways and runs the tests: a change that no test notices is a survivor.

    python tests/tools/mutation.py [MODULE...] [--function commit] [--sample 100] [--jobs 2]

Most tools of this kind change operators and constants. What matters here is order (durable first, then
the checkpoint, then the hint), so this one also exchanges neighbouring statements and leaves one
out. The sources are copied; what is mutated is the copy, which stands first on the path.

A change survives when every test that reaches its line passes. Survivors that change nothing which
could be seen stand in tests/mutation/survivors.toml with the reason; any other one fails the session.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPO = Path(__file__).resolve().parents[2]
SOURCE = REPO / "packages" / "core" / "src"
SURVIVORS = REPO / "tests" / "mutation" / "survivors.toml"

MODULES = ("delivery", "store", "stores.sqlite", "retries", "failures", "runs")
"""What is mutated: the run, the stores, and what becomes of records that fail."""

ORDERING = {
    "delivery": (
        "recover",
        "reenter",
        "commit",
        "_put",
        "_commit_to",
        "_save",
        "_finish_intent",
        "_begin_epoch",
    ),
}
"""Where no change at all may survive, unless it stands in the list with a reason."""

TESTS = {
    "delivery": "commit_order leases delivery recovery reparse poison runs retries",
    "store": "store conformance recovery retries poison commit_order",
    "stores.sqlite": "store conformance recovery",
    "retries": "retries retry_reports commit_order",
    "failures": "failures retries",
    "runs": "run_protocol runs commit_order delivery poison recovery watching jetstream engines/threads",
}
"""The core's tests that are about a module, those of the first file above all: of others that reach
a change some are tried. Still others may reach it, but rarely see more, and take an hour."""

LEAST = 0.9


@dataclass(frozen=True)
class Mutant:
    """One change: `source` is the whole module with it. `line` is where it begins."""

    module: str
    function: str
    line: int
    what: str
    source: str

    @property
    def key(self) -> str:
        """What the list of survivors calls it: no number of a line, which the next edit moves."""
        return f"{self.module}.{self.function}: {self.what}"


# ---- changes ------------------------------------------------------------------------------------

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
}
_OPPOSITES = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Raise, ast.Delete)


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Every change to the functions of a module, one at a time."""
    tree = ast.parse(source)
    times: Counter[str] = Counter()
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for one in _Function(module, source, function).mutants():
            times[one.key] += 1
            again = f" ({times[one.key]})" if times[one.key] > 1 else ""
            yield replace(one, what=one.what + again)


class _Function:
    def __init__(self, module: str, source: str, function: ast.FunctionDef) -> None:
        self.module, self.source, self.function = module, source, function
        self.lines = source.splitlines(keepends=True)
        self.makes = function.name == "__init__"

    def mutants(self) -> Iterator[Mutant]:
        body = self.function.body
        if ast.get_docstring(self.function) is not None:
            body = body[1:]
        yield from self.block(body)
        for node in (one for statement in body for one in _own(statement)):
            yield from self.expression(node)

    def block(self, statements: Sequence[ast.stmt], whole: bool = False) -> Iterator[Mutant]:
        """Statements left out, and neighbours exchanged, here and in the blocks inside: not in a
        transaction, of which all happens or nothing, nor attributes that are given their first
        value."""
        for one, after in zip(statements, [*statements[1:], None]):
            if isinstance(one, _SIMPLE) and not _is_left(one):
                replacement = "return None" if _returns(one) else "pass"
                if self.text(one) != replacement:
                    yield self.replaced(one, replacement)
            if isinstance(one, _SIMPLE) and isinstance(after, _SIMPLE) and _may_swap(one, after):
                if not whole and not (self.makes and _gives(one) and _gives(after)):
                    yield self.swapped(one, after)
            if not isinstance(one, (ast.FunctionDef, ast.ClassDef)):
                for inner in _blocks(one):
                    yield from self.block(inner, whole or "_transaction(" in _with(one))

    def expression(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            if not _turned_by_itself(node.test):
                yield self.replaced(node.test, f"not ({self.text(node.test)})")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            other = _OPERATORS[type(node.ops[0])]()
            changed = ast.Compare(node.left, [other], node.comparators)  # type: ignore[list-item]
            yield self.replaced(node, ast.unparse(changed))
        elif isinstance(node, ast.BoolOp):
            changed_op = _OPERATORS[type(node.op)]()
            yield self.replaced(node, f"({ast.unparse(ast.BoolOp(changed_op, node.values))})")  # type: ignore[arg-type]
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            other_op = _OPERATORS[type(node.op)]()
            changed_bin = ast.BinOp(node.left, other_op, node.right)  # type: ignore[arg-type]
            yield self.replaced(node, f"({ast.unparse(changed_bin)})")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self.replaced(node, f"({self.text(node.operand)})")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield self.replaced(node, str(not node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, int):
            yield self.replaced(node, str(node.value + 1))

    def text(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.source, node) or ""

    def replaced(self, node: ast.AST, text: str) -> Mutant:
        source = self.with_(_span(self.lines, node), text)
        what = f"`{_short(self.text(node))}` -> `{_short(text)}`"
        return self.mutant(node, what, source)

    def swapped(self, one: ast.stmt, after: ast.stmt) -> Mutant:
        first, second = _span(self.lines, one), _span(self.lines, after)
        data = self.source.encode()
        source = (
            data[: first[0]]
            + data[slice(*second)]
            + data[first[1] : second[0]]
            + data[slice(*first)]
            + data[second[1] :]
        ).decode()
        what = f"`{_short(self.text(after))}` before `{_short(self.text(one))}`"
        return self.mutant(one, what, source)

    def with_(self, span: tuple[int, int], text: str) -> str:
        data = self.source.encode()
        return (data[: span[0]] + text.encode() + data[span[1] :]).decode()

    def mutant(self, node: ast.AST, what: str, source: str) -> Mutant:
        line: int = node.lineno  # type: ignore[attr-defined]
        return Mutant(self.module, self.function.name, line, what, source)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what is in it, but not in functions inside: those are asked by themselves. Texts
    and notes of types are left alone."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.JoinedStr)):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _own(child)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for handler in getattr(node, "handlers", []):
        yield handler.body


def _with(one: ast.stmt) -> str:
    return " ".join(map(ast.unparse, one.items)) if isinstance(one, ast.With) else ""


def _gives(one: ast.stmt) -> bool:
    return isinstance(one, (ast.Assign, ast.AnnAssign))


def _turned_by_itself(test: ast.expr) -> bool:
    """Whether changing its operator turns the condition round already."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and type(test.ops[0]) in _OPPOSITES
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _returns(one: ast.stmt) -> bool:
    return isinstance(one, ast.Return)


def _is_left(one: ast.stmt) -> bool:
    """Not left out: texts, `yield`, the only line of what others implement, a bare return,
    and that of True or False, which is changed in itself."""
    if isinstance(one, ast.Raise):
        return isinstance(one.exc, ast.Name) and one.exc.id == "NotImplementedError"
    if isinstance(one, ast.Return):
        value = one.value
        return value is None or (isinstance(value, ast.Constant) and isinstance(value.value, bool))
    return isinstance(one, ast.Expr) and isinstance(
        one.value, (ast.Constant, ast.Yield, ast.YieldFrom)
    )


def _may_swap(one: ast.stmt, after: ast.stmt) -> bool:
    """Whether both still make sense the other way round: neither leaves, none uses a name that the
    first one gives, and both do something."""
    if any(isinstance(it, (ast.Return, ast.Raise)) or _is_left(it) for it in (one, after)):
        return False
    given = {
        n.id for n in ast.walk(one) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    used = {n.id for n in ast.walk(after) if isinstance(n, ast.Name)}
    return not given & used and all(map(_acts, (one, after))) and any(map(_calls, (one, after)))


def _calls(one: ast.stmt) -> bool:
    return any(isinstance(node, ast.Call) for node in ast.walk(one))


def _acts(one: ast.stmt) -> bool:
    """Whether others may see that it was done: it calls, or changes more than names in here."""
    targets = one.targets if isinstance(one, ast.Assign) else [getattr(one, "target", None)]
    return _calls(one) or not all(isinstance(target, ast.Name) for target in targets)


def _span(lines: Sequence[str], node: ast.AST) -> tuple[int, int]:
    """Where a node stands, in bytes."""
    before = [0]
    for line in lines:
        before.append(before[-1] + len(line.encode()))
    start = before[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
    return start, before[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]


def _short(text: str) -> str:
    return " ".join(text.split())[:70]


# ---- tests --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tried:
    """What became of a change: `by` is the test that noticed it, "" if none of them did."""

    mutant: Mutant
    by: str
    tests: int
    seconds: float


def tried(
    chosen: Sequence[Mutant],
    copy: Path,
    tests: Sequence[str],
    jobs: int = 1,
    patience: float = 10.0,
    thorough: bool = False,
    baseline: Path | None = None,
) -> Iterator[Tried]:
    """Every change with what tests say to it, as they are done. Tests that fail without any change
    are named and left out. One hangs when it takes `patience` seconds more than it might. It is
    `thorough` when slow ones and very many are tried, though others have not noticed. What tests
    reach is kept in `baseline`, and taken from there."""
    reads, writes = os.pipe()
    mutants = [
        {
            "number": number,
            "path": str(copy / "penstock" / Path(*one.module.split(".")).with_suffix(".py")),
            "function": f"{one.module}.{one.function}",
            "line": one.line,
            "first": _first(one.module),
            "thorough": thorough,
            "source": one.source,
        }
        for number, one in enumerate(chosen)
    ]
    job = {
        "mutants": mutants,
        "tests": [*tests],
        "jobs": jobs,
        "patience": patience,
        "folder": str(copy.parent),
        "baseline": str(baseline) if baseline else None,
        "results": writes,
    }
    path = copy.parent / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    with (
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("mutation_forks.py")), str(path)],
            cwd=REPO,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
                "PYTHONPATH": str(copy),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[writes],
        ) as running,
        open(reads, encoding="utf-8") as lines,
    ):
        os.close(writes)
        for line in lines:
            found = json.loads(line)
            if "failed" in found:
                print(f"left out, as it fails without a change: {found['failed']}", flush=True)
            else:
                yield Tried(chosen[found.pop("number")], **found)
        said = running.stdout.read() if running.stdout else ""
    if running.returncode:
        raise SystemExit(f"the tests cannot be run:\n{said[-3000:]}")


# ---- the session --------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Change the code and see whether tests notice.")
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(MODULES)} (default: all)")
    parser.add_argument("--function", action="append", help="only changes in this; may be repeated")
    parser.add_argument("--sample", type=int, help="only so many changes, chosen by chance")
    parser.add_argument("--seed", type=int, default=1, help="of the choice (default: 1)")
    parser.add_argument("--tests", action="append", help="these tests (default: the core's)")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time (default: 1)")
    parser.add_argument("--ordering", action="store_true", help="only where order is all")
    parser.add_argument("--thorough", action="store_true", help="with slow tests, and all of them")
    parser.add_argument("--baseline", type=Path, help="keep here which tests reach what; or use it")
    parser.add_argument("--again", type=Path, help="only what survived in this report")
    parser.add_argument("--report", type=Path, help="write what was found here, as JSON")
    options = parser.parse_args(argv)
    chosen = list(_chosen(options))
    print(f"{len(chosen)} changes", flush=True)
    left = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "src")
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        tests = options.tests or _tests_of(options.modules or MODULES)
        thorough = options.ordering or options.thorough
        for one in tried(
            chosen, copy, tests, options.jobs, thorough=thorough, baseline=options.baseline
        ):
            state = f"by {one.by}" if one.by else f"SURVIVES {one.tests} tests"
            print(f"{one.seconds:5.1f} s  {one.mutant.key}  {state}", flush=True)
            if not one.by:
                left.append(one.mutant)
    return _report(chosen, left, options.report)


def _chosen(options: argparse.Namespace) -> Iterator[Mutant]:
    found = []
    for module in options.modules or MODULES:
        path = SOURCE / "penstock" / Path(*module.split(".")).with_suffix(".py")
        for mutant in mutants(module, path.read_text("utf-8")):
            wanted = not options.function or mutant.function in options.function
            ordering = mutant.function in ORDERING.get(module, ())
            if wanted and (ordering or not options.ordering):
                found.append(mutant)
    if options.again:
        survivors = json.loads(options.again.read_text("utf-8"))["survivors"]
        found = [mutant for mutant in found if mutant.key in survivors]
    if options.sample and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)
    return iter(found)


def _tests_of(modules: Sequence[str]) -> list[str]:
    names = dict.fromkeys(name for module in modules for name in TESTS[module].split())
    folder = REPO / "packages" / "core" / "tests"
    return [str(folder / Path(name).with_name(f"test_{Path(name).name}.py")) for name in names]


def _first(module: str) -> str:
    """The file of tests that are about a module above all."""
    return f"test_{TESTS.get(module, module).split()[0]}.py"


def listed() -> dict[str, str]:
    """The survivors that are known, with the reason why none of them matters."""
    found: dict[str, str] = tomllib.loads(SURVIVORS.read_text("utf-8"))["survivors"]
    return found


def _report(chosen: Sequence[Mutant], left: Sequence[Mutant], report: Path | None) -> int:
    known = listed()
    new = [mutant for mutant in left if mutant.key not in known]
    print()
    for module in dict.fromkeys(mutant.module for mutant in chosen):
        print(_share(module, *(_of(module, some) for some in (chosen, left))))
    print(_share("all", len(chosen), len(left)))
    for mutant in new:
        print(f"not in the list: {mutant.key} (line {mutant.line})")
    if report:
        about = {
            "changes": len(chosen),
            "noticed": len(chosen) - len(left),
            "survivors": sorted(mutant.key for mutant in left),
        }
        report.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return 1 if new or 1 - len(left) / max(len(chosen), 1) < LEAST else 0


def _of(module: str, some: Sequence[Mutant]) -> int:
    return sum(mutant.module == module for mutant in some)


def _share(what: str, chosen: int, left: int) -> str:
    return f"{what}: {chosen - left} of {chosen} noticed: {1 - left / max(chosen, 1):.1%}"


if __name__ == "__main__":
    sys.exit(main())
