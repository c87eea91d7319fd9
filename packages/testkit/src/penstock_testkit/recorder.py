"""A pytest plugin that writes the outcome of every rule to a file; only `runner` loads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .rules import NOT_APPLICABLE, WAIVED, Rule, Suite, rules_of

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--penstock-outcomes", help="file to write the outcomes of rules to")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--penstock-outcomes")
    if path:
        config.pluginmanager.register(_Recorder(Path(path)))


class _Recorder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.rules: dict[str, tuple[str, Rule]] = {}
        self.outcomes: dict[tuple[str, str], dict[str, Any]] = {}
        self.broken: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            cls = getattr(item, "cls", None)
            if cls is None or not issubclass(cls, Suite):
                continue
            name = getattr(item, "originalname", item.name)
            rule = next(rule for rule in rules_of(cls) if rule.name == name)
            around = item.getparent(pytest.Class)
            self.rules[item.nodeid] = (around.name if around else cls.__name__, rule)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(
                str(report.longrepr).strip().splitlines()[-1].removeprefix("E").strip()
            )

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None]:
        outcome: Any = yield
        report = outcome.get_result()
        if item.nodeid in self.rules and (report.when == "call" or report.outcome != "passed"):
            self._add(*self.rules[item.nodeid], report, call)

    def _add(self, suite: str, rule: Rule, report: Any, call: pytest.CallInfo[None]) -> None:
        state, message = report.outcome, ""
        if report.skipped:
            said = str(call.excinfo.value) if call.excinfo is not None else ""
            for mark, name in ((WAIVED, "waived"), (NOT_APPLICABLE, "does not apply")):
                if said.startswith(mark):
                    state, message = name, said.removeprefix(mark)
            if state == "skipped":
                message = said
        elif report.failed and call.excinfo is not None:
            message = _message(call.excinfo)
        one = self.outcomes.setdefault(
            (suite, rule.name),
            {"suite": suite, "rule": rule.name, "sentence": rule.sentence}
            | {"state": state, "message": message, "figures": {}},
        )
        # Of several cases of one rule the worst counts.
        order = ["does not apply", "waived", "skipped", "passed", "failed"]
        if order.index(state) > order.index(one["state"]):
            one.update(state=state, message=message)
        one["figures"].update(report.user_properties)

    def pytest_sessionfinish(self) -> None:
        found = {"outcomes": list(self.outcomes.values()), "broken": self.broken}
        self.path.write_text(json.dumps(found), encoding="utf-8")


def _message(error: pytest.ExceptionInfo[BaseException]) -> str:
    """What was found, in one line: an assertion's own sentence, or the exception."""
    text = str(error.value)
    first = text.splitlines()[0] if text else ""
    if isinstance(error.value, AssertionError):
        return first
    return f"{error.typename}: {first}" if first else error.typename
