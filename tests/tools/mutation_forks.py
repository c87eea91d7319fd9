"""Runs tests against changed code: a fork for each change, and in it only tests that reach the line.

    python tests/tools/mutation_forks.py JOB

Tests are imported and collected once. A child of that process gets the code of one function
exchanged, runs the tests, the quickest first, and ends at the first that fails. Each test has the
time it needs without a change, many times over; one that needs more hangs, and has noticed.

What a test does in processes that it starts itself is neither seen nor changed.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

SLOW = 1.5
"""A test that needs more seconds than this is used where no other one reaches the change, and where
order is all."""

MANY = 80
"""So many tests are tried with a change, though more of them may reach it."""

MEMORY = 6 << 30  # bytes of addresses; a loop without an end must not take the machine with it
PASSED, FAILED, BROKEN = 111, 112, 113  # what a child ends with; 0 is a test that ended it


# ---- the code of a function ---------------------------------------------------------------------


def outermost(source: str, line: int) -> tuple[str, int]:
    """Name and first line of the function around a line that stands in no other function."""

    def within(body: Sequence[ast.stmt]) -> Iterator[tuple[str, int]]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from within(node.body)
            elif isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                if first <= line <= (node.end_lineno or line):
                    yield node.name, first

    return next(within(ast.parse(source).body))


def statement_of(source: str, line: int) -> int:
    """The first line of the statement around a line: of one that takes several, tracing may not see
    each."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt))
    return max(node.lineno for node in nodes if node.lineno <= line <= (node.end_lineno or line))


def code_of(source: str, path: str, name: str, first: int, free: Sequence[str]) -> types.CodeType:
    """The code of a function as it stands in a source. `free` are the names it must take from
    around it: `super()` may have been left out, but a function keeps its cells for good."""
    code = _find(compile(source, path, "exec"), name, first)
    if set(code.co_freevars) != set(free):
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                uses = "\n".join(f"if False: {one}" for one in free)
                node.body = [*node.body[:1], *ast.parse(uses).body, *node.body[1:]]
        code = _find(compile(ast.fix_missing_locations(tree), path, "exec"), name, first)
    return code


def _find(code: types.CodeType, name: str, first: int) -> types.CodeType:
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            if (inner.co_name, inner.co_firstlineno) == (name, first):
                return inner
            if inner.co_name[0] != "<" and inner.co_flags & 0x2 == 0:  # a class
                try:
                    return _find(inner, name, first)
                except LookupError:
                    continue
    raise LookupError(name)


