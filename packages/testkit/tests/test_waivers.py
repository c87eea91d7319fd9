"""A waiver has a reason and a rule, and is listed; what else the kit says of itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import penstock
from penstock import PluginError, TransientError
from penstock_testkit import ListInput, MemoryBroker, StageSuite, rules_of, waive
from penstock_testkit.runner import hold

RULE = "test_memory_does_not_grow_with_the_records"


def test_suites_that_cannot_be_run_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PluginError, match="its suites cannot be run"):
        hold(tmp_path / "conformance.py")


def test_a_waiver_is_listed_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "conformance.py"
    file.write_text(
        "import pytest\n"
        "from penstock_testkit import SchedulerSuite, waive\n"
        "from penstock.schedule import Once\n"
        "class TestOnce(SchedulerSuite):\n"
        "    scheduler = pytest.fixture(lambda self: Once())\n"
        "    @waive('it has one tick')\n"
        "    def test_ticks_are_numbered_from_one(self): ...\n"
    )
    [waived] = [one for one in hold(file) if one.state == "waived"]
    assert waived.rule == "test_ticks_are_numbered_from_one"
    assert waived.message == "it has one tick"


def test_only_a_rule_can_be_waived() -> None:
    with pytest.raises(TypeError, match="there is no rule 'test_nothing' to waive"):

        class TestStage(StageSuite):
            @waive("it has no such rule")
            def test_nothing(self): ...


def test_a_waiver_needs_a_reason() -> None:
    with pytest.raises(TypeError, match="a waiver needs a reason"):
        waive(" ")


def test_a_waived_rule_keeps_its_sentence() -> None:
    class TestSort(StageSuite):
        @waive("it needs them all")
        def test_memory_does_not_grow_with_the_records(self): ...

    [kept] = [rule.sentence for rule in rules_of(StageSuite) if rule.name == RULE]
    [waived] = [rule for rule in rules_of(TestSort) if rule.name == RULE]
    assert (waived.sentence, waived.waived) == (kept, "it needs them all")


def test_a_broker_in_memory_can_be_busy() -> None:
    output = MemoryBroker(fails=1).output("numbers")
    with pytest.raises(TransientError, match="the broker is busy"):
        output.write(penstock.Batch([1]))
    report = penstock.run(ListInput(values=[1, 2, 3]), MemoryBroker(fails=2).output("numbers"))
    assert report.status == "ok"
