"""What is said of a failure, and what becomes of the record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock import DeadLetter, Failure, RecordError, RunError
from penstock.errors import ConfigError, Problem
from penstock.failures import Failures, describe, shape_of
from penstock.testing import FakeClock


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RecordError("no \x1b[2J here\r\n\x9b"), "no \\x1b[2J here\\r\\n\\x9b"),
        (ValueError("a\x07b\nc"), "ValueError: a\\x07b\\nc"),
        (RunError("größer\x7f", where="w\n"), "w\\n: größer\\x7f"),
        (ConfigError([Problem("one\x1b"), Problem("two")]), "one\\x1b\ntwo"),
    ],
)
def test_control_characters_of_data_do_not_reach_a_terminal(
    error: Exception, sentence: str
) -> None:
    assert describe(error) == sentence
    assert describe(RecordError(sentence.replace("\n", ""))) == sentence.replace("\n", "")


def test_an_error_that_says_nothing_is_its_name() -> None:
    assert describe(ValueError()) == "ValueError"
    assert describe(RecordError("as written")) == "as written"


def test_the_shape_of_a_message_is_without_values_and_numbers() -> None:
    said = "row 7 has 'a \\' quote', \"b\" and 1.5 of 20"
    assert shape_of(said) == "row … has …, … and … of …"


# ---- counting, keeping, stopping ----------------------------------------------------------------


class Desk:
    """Failures of a run that has only one node, which need not do anything."""

    def __init__(self, on_error: str = "collect") -> None:
        self.clock, self.kept = FakeClock(100.0), 0
        self.heard: list[DeadLetter] = []
        self.failures = Failures("p", "r1", self.clock, self.hear, self.keep)
        plugin = SimpleNamespace(plugin="acme", version="1.2", config_hash="cafe")
        self.node: Any = SimpleNamespace(
            name="node",
            secrets=frozenset({"hunter2"}),
            node=plugin,
            settings=SimpleNamespace(on_error=on_error),
            skipped=0,
            dead=0,
        )

    def hear(self, failures: Failures, node: Any, letter: DeadLetter) -> None:
        assert (failures, node) == (self.failures, self.node)
        self.heard.append(letter)

    def keep(self) -> None:
        self.kept += 1
        self.failures.take()

    def fail(self, *ordinals: int, message: str = "no") -> None:
        error = ValueError(message)
        self.failures.set_aside(self.node, "s", [Failure("x", n, error) for n in ordinals])

    def stops(self, read: int, *, final: bool = False) -> str:
        try:
            self.failures.check_breaker(read, final=final)
        except RunError as error:
            return str(error)
        return ""


@pytest.mark.parametrize(
    ("failed", "read", "final", "stops"),
    [
        (99, 99, True, False),
        (100, 100, True, True),
        (100, 100, False, False),
        (100, 999, False, False),
        (100, 999, True, True),
        (100, 1000, False, False),
        (101, 1000, False, True),
        (101, 1009, False, True),
        (101, 1010, True, False),
    ],
)
def test_the_breaker_stops_at_a_hundred_that_are_more_than_a_tenth_of_a_thousand(
    failed: int, read: int, final: bool, stops: bool
) -> None:
    desk = Desk()
    desk.fail(*range(1, failed + 1))
    assert bool(desk.stops(read, final=final)) is stops


def test_the_breaker_looks_at_one_epoch_and_names_what_failed_most() -> None:
    desk = Desk()
    desk.fail(*range(1, 91))
    desk.failures.begin_epoch(1000)
    desk.fail(*range(1001, 1100), message="other")
    assert desk.stops(2000) == ""
    desk.fail(1100, message="other")
    assert desk.stops(1100, final=True) == (
        "node: 100 of 100 records failed, most as at s:1001: ValueError: other; mend the pipeline "
        "or the data; a run stops when more than 10 % fail"
    )
    desk.failures.breaker = False
    assert desk.stops(1100, final=True) == ""


def test_a_letter_says_everything_that_is_needed_to_try_again() -> None:
    desk = Desk()
    desk.fail(7, message="wrong hunter2")
    letter = DeadLetter(
        pipeline="p",
        source="s",
        ordinal=7,
        node="node",
        error="ValueError",
        message="ValueError: wrong ***",
        record='"x"',
        run_id="r1",
        plugin="acme",
        version="1.2",
        config_hash="cafe",
        attempts=1,
        first=100.0,
        last=100.0,
        part=0,
    )
    assert desk.heard == desk.failures.take() == [letter]
    assert desk.failures.take() == []
    assert (desk.node.dead, desk.node.skipped) == (1, 0)
    assert (desk.failures.letters, desk.failures.total) == (1, 1)


def test_an_error_may_say_how_often_it_was_tried() -> None:
    desk, error = Desk(), ValueError("no")
    error.attempts = 4  # type: ignore[attr-defined]
    desk.failures.set_aside(desk.node, "s", [Failure({"password": "hunter2"}, 1, error)])
    [letter] = desk.failures.take()
    assert (letter.attempts, letter.record) == (4, '{"password": "***"}')


def test_a_letter_is_never_older_than_its_run() -> None:
    desk = Desk()
    desk.failures.since = 200.0
    desk.fail(1)
    desk.clock.time = 300.0
    desk.fail(2)
    assert [(one.first, one.last) for one in desk.heard] == [(200.0, 200.0), (300.0, 300.0)]


def test_what_is_skipped_is_counted_and_no_letter() -> None:
    desk = Desk("skip")
    desk.fail(1, 2)
    assert (desk.heard, desk.failures.take()) == ([], [])
    assert (desk.node.skipped, desk.node.dead, desk.failures.total) == (2, 0, 2)
    assert [group.count for group in desk.failures.groups.values()] == [2]


def test_the_first_failure_ends_a_run_that_is_to_stop() -> None:
    desk = Desk("stop")
    with pytest.raises(RunError) as caught:
        desk.fail(3, 4)
    assert str(caught.value) == "node at s:3: ValueError: no; on_error is 'stop'"
    assert (caught.value.node, str(caught.value.__cause__)) == ("node", "no")
    assert desk.failures.total == 0


def test_letters_are_kept_when_a_thousand_of_them_wait() -> None:
    desk = Desk()
    desk.fail(*range(1, 1000))
    assert desk.kept == 0
    desk.fail(1000)
    assert desk.kept == 1
    assert desk.failures.letters == 1000
    assert desk.failures.take() == []


def test_results_of_one_record_that_fail_at_one_node_are_told_apart_in_their_epoch() -> None:
    desk = Desk()
    desk.failures.reserved = {("p", "s", 7, "node", 1)}
    desk.fail(7, 7, 8, 7)
    assert [(one.ordinal, one.part) for one in desk.heard] == [(7, 0), (7, 2), (8, 0), (7, 3)]
    desk.failures.begin_epoch(9)
    desk.fail(7)
    assert desk.heard[-1].part == 0


def test_after_fifty_kinds_of_failure_the_others_are_one_group_for_each_kind_of_error() -> None:
    desk = Desk()
    for number in range(50):
        desk.fail(number, message="x" * number)
    desk.fail(50, message="y")
    desk.fail(51, message="z")
    groups = [*desk.failures.groups.values()]
    assert len(groups) == 51
    assert [one.count for one in groups[-2:]] == [1, 2]
    assert (groups[-1].node, groups[-1].error, groups[-1].example) == ("node", "ValueError", "s:50")
