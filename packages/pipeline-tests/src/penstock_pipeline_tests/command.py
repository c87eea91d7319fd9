"""`penstock test`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from penstock import ConfigError, PenstockError, PluginError, UsageError
from penstock.cli import common_arguments
from penstock.cli.loading import at_least_one
from penstock.cli.showing import print_json
from penstock.errors import EXIT_OK, EXIT_TESTS

from .finding import find
from .suites import Result, Suite, open_suite

__all__ = ["Command"]


class Command:
    """Runs the tests of pipelines."""

    HELP = "run the tests of pipelines"

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "paths", nargs="*", help="pipelines, test files or folders (default: this folder)"
        )
        parser.add_argument(
            "-k",
            action="append",
            default=[],
            metavar="TEXT",
            help="only cases whose file or name contains this; may be repeated",
        )
        parser.add_argument("--engine", help="run every case on this engine")
        parser.add_argument(
            "--coverage",
            action="store_true",
            help="say which nodes, branches and failure paths no case reached",
        )
        parser.add_argument(
            "--fail-under",
            type=_percent,
            metavar="PERCENT",
            help="fail when less than this is covered",
        )
        parser.add_argument(
            "--record",
            metavar="PIPELINE",
            help="run this pipeline on its real input, with its outputs captured, and write the "
            "sample as a case",
        )
        parser.add_argument(
            "-n",
            "--records",
            type=at_least_one("--records"),
            default=10,
            metavar="N",
            help="with --record: so many records (default: 10)",
        )
        parser.add_argument(
            "--redact",
            action="append",
            default=[],
            metavar="FIELD",
            help="with --record: replace this field by pseudonyms, too; may be repeated",
        )
        parser.add_argument(
            "-o", "--output", metavar="FILE", help="with --record: the file to write"
        )
        common_arguments(parser, pipeline=False)

    @staticmethod
    def run(options: Any) -> int:
        if options.record is not None:
            from .recording import record

            return record(options)
        for name in ("redact", "output"):
            if getattr(options, name):
                raise UsageError(
                    f"--{name} goes with --record", where="penstock test", hint="leave it out"
                )
        return _Tests(options).run()


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0  # refused below, in the same words
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 100, got {text!r}")
    return value


class _Tests:
    def __init__(self, options: Any) -> None:
        self.options = options
        self.results: list[Result] = []
        self.errors: list[PenstockError] = []

    def run(self) -> int:
        started = perf_counter()
        paths = [Path(one) for one in self.options.paths] or [Path()]
        files = find(paths)
        if not files:
            where = " ".join(map(str, paths))
            raise UsageError(
                "no tests found",
                where=where,
                hint="a pipeline has them under 'tests', or in a file such as orders.test.yaml",
            )
        suites = [suite for path in files if (suite := self._open(path)) is not None]
        self._run(suites)
        coverage = self._coverage(suites)
        self._report(perf_counter() - started, coverage)
        return self._exit(coverage)

    def _open(self, path: Path) -> Suite | None:
        try:
            return open_suite(
                path,
                plugin_files=map(Path, self.options.plugin),
                discover=not self.options.no_plugins,
                engine=self.options.engine,
            )
        except (ConfigError, PluginError) as error:
            self.errors.append(error)
            if not self.options.json:
                print(error, file=sys.stderr)
            return None

    def _run(self, suites: Sequence[Suite]) -> None:
        all_of_them = [(suite, one) for suite in suites for one in suite.stages]
        chosen = [
            (suite, one)
            for suite, one in all_of_them
            if not self.options.k
            or any(text.lower() in _name(suite, one.case.name).lower() for text in self.options.k)
        ]
        if not chosen and not self.errors:
            count = len(all_of_them)
            what = f"no test matches -k {' -k '.join(map(repr, self.options.k))}"
            raise UsageError(
                what if self.options.k else "no tests found: the files hold none",
                where="penstock test",
                hint=f"there {_many(count, 'case')}" if count else "give a case under 'tests'",
            )
        for suite, one in chosen:
            result = suite.run(one)
            self.results.append(result)
            if not self.options.json:
                _show(suite, result)

    def _coverage(self, suites: Sequence[Suite]) -> Any:
        if not self.options.coverage and self.options.fail_under is None:
            return None
        from .coverage import Coverage

        coverage = Coverage()
        for suite in suites:
            for one in suite.stages:
                coverage.expect(suite.pipeline, one)
        for result in self.results:
            coverage.reach(result.outcome)
        return coverage

    def _report(self, seconds: float, coverage: Any) -> None:
        failed = sum(not result.passed for result in self.results)
        passed = len(self.results) - failed
        if self.options.json:
            print_json(
                {
                    "tests": [_as_json(result) for result in self.results],
                    "passed": passed,
                    "failed": failed,
                    "errors": [line for one in self.errors for line in str(one).splitlines()],
                    **({"coverage": coverage.to_dict()} if coverage is not None else {}),
                }
            )
            return
        if coverage is not None:
            print(f"\n{coverage.table()}")
        parts = [f"{passed} passed"] + ([f"{failed} failed"] if failed else [])
        if self.errors:
            many = len(self.errors)
            parts.append(f"{many} file{'s' if many > 1 else ''} could not be used")
        number = len(self.results)
        print(f"\n{number} test{'s' if number != 1 else ''}: {', '.join(parts)} in {seconds:.2f} s")
        if coverage is not None and self._too_little(coverage):
            least = f"{self.options.fail_under:g}"
            print(f"covered is {coverage.percent:.1f} %, less than {least} %")

    def _too_little(self, coverage: Any) -> bool:
        least = self.options.fail_under
        return coverage is not None and least is not None and coverage.percent < least

    def _exit(self, coverage: Any) -> int:
        """A file that could not be used outweighs a case that failed: less was tried."""
        if self.errors:
            return min(one.exit_code for one in self.errors)
        if any(not result.passed for result in self.results) or self._too_little(coverage):
            return EXIT_TESTS
        return EXIT_OK


def _many(count: int, what: str) -> str:
    return f"are {count} {what}s" if count != 1 else f"is 1 {what}"


def _name(suite: Suite, name: str) -> str:
    return f"{suite.path}: {name}"


def _show(suite: Suite, result: Result) -> None:
    if result.passed:
        print(f"ok    {_name(suite, result.case.name)}")
        return
    print(f"FAIL  {result.case.place}: {result.case.name}")
    for complaint in result.complaints:
        print(f"      {complaint}")


def _as_json(result: Result) -> dict[str, Any]:
    place = result.case.document.place(*result.case.path)
    return {
        "file": place.file,
        "line": place.line,
        "name": result.case.name,
        "passed": result.passed,
        "problems": result.complaints,
        "seconds": round(result.seconds, 6),
    }
