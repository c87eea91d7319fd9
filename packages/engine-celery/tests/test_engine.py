"""A run in chunks ends as any other: the same rows, letters, counts and exit code."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager

import pytest
from celery import Celery

from penstock import ConfigError, RunError, UsageError, load_pipeline
from penstock_celery import bells, coordinator
from penstock_celery.bells import Unheard


def test_every_record_goes_through_once_and_the_report_adds_up(shop):
    shop.make(40)
    with shop.hands():
        run, report = shop.run()
    assert run.error is None
    assert (report.status, report.exit_code, report.engine) == ("ok", 0, "celery")
    assert shop.lost_and_repeated() == (0, 0)
    assert str(report.balance) == "read 40 = written 40 + filtered 0 + dead 0"
    assert report.balance.holds


def test_the_report_is_that_of_the_inline_engine(shop):
    shop.make(40, wrong=(7, 19))
    with shop.hands():
        _, ours = shop.run()
    _, theirs = shop.inline()
    assert str(ours.balance) == str(theirs.balance)
    assert (ours.status, ours.exit_code) == (theirs.status, theirs.exit_code) == ("letters", 6)
    for one, other_one in zip(ours.nodes, theirs.nodes, strict=True):
        assert (one.name, one.received, one.sent, one.failed, one.dead) == (
            other_one.name,
            other_one.received,
            other_one.sent,
            other_one.failed,
            other_one.dead,
        )
    assert [(one.node, one.error, one.count) for one in ours.failures] == [
        (one.node, one.error, one.count) for one in theirs.failures
    ]


def test_records_that_fail_are_letters_of_the_pipeline_named_after_their_chunk(shop):
    shop.make(40, wrong=(7, 19))
    with shop.hands():
        shop.run()
    letters = shop.letters()
    assert [(one.pipeline, one.source, one.ordinal) for one in letters] == [
        ("shop", "orders/1", 7),
        ("shop", "orders/2", 9),
    ]
    assert letters[0].message == "ValueError: nobody pays a negative amount"


def test_the_next_run_is_a_new_one(shop):
    shop.make(20)
    with shop.hands():
        shop.run()
        shop.run()
    assert shop.lost_and_repeated(times=2) == (0, 0)


def test_letters_that_do_not_fail_again_are_settled_by_the_next_run(shop):
    shop.make(20, wrong=(3, 4))
    with shop.hands():
        shop.run()
        assert len(shop.letters()) == 2
        with shop.database() as there:
            there.execute("UPDATE orders SET amount = 5 WHERE id = 3")
        shop.run()
    assert [one.ordinal for one in shop.letters()] == [4]


def test_an_empty_table_is_a_run_without_records(shop):
    shop.make(0)
    with shop.hands():
        run, report = shop.run()
    assert run.error is None
    assert report.balance.read == 0


def test_any_pipeline_whose_input_can_be_split_is_run_by_naming_the_engine(shop):
    """Whoever wrote the input: a source of chunks is an input with `split`."""
    shop.make(40)
    (shop.folder / "counting.py").write_text(COUNTING)
    shop.file.write_text(
        "inputs:\n  numbers: {use: 'counting:Numbers', most: 40}\n"
        "outputs:\n  paid: {use: sql, url: 'sqlite:///shop.db', table: paid}\n"
        "pipes:\n  shop: [numbers, paid]\n"
    )
    named = ["engine.broker_url=memory://", "engine.ledger=sqlite:///ledger.db", "engine.chunks=4"]
    pipeline = load_pipeline(shop.file, engine="celery", settings=named)
    shop.pipeline = lambda *settings: pipeline
    with shop.hands():
        run, report = shop.run()
    assert run.error is None
    assert (report.engine, report.balance.read) == ("celery", 40)
    assert len(shop.ledger().summaries(shop.ledger().run("shop@1"))) == 4
    assert shop.lost_and_repeated() == (0, 0)


# ---- cut off ------------------------------------------------------------------------------------


def test_a_run_that_was_cut_off_goes_on_with_its_chunks(shop):
    shop.make(40)
    _, report = shop.run(max_seconds=0.5)
    assert report.status == "stopped"
    with shop.hands():
        run, report = shop.run()
    assert run.error is None
    assert report.balance.read == 40
    assert shop.lost_and_repeated() == (0, 0)
    ledger = shop.ledger()
    assert ledger.run("shop@1").state == "done"
    assert ledger.run("shop@2") is None


def test_chunks_that_were_added_up_are_not_added_up_again(shop):
    shop.make(40)
    shop.run(max_seconds=0.3)
    shop.do(2, 3)
    _, report = shop.run(max_seconds=0.5)
    assert (report.status, report.balance.read) == ("stopped", 20)
    with shop.hands():
        _, report = shop.run()
    assert (report.status, report.balance.read) == ("ok", 40)
    assert shop.lost_and_repeated() == (0, 0)


def test_while_nobody_runs_it_no_chunk_is_begun(shop):
    shop.make(40)
    shop.run(max_seconds=0.3)
    shop.do(1, opened=False)
    assert not shop.paid()


def test_fresh_drops_the_chunks_of_a_run_that_was_cut_off(shop):
    shop.make(40)
    shop.run(max_seconds=0.3)
    shop.do(1)
    ledger = shop.ledger()
    ledger.set_state(ledger.run("shop@1"), "held")  # nobody does another one before it is dropped
    with shop.hands():
        _, report = shop.run(fresh=True)
    assert report.balance.read == 40
    assert shop.ledger().run("shop@1").state == "dropped"
    paid = shop.paid()
    assert {paid[one] for one in shop.ids[10:]} == {1}
    assert {paid[one] for one in shop.ids[:10]} == {2}, "as with every engine: rows stay"


def test_a_run_that_died_before_it_could_say_that_it_was_done_is_not_repeated(shop):
    shop.make(20)
    with shop.hands():
        shop.run()
    ledger = shop.ledger()
    ledger.set_state(ledger.run("shop@1"), "open")  # as if it had been killed just before
    with shop.hands():
        _, report = shop.run()
    assert report.balance.read == 20
    assert ledger.run("shop@2").state == "done"
    assert shop.lost_and_repeated(times=2) == (0, 0)


def test_another_pipeline_does_not_go_on_with_the_chunks_of_this_one(shop):
    shop.make(20)
    shop.run(max_seconds=0.3)
    run, _ = shop.run("pay.nap=0.001")
    assert str(run.error) == (
        "shop: shop@1 is not over, and was begun with another pipeline or other options; "
        "put the file back, or start over with --fresh"
    )


def test_what_another_engine_began_is_not_gone_on_with(shop):
    shop.make(40)
    shop.inline(max_records=10)
    run, _ = shop.run()
    assert str(run.error) == (
        "shop: the run that was cut off was not run by the engine 'celery', which cannot go on "
        "with it; finish it with the engine that began it, or start over with --fresh"
    )
    shop.inline()
    assert shop.lost_and_repeated() == (0, 0)


@pytest.mark.parametrize("added_up", [False, True])
def test_no_other_engine_goes_on_with_its_chunks(shop, added_up):
    shop.make(40)
    shop.run(max_seconds=0.3)
    shop.do(2, 3)
    if added_up:
        shop.run(max_seconds=0.3)
    run, _ = shop.inline()
    assert str(run.error) == (
        "shop: the run that was cut off was run by the engine 'celery', and no other one knows how "
        "far; finish it with the engine that began it, or start over with --fresh"
    )
    with shop.hands():
        shop.run()
    assert shop.lost_and_repeated() == (0, 0)


def test_chunks_of_before_another_engine_started_over_are_not_gone_on_with(shop):
    shop.make(40)
    shop.run(max_seconds=0.3)
    shop.inline(fresh=True)
    assert shop.lost_and_repeated() == (0, 0)
    with shop.hands():
        _, report = shop.run()
    assert report.balance.read == 40
    assert shop.lost_and_repeated(times=2) == (0, 0)
    assert shop.ledger().run("shop@1").state == "dropped"


def test_letters_of_a_run_that_was_cut_off_can_be_retried(shop):
    shop.make(40, wrong=(12,))
    shop.run(max_seconds=0.3)
    shop.do(2)
    shop.run(max_seconds=0.3)
    with shop.database() as there:
        there.execute("UPDATE orders SET amount = 5 WHERE id = 12")
    (shop.folder / "paying.py").write_text(
        (shop.folder / "paying.py").read_text().replace("< 0", "< -1")
    )
    with shop.penstock("errors", "shop.yaml", "--retry") as retry:
        said, _ = retry.communicate(timeout=60)
    assert retry.returncode == 0, said
    with shop.hands():
        run, _ = shop.run()
    assert run.error is None
    assert shop.lost_and_repeated() == (0, 0)


def test_a_ledger_that_was_lost_is_missed(shop):
    shop.make(40)
    shop.run(max_seconds=0.3)
    shop.do(1)
    shop.run(max_seconds=0.3)
    (shop.folder / "ledger.db").unlink()
    run, _ = shop.run()
    assert str(run.error) == (
        "shop: the ledger knows nothing of shop@1; put the ledger back, or start over with --fresh"
    )


# ---- what fails ---------------------------------------------------------------------------------


def test_a_chunk_that_fails_ends_the_run_with_its_error(shop):
    shop.make(20)
    shop.file.write_text(shop.file.read_text().replace("paying:pay", "leaving:stop"))
    (shop.folder / "leaving.py").write_text(
        "def stop(record, nap: float = 0.0):\n    raise SystemExit('no more')\n"
    )
    with shop.hands():
        run, report = shop.run()
    assert isinstance(run.error, RunError)
    assert report.exit_code == 1
    assert str(run.error).startswith("shop: chunk 1 failed: pay at orders/1:1: left with")
    assert not shop.paid()


def test_a_failed_chunk_is_tried_again_by_the_next_run(shop):
    shop.make(20)
    shop.run(max_seconds=0.3)
    ledger = shop.ledger()
    run = ledger.open_run("shop")
    ledger.set_state(run, "open")
    chunk = ledger.take(run.name, 1, 30.0)
    ledger.fail(chunk, "no more", 1)
    again, _ = shop.run(max_seconds=0.3)
    assert again.error is None
    assert {one.state for one in ledger.summaries(run)} == {"waiting"}


def test_a_worker_with_another_pipeline_leaves_the_chunk_to_others(shop, caplog):
    shop.make(20)
    shop.run(max_seconds=0.3)
    assert shop.do(1, settings=("pay.nap=0.001",)) == ["again"]
    assert "the pipeline is not the one here; give the workers the same file" in caplog.text
    assert not shop.paid()
    assert shop.do(1) == ["idle"], "not before the lease would have run out"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("inputs", "table: orders", "table: orders, cursor: id"), "goes on where it stood"),
        (("outputs", "table: paid", "table: paid, mode: replace"), "replaces all that was there"),
        (
            (
                "outputs",
                'use: sql, url: "sqlite:///shop.db", table: paid',
                "use: json, path: p.jsonl",
            ),
            "takes one writer",
        ),
        (("transformers", 'use: "paying:pay", nap: 0.0', 'use: "keeping:Keeps"'), "keeps state"),
        (("transformers", 'use: "paying:pay", nap: 0.0', 'use: "keeping:Draws"'), "keeps state"),
    ],
)
def test_a_pipeline_that_several_workers_cannot_do_is_refused(shop, change, message):
    shop.make(20)
    _, old, new = change
    (shop.folder / "keeping.py").write_text(KEEPS)
    text = shop.file.read_text()
    head, tail = text.rsplit(old, 1)
    shop.file.write_text(head + new + tail)
    run, _ = shop.run()
    assert isinstance(run.error, ConfigError)
    assert message in str(run.error)


def test_an_input_that_cannot_be_split_is_refused(shop):
    shop.make(20)
    (shop.folder / "reading.py").write_text("def numbers():\n    yield from range(3)\n")
    text = shop.file.read_text().replace(
        '{use: sql, url: "sqlite:///shop.db", table: orders, batch_size: 5}',
        '{use: "reading:numbers"}',
    )
    shop.file.write_text(text)
    run, _ = shop.run()
    assert "orders: cannot be split into chunks; read a table, or use another engine" in str(
        run.error
    )


def test_two_outputs_that_commit_are_refused(shop):
    shop.make(20)
    text = shop.file.read_text()
    text = text.replace("[orders, pay, paid]", "[orders, pay, paid, more]")
    text = text.replace("pipes:", '  more: {use: sql, url: "sqlite:///m.db", table: m}\npipes:')
    shop.file.write_text(text)
    run, _ = shop.run()
    assert "more: commits apart from paid, and a chunk has no folder to make them agree" in str(
        run.error
    )


@pytest.mark.parametrize(("how", "argument"), [({"max_records": 3}, "--max-records")])
def test_what_the_engine_cannot_do_is_said(shop, how, argument):
    shop.make(20)
    run, _ = shop.run(**how)
    assert isinstance(run.error, UsageError)
    assert str(run.error) == (f"{argument}: the engine 'celery' cannot do this; use another engine")


def test_a_broker_that_is_not_there_is_said_before_anything_is_done(shop):
    shop.make(20, broker="redis://127.0.0.1:1/0")
    run, _ = shop.run(restarts=0)
    assert run.error.exit_code == 5
    assert str(run.error).startswith("engine: redis://")
    assert "127.0.0.1:1/0 cannot be reached: Error 111" in str(run.error)
    assert "is the broker up, and is the url right?" in str(run.error)
    assert not shop.paid()


def test_a_broker_that_goes_away_is_rung_until_it_is_back_and_that_is_said_once(shop, monkeypatch):
    shop.make(40)
    heard, answers = [], iter([True, *[False] * 3, *[True] * 9])

    @contextmanager
    def bell(app, task):
        def ring(queue, *, run, chunk):
            if not next(answers):
                raise Unheard("nobody there", blocked=False)
            heard.append(chunk)

        yield ring

    monkeypatch.setattr(coordinator, "bell", bell)
    monkeypatch.setattr(coordinator, "_SILENCE", 0.01)
    run, _ = shop.run(max_seconds=2)
    assert heard == [1, 2, 3, 4]
    (said,) = [one for one in run.warnings if "is rung again" in one]
    assert said.endswith(" cannot be reached: nobody there; it is rung again until it answers")


def test_a_broker_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(bells, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}//"
        app = Celery("shop", broker=url, set_as_current=False)
        since = time.monotonic()
        with pytest.raises(Unheard, match="timed out"), bells.bell(app, "a task") as ring:
            ring("q", run="shop@1", chunk=1)
    assert time.monotonic() - since < 5


COUNTING = """
import copy
from penstock import Batch, Input, component, option

@component
class Numbers(Input):
    most: int = option(help="The last one.")
    first: int = option(help="The first one.", default=1)

    def read(self, positions):
        done = positions.get(self.context.name, self.first - 1)
        while done < self.most:
            done += 1
            yield Batch([{"id": done}], "", range(done, done + 1), done)

    def split(self, n):
        parts = []
        for number in range(n):
            part = copy.copy(self)
            part.first, part.most = self.most * number // n + 1, self.most * (number + 1) // n
            parts.append(part)
        return parts
"""

KEEPS = """
from penstock import Transformer, component

@component
class Keeps(Transformer):
    def transform(self, record):
        return record

    def snapshot(self):
        return 1


@component
class Draws(Keeps):
    keeps_state = False  # as a sample, by source and ordinal: chunks have others than the whole
"""
