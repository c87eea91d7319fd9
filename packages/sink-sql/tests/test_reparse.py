"""After a reparse a table has what the changed pipeline makes of its input, whenever it is killed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Place
from parties import Fate, Killed, MortalStore

from penstock import Batch, Context, Retraction, RunError, Transformer, UsageError
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.retries import retry
from penstock.runs import Run
from penstock.testing import ListInput
from penstock_sink_sql import SqlOutput
from penstock_sink_sql.lineage import Lineage
from penstock_sink_sql.session import Session

PLUGINS = Plugins(discover=False)
LONG = os.environ.get("PENSTOCK_FAULTS") == "long"
RECORDS = list(range(1, 25))
FAILS = {7, 12}


class First(Transformer):
    def transform(self, record: int) -> Iterator[dict[str, Any]]:
        yield {"id": record * 10, "text": f"first {record}"}


class Second(Transformer):
    """Some records give nothing any more, some two results, some one with another key."""

    def __init__(self, fails: set[int] = FAILS) -> None:
        self.fails = fails

    def transform(self, record: int) -> Iterator[dict[str, Any]]:
        if record in self.fails:
            raise ValueError("not yet")
        if record % 5 == 0:
            return
        yield {"id": record * 10 + (record % 4 == 0), "text": f"second {record}"}
        if record % 3 == 0:
            yield {"id": record * 10 + 5, "text": f"more of {record}"}


def expected(*stages: Transformer) -> list[tuple[int, str]]:
    """What is there: of each record what the last stage made that did not fail with it."""
    found: list[tuple[int, str]] = []
    for record in RECORDS:
        for stage in reversed(stages):
            try:
                found += [(one["id"], one["text"]) for one in stage.transform(record)]
                break
            except ValueError:
                continue
    return sorted(found)


class Life:
    """One pipeline with a table of its own; every run is a process that may be killed."""

    numbers = itertools.count(1)

    def __init__(self, place: Place, folder: Path, tables: int = 1, **options: Any) -> None:
        self.place, self.options = place, options
        self.name = f"t{next(self.numbers)}"
        self.tables = [f"{self.name}_{n}" for n in range(tables)]
        self.store = MortalStore(folder)

    def pipeline(self, stage: Transformer) -> Any:
        source = ListInput(values=RECORDS, batch_size=4)
        outputs = [
            SqlOutput(url=self.place.url, table=table, **self.options) for table in self.tables
        ]
        pipes = [[source, stage, outputs[0]], *([stage, one] for one in outputs[1:])]
        pipeline = pipeline_of(pipes, PLUGINS, name=self.name)
        pipeline.spec.epoch = {"records": 8}
        return pipeline

    def run(self, stage: Transformer, fate: Fate | None = None, **how: Any) -> Run | None:
        self.store.fate = fate or Fate()
        run: Run = self.pipeline(stage).start(store=self.store, **how)
        try:
            run.execute()
        except Killed:
            self.store.let_go()
            return None
        assert run.error is None, run.error
        return run

    def rows(self, table: str | None = None) -> list[tuple[int, str]]:
        query = f"SELECT id, text FROM {table or self.tables[0]} ORDER BY id, text"
        return [(int(number), text) for number, text in self.place.ask(query)]


@pytest.fixture
def striking(monkeypatch: pytest.MonkeyPatch) -> list[Life]:
    """Fate may strike before and after the commit of a table, too: of the life that is in here."""
    lives: list[Life] = []
    end = Session.end

    def mortal(self: Session, *given: Any) -> None:
        for life in lives:
            life.store.fate()
        end(self, *given)
        for life in lives:
            life.store.fate()

    monkeypatch.setattr(Session, "end", mortal)
    return lives


MODES = {
    "append": {"mode": "append"},
    "upsert": {"mode": "upsert", "key": ["id"]},
    "replace": {"mode": "replace"},
}


@pytest.mark.parametrize("mode", MODES)
def test_a_table_has_what_the_changed_pipeline_makes(
    place: Place, tmp_path: Path, mode: str
) -> None:
    life = Life(place, tmp_path, lineage=True, **MODES[mode])
    life.run(First())
    run = life.run(Second(), reparse=True)
    assert run is not None
    assert [letter.ordinal for letter in life.store.letters()] == sorted(FAILS)
    wanted = expected(Second()) if mode == "replace" else expected(First(), Second())
    assert life.rows() == wanted
    if mode != "replace":  # then a mended record takes the place of what it had kept
        mended = retry(life.pipeline(Second(set())), life.store.letters(), life.store)
        mended.execute()
        assert mended.error is None, mended.error
        assert life.rows() == expected(Second(set()))


def test_without_retracting_it_does_not(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lineage, "retract", lambda *_, **__: None)
    life = Life(place, tmp_path, lineage=True, **MODES["upsert"])
    life.run(First())
    life.run(Second(), reparse=True)
    assert life.rows() != expected(First(), Second())


@pytest.mark.parametrize("again", [True, False], ids=["--reparse again", "resumed"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("tables", [1, 2])
def test_a_reparse_that_is_killed_anywhere_ends_as_one_that_was_not(
    place: Place, tmp_path: Path, striking: list[Life], mode: str, tables: int, again: bool
) -> None:
    wanted = expected(First(), Second())
    every = 1 if LONG else 7 if place.dialect == "sqlite" else 23
    for step in itertools.count(1 + (tables + 2 * again) % every, every):
        life = Life(place, tmp_path, tables, lineage=True, **MODES[mode])
        life.run(First())
        striking[:] = [life]
        if life.run(Second(), Fate(step), reparse=True) is not None:
            break
        kept = life.store.checkpoint(life.name)
        assert kept is not None
        if kept.reparse is None or not kept.finished:
            life.run(Second(), reparse=again or kept.reparse is None)
        for table in life.tables:
            assert life.rows(table) == wanted, f"step {step}, {table}"
    assert step > 20


def test_the_rows_of_others_stay(place: Place, tmp_path: Path) -> None:
    life = Life(place, tmp_path, lineage=True)
    life.run(First())
    place.do(f"INSERT INTO {life.tables[0]} (id, text) VALUES (1, 'by hand')")
    other = Life(place, tmp_path, lineage=True)
    other.tables = life.tables
    other.run(First())
    life.run(Second(set()), reparse=True)
    wanted = [(1, "by hand"), *expected(First()), *expected(Second(set()))]
    assert life.rows() == sorted(wanted)


def test_a_table_without_lineage_gets_the_columns_and_keeps_its_rows(
    place: Place, tmp_path: Path
) -> None:
    life = Life(place, tmp_path, mode="upsert", key=["id"])
    life.run(First())
    life.options["lineage"] = True
    life.run(First())
    assert {"_output", "_source", "_ordinal", "_epoch"} <= set(place.columns(life.tables[0]))
    life.run(Second(), reparse=True)
    assert life.rows() == expected(First(), Second())


def test_many_failing_records_keep_what_they_had(place: Place, tmp_path: Path) -> None:
    output = SqlOutput(url=place.url, table="t", lineage=True)
    output.open(Context("out", pipeline="p"))
    try:
        output.context.epoch = 1
        output.write(Batch([{"a": n} for n in range(1, 1001)], "in"))
        output.write(Batch([{"a": 0}], "in/2"))
        failed = {("in", n) for n in range(1, 1001) if n % 2}
        output.retract(Retraction(1, failed, ["in/2"]))
        output._session._connection.commit()  # type: ignore[union-attr]
        assert [row[0] for row in place.rows()] == [0, *range(1, 1001, 2)]
        assert {row[4] for row in place.rows()} == {1}
    finally:
        output.close()


def test_records_with_a_field_of_that_name_are_told(tmp_path: Path) -> None:
    output = SqlOutput(url=f"sqlite:///{tmp_path}/t.db", table="t", lineage=True)
    output.open(Context("out", pipeline="p"))
    try:
        with pytest.raises(
            RunError, match="the records have a field '_epoch', which is a column of the lineage"
        ):
            output.write(Batch([{"a": 1, "_epoch": 2}]))
    finally:
        output.close()


def test_without_lineage_or_replacing_a_reparse_is_refused(tmp_path: Path) -> None:
    life = Life(Place(f"sqlite:///{tmp_path}/t.db"), tmp_path)
    with pytest.raises(UsageError) as caught:
        life.run(First(), reparse=True)
    assert str(caught.value) == (
        "sql: cannot take back what it wrote: results that no longer arise would stay beside the "
        "new ones; let it replace (mode: replace), or keep the lineage of its rows (lineage: true)"
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tables", [1, 2])
def test_what_was_written_after_an_epoch_is_deleted_when_somebody_goes_back_to_it(
    place: Place, tmp_path: Path, mode: str, tables: int
) -> None:
    life = Life(place, tmp_path, tables, lineage=True, **MODES[mode])
    life.run(First(), max_records=20)
    first = life.store.history(life.name)[-1]
    assert first.ordinals == {"list": 8}
    life.pipeline(First()).start(store=life.store).go_back(first)
    if mode == "append":
        assert life.rows() == expected(First())[:8]
    life.run(First())
    for table in life.tables:
        assert life.rows(table) == expected(First())


def test_without_deleting_them_they_are_there_again(place: Place, tmp_path: Path) -> None:
    life = Life(place, tmp_path)
    life.run(First(), max_records=20)
    life.pipeline(First()).start(store=life.store).go_back(life.store.history(life.name)[-1])
    life.run(First())
    assert life.rows() == sorted(expected(First()) + expected(First())[8:20])


def test_rows_that_have_taken_the_place_of_a_table_since_are_missed(
    place: Place, tmp_path: Path
) -> None:
    life = Life(place, tmp_path, mode="replace")
    life.run(First(), max_records=20)
    first = life.store.history(life.name)[-1]
    life.run(First())
    life.pipeline(First()).start(store=life.store).go_back(first)
    run = life.pipeline(First()).start(store=life.store)
    run.execute()
    what = "the rows that an earlier run had staged for it are gone; start over with --fresh"
    assert what in str(run.error)
    assert life.rows() == expected(First())
