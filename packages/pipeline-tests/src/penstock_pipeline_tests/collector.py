"""Collected by pytest: each case of a file with tests is an item.

Only pytest imports this module, through its entry point; without pytest nothing does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .finding import has_tests, is_test_file

if TYPE_CHECKING:
    from .staging import Stage
    from .suites import Suite

__all__ = ["CaseItem", "SuiteFile", "pytest_addoption", "pytest_collect_file"]

_CHOICES = ("all", "files", "off")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "penstock_tests",
        "Which tests of pipelines are collected: all, files (*.test.yaml and its like), or off.",
        default="all",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """Named by name, or with a glance at its text: nothing is parsed that has no tests."""
    wanted = parent.config.getini("penstock_tests")
    if wanted not in _CHOICES:
        raise pytest.UsageError(
            f"penstock_tests: must be one of {', '.join(_CHOICES)}, got {wanted!r}"
        )
    if wanted == "off":
        return None
    if is_test_file(file_path) or (wanted == "all" and has_tests(file_path)):
        made: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
        return made
    return None


class SuiteFile(pytest.File):
    """A file with tests."""

    def collect(self) -> Iterator[CaseItem]:
        from penstock import PenstockError

        from .suites import open_suite

        try:
            suite = open_suite(_near(self.path))
        except PenstockError as error:
            raise self.CollectError(str(error)) from None
        for stage in suite.stages:
            yield CaseItem.from_parent(self, name=stage.case.name, suite=suite, stage=stage)


def _near(path: Path) -> Path:
    """The path as a person here would write it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


class CaseItem(pytest.Item):
    """One case."""

    def __init__(self, *, suite: Suite, stage: Stage, **given: Any) -> None:
        super().__init__(**given)
        self.suite = suite
        self.stage = stage

    def runtest(self) -> None:
        result = self.suite.run(self.stage)
        if not result.passed:
            raise _FailedError("\n".join(result.complaints))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, _FailedError):
            return f"{self.stage.case.place}: {self.name}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        line = self.stage.case.document.place(*self.stage.case.path).line
        return self.path, max(line - 1, 0), self.name


class _FailedError(Exception):
    """A case did not come out as expected."""
