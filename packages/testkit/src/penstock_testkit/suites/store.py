"""The rules for stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock import Checkpoint, DeadLetter, FencedError, LeaseTakenError, Store
from penstock.store import IndexedKey, encode_record

from ..rules import Suite, not_applicable

__all__ = ["StoreSuite"]

P = "conformance"


def letter(ordinal: int, **values: Any) -> DeadLetter:
    given: dict[str, Any] = {"pipeline": P, "source": "s", "node": "n", "run_id": "r1"}
    given |= {"error": "E", "message": "m", "record": "{}", "first": 1.0, "last": 1.0, **values}
    return DeadLetter(ordinal=ordinal, **given)


def checkpoint(generation: int, epoch: int = 1, **values: Any) -> Checkpoint:
    return Checkpoint(
        P, "r1", epoch, generation, {"s": [1, "a"]}, {"s": 3}, {"n": {"held": []}}, **values
    )


def take(store: Store, holder: str = "me", alive: bool | None = False) -> int:
    return store.lease(P, holder, 10.0, 20.0, lambda _: alive)


def keep(store: Store, letters: list[DeadLetter]) -> None:
    """Keep letters ahead of a checkpoint, each under its own pipeline."""
    for one in letters:
        generation = store.lease(one.pipeline, "me", 10.0, 20.0, lambda _: False)
        store.keep(one.pipeline, generation, [one])


class StoreSuite(Suite):
    """An author gives the fixture `store`: a new, open store; and, for one that outlives its
    process, `reopened`: a function that closes a store and opens what it has left."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("give the fixture `store`")

    @pytest.fixture
    def reopened(self) -> Callable[[Store], Store] | None:
        return None

    def test_a_lease_is_held_by_one(self, store: Store) -> None:
        """While the holder of a lease is alive nobody else gets it; when he is dead, or his time
        has run out and nobody can tell, the next one does, under a higher generation."""
        first = take(store, "one")
        assert store.holder(P) == ("one", 20.0)
        for now, alive in ((11.0, True), (99.0, True), (11.0, None)):
            with pytest.raises(LeaseTakenError):
                store.lease(P, "two", now, now + 10, lambda _: alive)  # noqa: B023
        second = store.lease(P, "two", 11.0, 21.0, lambda _: False)
        third = store.lease(P, "three", 99.0, 109.0, lambda _: None)
        assert first < second < third, f"generations were {first}, {second}, {third}"

    def test_a_lease_is_renewed_and_given_back(self, store: Store) -> None:
        """A lease can be kept for longer, and given back by its holder alone."""
        generation = take(store, "one")
        store.renew(P, generation, 50.0)
        assert store.holder(P) == ("one", 50.0)
        store.release(P, generation - 1)
        assert store.holder(P) == ("one", 50.0), "somebody else gave it back"
        store.release(P, generation)
        assert store.holder(P) is None

    def test_an_outrun_generation_is_refused(self, store: Store) -> None:
        """What changes a pipeline under a generation that has been overtaken raises FencedError and
        changes nothing."""
        old = take(store, "one")
        new = take(store, "two")
        store.save(checkpoint(new))
        before = store.checkpoint(P)
        for change in (
            lambda: store.save(checkpoint(old, 2), [letter(9)]),
            lambda: store.put_intent(checkpoint(old, 2)),
            lambda: store.attempt(P, old, "s:1"),
            lambda: store.forget(P, old),
            lambda: store.keep(P, old, [letter(9)]),
            lambda: store.forget_after(P, old, 0),
            lambda: store.renew(P, old, 99.0),
            lambda: store.outrank(P, old, 99),
        ):
            with pytest.raises(FencedError):
                change()
        assert (store.checkpoint(P), store.letters(), store.intent(P)) == (before, [], None)

    def test_a_generation_can_be_raised_above_another(self, store: Store) -> None:
        """A store that was put back to an older copy goes on above the generation that an output
        has seen."""
        generation = take(store)
        raised = store.outrank(P, generation, generation + 7)
        assert raised > generation + 7
        store.save(checkpoint(raised))

    def test_a_checkpoint_comes_back(self, store: Store) -> None:
        """The last checkpoint of a pipeline comes back as it was, and is no other pipeline's."""
        generation = take(store)
        for epoch in (1, 2):
            store.save(checkpoint(generation, epoch))
        assert store.checkpoint(P) == checkpoint(generation, 2)
        assert store.checkpoint("another") is None

    def test_the_last_checkpoints_are_kept(self, store: Store) -> None:
        """The last checkpoints of a pipeline come back, newest first, until somebody goes back to
        an earlier one or starts over."""
        generation = take(store)
        for epoch in (1, 2, 3, 4):
            store.save(checkpoint(generation, epoch))
        assert [one.epoch for one in store.history(P)] == [4, 3, 2, 1]
        store.forget_after(P, generation, 2)
        assert [one.epoch for one in store.history(P)] == [2, 1]
        store.forget(P, generation)
        assert store.history(P) == []

    def test_a_checkpoint_is_kept_with_its_letters_and_keys(self, store: Store) -> None:
        """A checkpoint, its letters and its keys are kept in one step, and letters that it answers
        are forgotten in the same."""
        generation = take(store)
        store.save(checkpoint(generation), [letter(1), letter(2)])
        key = IndexedKey(P, "r1", "s", 3, "k3")
        store.save(checkpoint(generation, 2), [letter(3)], [key], [letter(1)])
        assert [one.ordinal for one in store.letters(P)] == [2, 3]
        assert store.find_key("k3") == [key]
        assert store.find_key("k3", "another") == []

    def test_a_checkpoint_ends_intents_and_attempts(self, store: Store) -> None:
        """An intent and the attempts at an epoch are there until its checkpoint is."""
        generation = take(store)
        store.put_intent(checkpoint(generation, 2))
        counts = [store.attempt(P, generation, "s:1") for _ in range(3)]
        assert counts == [1, 2, 3]
        store.withdraw(P, generation, ["s:1"])
        assert dict(store.attempts(P)) == {"s:1": 2}
        assert store.intent(P) == checkpoint(generation, 2)
        store.save(checkpoint(generation, 2))
        assert (store.intent(P), dict(store.attempts(P))) == (None, {})

    def test_a_pipeline_can_be_forgotten(self, store: Store) -> None:
        """Starting over drops the checkpoint, the intent and the attempts, and keeps the
        letters."""
        generation = take(store)
        store.save(checkpoint(generation), [letter(1)])
        store.put_intent(checkpoint(generation, 2))
        store.attempt(P, generation, "s:1")
        store.forget(P, generation)
        found = (store.checkpoint(P), store.intent(P), dict(store.attempts(P)))
        assert found == (None, None, {})
        assert len(store.letters(P)) == 1

    def test_a_letter_is_kept_once(self, store: Store) -> None:
        """A letter of the same identity replaces the earlier one; it keeps when the record was
        first seen, and adds up the attempts."""
        keep(store, [letter(1, message="old", attempts=2)])
        keep(store, [letter(1, message="new", first=5.0, last=5.0)])
        [kept] = store.letters(P)
        found = (kept.message, kept.attempts, kept.first, kept.last)
        assert found == ("new", 3, 1.0, 5.0)

    def test_letters_come_back_by_pipeline_and_run(self, store: Store) -> None:
        """Letters are given by source and ordinal, of one pipeline or run or of all."""
        keep(store, [letter(2, run_id="r2"), letter(1), letter(3, pipeline="another")])
        assert [one.ordinal for one in store.letters(P)] == [1, 2]
        assert [one.ordinal for one in store.letters(P, "r2")] == [2]
        assert len(store.letters()) == 3
        assert store.letters(P)[0] == letter(1)

    def test_any_record_comes_back_from_a_letter(self, store: Store) -> None:
        """Text of any kind comes back from a letter as it was."""
        for number, record in enumerate(["\x00", "\ud800", "é😀", {"a": ["\udfff"]}], 1):
            text = encode_record(record)
            keep(store, [letter(number, record=text, message="a\x00b")])
            assert store.letters(P)[-1].record == text

    def test_letters_can_be_dropped_and_settled(self, store: Store) -> None:
        """Letters are dropped one by one, and those of sources that were read to the end since they
        were last seen are settled."""
        keep(store, [letter(1), letter(2), letter(3, source="t"), letter(4, last=9.0)])
        assert store.drop_letters([letter(1), letter(99)]) == 1
        assert store.settle_letters(P, 1.0, ["s"]) == 0
        assert store.settle_letters(P, 2.0, ["s"]) == 1
        assert [one.ordinal for one in store.letters(P)] == [4, 3]

    def test_reports_are_kept_newest_first(self, store: Store) -> None:
        """Reports come back newest first; one of the same run replaces the earlier one."""
        for number in (1, 2, 3):
            report = {"run_id": f"r{number}", "pipeline": P, "started": number, "n": number}
            store.keep_report(report)
        store.keep_report({"run_id": "r3", "pipeline": P, "started": 3, "n": 33})
        assert [one["n"] for one in store.reports(P)] == [33, 2, 1]
        assert len(store.reports(limit=2)) == 2
        assert store.reports("another") == []

    def test_it_outlives_its_process(
        self, store: Store, reopened: Callable[[Store], Store] | None
    ) -> None:
        """What was kept is there when the store is opened again."""
        if reopened is None:
            not_applicable("it ends with its process")
        generation = take(store)
        key = IndexedKey(P, "r1", "s", 3, "k3")
        store.save(checkpoint(generation), [letter(1)], [key])
        store.put_intent(checkpoint(generation, 2))
        again = reopened(store)
        try:
            assert again.checkpoint(P) == checkpoint(generation)
            assert again.intent(P) == checkpoint(generation, 2)
            assert again.letters(P) == [letter(1)]
            assert again.find_key("k3") == [key]
            assert take(again) > generation
        finally:
            again.close()