def functions_of(paths: set[str]) -> dict[tuple[str, str, int], list[types.FunctionType]]:
    """Every function that there is from these files, by file, name and first line."""
    found: dict[tuple[str, str, int], list[types.FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and one.__code__.co_filename in paths:
            code = one.__code__
            found.setdefault((code.co_filename, code.co_name, code.co_firstlineno), []).append(one)
    return found


# ---- tests in a fork ----------------------------------------------------------------------------


class Forks:
    """A pytest plugin that takes the place of the loop over tests."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.mutants: list[dict[str, Any]] = job["mutants"]
        self.jobs: int = job["jobs"]
        self.patience: float = job["patience"]
        self.results: int = job["results"]
        self.folder = Path(job["folder"])
        self.baseline = Path(job["baseline"]) if job["baseline"] else None
        self.failed = False
        self.seconds: dict[str, float] = {}
        self.reach: dict[str, dict[str, list[str]]] = {}
        self.killers: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        items = {item.nodeid: item for item in session.items}
        _ready(session)
        self.learn(items)
        self.functions = functions_of({one["path"] for one in self.mutants})
        gc.freeze()  # what the children share is not copied because it is looked through
        workers = [self.worker(items, number) for number in range(self.jobs)]
        statuses = [os.waitpid(pid, 0)[1] for pid in workers]
        if any(statuses):
            raise session.Failed("a change could not be tried")
        return True

    def worker(self, items: Mapping[str, pytest.Item], number: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            for mutant in self.mutants[number :: self.jobs]:
                self.tell(mutant, *self.try_(mutant, items))
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)

    def tell(self, mutant: Mapping[str, Any], by: str, tests: int, seconds: float) -> None:
        self.say({"number": mutant["number"], "by": by, "tests": tests, "seconds": seconds})

    def say(self, what: Mapping[str, Any]) -> None:
        os.write(self.results, json.dumps(what).encode() + b"\n")

    # ---- before anything is changed ---------------------------------------------------------

    def learn(self, items: Mapping[str, pytest.Item]) -> None:
        """Measure, or take what was measured and kept before."""
        if self.baseline is not None and self.baseline.exists():
            kept = json.loads(self.baseline.read_text("utf-8"))
            self.reach, self.seconds = kept["reach"], kept["seconds"]
            self.left = set(kept["left"]) & items.keys()
            return
        self.measure(items)
        if self.baseline is not None:
            kept = {"reach": self.reach, "seconds": self.seconds, "left": sorted(self.left)}
            self.baseline.write_text(json.dumps(kept), encoding="utf-8")

    def measure(self, items: Mapping[str, pytest.Item]) -> None:
        """Which tests reach which lines, and how long each takes. Those that fail are left out; a
        second round of the quick ones, in another order, finds those that fail because of the one
        before."""
        found = self.folder / "found.json"
        left, slow = list(items), []
        for covered in (True, False):
            pid = os.fork()
            if not pid:
                _quiet()
                found.write_text(json.dumps(self.run_all([items[i] for i in left], covered)))
                os._exit(0)
            if os.waitpid(pid, 0)[1]:
                raise SystemExit("the tests cannot be run before anything is changed")
            data = json.loads(found.read_text())
            self.reach = data["reach"] or self.reach
            self.seconds.update(data["seconds"])
            for test in data["failed"]:
                self.say({"failed": test})
            left = sorted(set(left) - set(data["failed"]), key=self.seconds.__getitem__)
            slow = slow or [test for test in left if self.seconds[test] > SLOW]
            left = [test for test in left if test not in slow]
        self.left = {*left, *slow}

    def run_all(self, items: Sequence[pytest.Item], covered: bool) -> dict[str, Any]:
        from coverage import Coverage

        paths = sorted({one["path"] for one in self.mutants})
        coverage = Coverage(data_file=None, include=paths, config_file=False)
        if covered:
            coverage.start()
        seconds, failed = {}, []
        for item, after in zip(items, [*items[1:], None]):
            if covered:
                coverage.switch_context(item.nodeid)
            start, self.failed = time.perf_counter(), False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            seconds[item.nodeid] = time.perf_counter() - start
            if self.failed:
                failed.append(item.nodeid)
        reach = {}
        if covered:
            coverage.stop()
            for path in paths:
                lines = coverage.get_data().contexts_by_lineno(path)
                reach[self.within(path)] = {
                    str(line): [one for one in by if one] for line, by in lines.items()
                }
        return {"seconds": seconds, "failed": failed, "reach": reach}

    def within(self, path: str) -> str:
        return str(Path(path).relative_to(self.folder))

    # ---- one change -------------------------------------------------------------------------

    def chosen(self, mutant: Mapping[str, Any]) -> list[str]:
        """The tests that reach a change: all that are about its module, and some of the others.
        First those that have noticed others of the function, then the quick ones."""
        reach = self.reach.get(self.within(mutant["path"]), {})
        for line in (mutant["line"], mutant["statement"]):
            found = [test for test in reach.get(str(line), ()) if test in self.left]
            if found:
                break
        quick = [test for test in found if self.seconds[test] <= SLOW]
        tests = found if mutant["thorough"] else quick or found
        killers = self.killers.get(mutant["function"], Counter())
        tests = sorted(tests, key=self.seconds.__getitem__)
        if not mutant["thorough"]:
            about = [test for test in tests if mutant["first"] in test.partition("::")[0]]
            tests = list(dict.fromkeys([*about, *_some_of_each(tests)]))
        return sorted(tests, key=lambda test: (-killers[test], self.seconds[test]))

    def try_(
        self, mutant: Mapping[str, Any], items: Mapping[str, pytest.Item]
    ) -> tuple[str, int, float]:
        tests = self.chosen(mutant)
        start = time.perf_counter()
        by = self.noticed_by(mutant, [items[test] for test in tests]) if tests else ""
        if by:
            self.killers.setdefault(mutant["function"], Counter())[by.split(" hangs")[0]] += 1
        return by, len(tests), time.perf_counter() - start

    def noticed_by(self, mutant: Mapping[str, Any], items: Sequence[pytest.Item]) -> str:
        """The test that notices the change; "" when none does."""
        reads, writes = os.pipe()
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            os.close(reads)
            try:
                self.change(mutant)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                _quiet()
                os._exit(self.first_failure(items, lambda: os.write(writes, b".")))
            except BaseException:  # or it would go on as a second parent
                traceback.print_exc()
                os._exit(BROKEN)
        os.close(writes)
        begun, hangs, status = -1, False, 0
        try:
            while not hangs:
                limit = self.patience + 12 * self.seconds[items[max(begun, 0)].nodeid]
                if not select.select([reads], [], [], limit)[0]:
                    hangs = True
                elif told := os.read(reads, 4096):
                    begun += len(told)
                else:
                    break
        finally:
            os.close(reads)
            if hangs:
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            _end_group(pid)
        code = os.waitstatus_to_exitcode(status)
        if code == BROKEN:
            raise RuntimeError(f"cannot be tried: {mutant['function']} line {mutant['line']}")
        if hangs:
            return f"{items[max(begun, 0)].nodeid} hangs"
        return items[max(begun, 0)].nodeid if code != PASSED else ""

    def change(self, mutant: Mapping[str, Any]) -> None:
        name, first = mutant["top"]
        there = self.functions[mutant["path"], name, first]
        free = there[0].__code__.co_freevars
        code = code_of(mutant["source"], mutant["path"], name, first, free)
        for function in there:
            function.__code__ = code

    def first_failure(self, items: Sequence[pytest.Item], begins: Callable[[], Any]) -> int:
        for item, after in zip(items, [*items[1:], None]):
            begins()
            self.failed = False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if self.failed:
                return FAILED
        return PASSED


def _some_of_each(tests: Sequence[str]) -> list[str]:
    """So many that there are `MANY` of them, in turn from each module that has some."""
    turns: dict[str, int] = Counter()
    turned = []
    for number, test in enumerate(tests):
        file = test.partition("::")[0]
        turns[file] += 1
        turned.append((turns[file], number, test))
    return [test for _, _, test in sorted(turned)[:MANY]]


def _ready(session: pytest.Session) -> None:
    """What children must not do each by itself."""
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutation",
        phases=(Phase.explicit, Phase.generate),  # one example is enough to fail
        deadline=None,
        database=None,
        derandomize=True,
    )
    settings.load_profile("mutation")


def _quiet() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def _end_group(number: int) -> None:
    """End what a child has started and left."""
    try:
        os.killpg(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def main(argv: Sequence[str]) -> int:
    job = json.loads(Path(argv[0]).read_text("utf-8"))
    for mutant in job["mutants"]:
        source = Path(mutant["path"]).read_text("utf-8")
        mutant["top"] = outermost(source, mutant["line"])
        mutant["statement"] = statement_of(source, mutant["line"])
    options = ["-q", "-s", "-p", "no:cacheprovider", "-o", "timeout=0"]
    places = [f"--basetemp={Path(job['folder'], 'tmp')}", "-o", "tmp_path_retention_policy=none"]
    return int(pytest.main([*options, *places, *job["tests"]], plugins=[Forks(job)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
