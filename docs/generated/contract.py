"""The rules that plugins keep, as the docstrings of the suites that hold them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from penstock_testkit import (
    BrokerSuite,
    CommandSuite,
    DialectSuite,
    EngineSuite,
    InputSuite,
    OutputSuite,
    SchedulerSuite,
    StageSuite,
    StoreSuite,
    Suite,
    SyntaxSuite,
    rules_of,
)
from penstock_testkit.packaging import PACKAGE_RULES, rule_of

TITLES: dict[str, type[Suite]] = {
    "Inputs": InputSuite,
    "Transformers and inspectors": StageSuite,
    "Outputs": OutputSuite,
    "Brokers": BrokerSuite,
    "Stores": StoreSuite,
    "Engines": EngineSuite,
    "Schedulers": SchedulerSuite,
    "Dialects": DialectSuite,
    "Syntaxes": SyntaxSuite,
    "Commands": CommandSuite,
}


def contract() -> Iterator[str]:
    yield "## Packages"
    yield ""
    yield "What `penstock certify` looks at before it runs the suites of a package."
    yield ""
    for check in PACKAGE_RULES:
        yield f"- **{check.__name__.replace('_', ' ')}**: {on_one_line(rule_of(check).text)}"
    yield ""
    for title, suite in TITLES.items():
        yield f"## {title}"
        yield ""
        yield f"`{suite.__name__}`. {first_paragraph(suite)}"
        yield ""
        for rule in rules_of(suite):
            name = rule.name.removeprefix("test_").replace("_", " ")
            yield f"- **{name}**: {on_one_line(rule.text)}"
        yield ""


def first_paragraph(suite: type[Suite]) -> str:
    return on_one_line((inspect.getdoc(suite) or "").split("\n\n")[0])


def on_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


PARTS = {"contract": contract}
