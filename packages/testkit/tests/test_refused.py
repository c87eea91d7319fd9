"""Every rule refuses the component that breaks it, and no other rule does.

Of the rules that take long, others are tried on it in the long form alone (PENSTOCK_FAULTS=long).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import faulty_inputs
import faulty_others as others
import faulty_outputs
import faulty_stages
import pytest

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
    SyntaxSuite,
    rules_of,
)
from penstock_testkit.runner import Outcome, hold

FOLDER = Path(__file__).parent / "faulty"
FAULTY = [
    *(("Inputs", InputSuite, cls) for cls in faulty_inputs.FAULTY),
    *(("Stages", StageSuite, cls) for cls in faulty_stages.FAULTY),
    *(("Outputs", OutputSuite, cls) for cls in faulty_outputs.FAULTY),
    *(("Stores", StoreSuite, cls) for cls in others.STORES),
    *(("Engines", EngineSuite, cls) for cls in others.ENGINES),
    *(("Schedulers", SchedulerSuite, cls) for cls in others.SCHEDULERS),
    *(("Dialects", DialectSuite, cls) for cls in others.DIALECTS),
    *(("Syntaxes", SyntaxSuite, cls) for cls in others.SYNTAXES),
    *(("Commands", CommandSuite, cls) for cls in others.COMMANDS),
    *(("Brokers", BrokerSuite, cls) for cls in others.BROKERS),
]
GOOD = {"Inputs": ["Input"], "Stages": ["Stage"], "Outputs": ["File", "Log", "Keyed", "Table"]}

pytestmark = pytest.mark.timeout(900)


def names(kind: str) -> list[str]:
    """The suites of one kind of component, the good ones first."""
    faulty = [f"Test{kind}{cls.__name__}" for its, _, cls in FAULTY if its == kind]
    return [*(f"TestGood{name}" for name in GOOD.get(kind, ())), *faulty]


@pytest.fixture(scope="module")
def outcomes() -> Callable[[str], list[Outcome]]:
    """Holding some forty suites takes a while: those of one kind are held together, once."""

    def held(kind: str) -> list[Outcome]:
        file = "suites_of_faulty.py" if kind in GOOD else "suites_of_others.py"
        return hold(FOLDER / file, *names(kind))

    return lru_cache(held)


def of_kind(*kinds: str) -> list[Any]:
    """The kinds, each on a worker of its own."""
    return [pytest.param(kind, marks=pytest.mark.xdist_group(f"refused-{kind}")) for kind in kinds]


def broken(outcomes: list[Outcome], suite: str) -> dict[str, str]:
    """The rules that a suite found broken, with what they said."""
    return {
        one.rule.removeprefix("test_"): str(one)
        for one in outcomes
        if one.suite == suite and one.state == "failed"
    }


@pytest.mark.parametrize("kind", of_kind("Inputs", "Stages", "Outputs"))
def test_what_keeps_the_rules_is_not_refused(
    outcomes: Callable[[str], list[Outcome]], kind: str
) -> None:
    for name in GOOD[kind]:
        suite = f"TestGood{name}"
        assert broken(outcomes(kind), suite) == {}
        assert [one for one in outcomes(kind) if one.suite == suite and one.state == "passed"]


@pytest.mark.parametrize(
    ("kind", "suite", "cls"),
    [
        pytest.param(*one, marks=pytest.mark.xdist_group(f"refused-{one[0]}"), id=one[2].__name__)
        for one in FAULTY
    ],
)
def test_it_is_refused_by_the_rule_that_it_breaks(
    outcomes: Callable[[str], list[Outcome]], kind: str, suite: type, cls: type
) -> None:
    found = broken(outcomes(kind), f"Test{kind}{cls.__name__}")
    assert cls.breaks in found, f"{cls.breaks} did not notice; {found}"
    also = getattr(cls, "also", set())
    if not getattr(cls, "notices", False):
        assert set(found) - also == {cls.breaks}, "\n".join(found.values())
    sentence = next(r.sentence for r in rules_of(suite) if r.name == f"test_{cls.breaks}")
    assert sentence in found[cls.breaks]


@pytest.mark.parametrize("suite", sorted({suite for _, suite, _ in FAULTY}, key=str))
def test_every_rule_has_a_component_that_breaks_it(suite: type) -> None:
    covered = {f"test_{cls.breaks}" for _, its, cls in FAULTY if its is suite}
    assert {rule.name for rule in rules_of(suite)} == covered
