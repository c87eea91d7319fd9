"""`penstock state`: where a pipeline stands, and moving it."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.holder import this_process
from penstock.stores.sqlite import SqliteStore


@pytest.fixture
def log(functions):
    """A log that goes on where it stopped, in a pipeline that has read it to its end."""
    functions.write(
        "logs.py",
        """
        from penstock import Batch, Input, component, option

        @component
        class Log(Input):
            upto: int = option(help="How far.", default=4)
            finite = False

            def read(self, positions):
                done = positions.get("log", 0)
                if done < self.upto:
                    numbers = range(done + 1, self.upto + 1)
                    yield Batch([{"n": n} for n in numbers], "", numbers, self.upto)
        """,
    )
    functions.write(
        "a.yaml",
        """
        inputs: {log: {use: "logs:Log"}}
        inspectors: {allowed: {use: "functions:not_three"}}
        outputs: {kept: {use: "functions:keep"}}
        pipes: {main: [log, allowed, kept]}
        """,
    )
    assert functions.penstock("run", "a.yaml", "-q").code == 6
    return functions


def written(folder):
    return (folder / "written.txt").read_text().split()


@pytest.fixture
def store():
    """The state in a folder; it is closed when the test has ended."""
    with ExitStack() as made:

        def store(folder):
            found = SqliteStore(Path(folder / ".penstock"))
            made.callback(found.close)
            return found

        yield store


def test_show(cli, log):
    done = cli("state", "a.yaml")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "pipeline  a"
    assert lines[1].endswith("state.db")
    assert lines[2] == "lease     free"
    assert lines[3].startswith("epoch     1, of run ")
    assert lines[4:] == [
        "status    finished",
        "letters   1",
        "",
        "source  records  position",
        "log           4  4",
    ]


def test_what_to_do_stands_behind_the_pipeline_or_before_it(cli, log):
    shown = cli("state", "a.yaml")
    for words in (["show", "a.yaml"], ["a.yaml", "show"]):
        done = cli("state", *words)
        assert (done.code, done.out) == (shown.code, shown.out)
    assert cli("state", "show").err == cli("state").err
    assert cli("state", "export", "a.yaml", "state.json").code == 0
    assert cli("state", "import", "a.yaml", "state.json", "--yes").code == 0


def test_what_cannot_be_done_is_told(cli, log):
    done = cli("state", "a.yaml", "shwo")
    assert done.code == 2
    assert done.err == (
        "penstock state: cannot tell what 'shwo' is for; "
        "what to do is one of show, rewind, export, import\n"
    )


def test_show_as_json(cli, log):
    known = cli("state", "a.yaml", "show", "--json").json
    assert known["checkpoint"]["positions"] == {"log": 4}
    assert (known["lease"], known["intent"], known["attempts"]) == (None, None, {})


def test_show_what_a_run_that_died_left(cli, log, store):
    kept = store(log)
    now = time.time()
    generation = kept.lease("a", "elsewhere, process 1, started 2", now, now - 1, lambda _: True)
    checkpoint = kept.checkpoint("a")
    changed = replace(
        checkpoint,
        generation=generation,
        finished=False,
        ended=False,
        states={"sum": {"total": 12}},
        marks={"kept": 1234},
    )
    kept.save(changed)
    kept.put_intent(replace(changed, epoch=2))
    kept.attempt("a", generation, "epoch 2")
    kept.attempt("a", generation, "batch log:5")
    kept.attempt("a", generation, "batch log:5")
    kept.close()
    lines = cli("state", "a.yaml").out.splitlines()
    assert lines[2] == "lease          left behind by elsewhere, process 1, started 2"
    assert lines[4:8] == [
        "status         cut off; the next run resumes",
        "intent         epoch 2 is half committed; the next run completes it",
        "tried 2 times  batch log:5",
        "tried once     epoch 2",
    ]
    assert lines[-3:] == [
        "node  keeps      size",
        "sum   state  13 bytes",
        "kept  mark    4 bytes",
    ]
    done = cli("state", "a.yaml", "rewind", "--to-start", "--yes")
    assert (done.code, done.err) == (
        2,
        "a: an epoch is half committed; run the pipeline once, which completes it\n",
    )


def test_show_before_the_first_checkpoint(cli, log):
    log.write("b.yaml", (log / "a.yaml").read_text())
    out = cli("state", "b.yaml").out
    assert "checkpoint  none: the next run begins at the start" in out


def test_a_rewound_log_is_read_again(cli, log):
    assert log.penstock("run", "a.yaml", "-q").code == 0  # nothing new
    assert written(log) == ["1", "2", "4"]
    done = cli("state", "a.yaml", "rewind", "--to-start", "--yes")
    assert (done.code, done.out) == (
        0,
        "the next run begins at the start; what was written stays, and may be written again\n",
    )
    assert "status    put there by hand" in cli("state", "a.yaml").out
    log.penstock("run", "a.yaml", "-q")
    assert written(log) == ["1", "2", "4", "1", "2", "4"]


def test_nothing_is_changed_without_a_yes(cli, log, store):
    done = log.penstock("state", "a.yaml", "rewind", "--to-start")
    assert (done.code, done.err) == (
        2,
        "penstock: let the next run of a read everything again? nobody is here to answer; add "
        "--yes\n",
    )
    assert store(log).checkpoint("a").positions == {"log": 4}


@pytest.mark.parametrize("verb", ["rewind", "import"])
def test_a_no_changes_nothing(cli, log, verb, monkeypatch, tmp_path, store):
    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return "n\n"

    cli("state", "a.yaml", "export", "kept.json")
    before = store(log).checkpoint("a")
    monkeypatch.setattr("sys.stdin", Terminal())
    file = ["kept.json"] if verb == "import" else []
    done = cli("state", "a.yaml", verb, *file, "--to-start")
    assert (done.code, done.out) == (0, "nothing was changed\n")
    assert store(log).checkpoint("a") == before


def test_nothing_is_changed_while_a_run_is_under_way(cli, log, store):
    kept = store(log)
    now = time.time()
    kept.lease("a", this_process(), now, now + 60, lambda _: True)
    kept.close()
    assert f"held by {this_process()}, until " in cli("state", "a.yaml").out
    done = cli("state", "a.yaml", "rewind", "--to-start", "--yes")
    assert done.code == 1
    assert done.err == (
        f"a: another run is under way ({this_process()}); wait for it, or stop it\n"
    )


def test_exported_state_is_taken_up_elsewhere(cli, log):
    assert cli("state", "a.yaml", "export", "kept.json").code == 0
    (log / ".penstock" / "state.db").unlink()
    log.penstock("run", "a.yaml", "-q", "--set", "log.upto=1")
    done = cli("state", "a.yaml", "import", "kept.json", "--yes")
    assert (done.code, done.out) == (0, "the next run goes on from epoch 1 of kept.json\n")
    assert [one["id"] for one in cli("errors", "a.yaml", "--json").json] == ["log:3@allowed"]
    log.penstock("run", "a.yaml", "-q", "--set", "log.upto=5")
    assert written(log) == ["1", "2", "4", "1", "5"]


def test_export_to_standard_output_and_not_over_a_file(cli, log):
    kept = json.loads(cli("state", "a.yaml", "export").out)
    assert (kept["penstock_state"], kept["pipeline"]) == (1, "a")
    (log / "kept.json").write_text("mine")
    done = cli("state", "a.yaml", "export", "kept.json")
    assert (done.code, done.err) == (
        2,
        "kept.json: cannot be written: File exists; choose another file\n",
    )


MAKES = "; `penstock state PIPELINE export FILE` makes one\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("{", "is not JSON: Expecting property name enclosed in double quotes"),
        ("[]", f"is no exported state{MAKES}"),
        (
            {"penstock_state": 2},
            "was exported by another version of penstock (format 2; this knows 1); use that "
            "version\n",
        ),
        ({"pipeline": "b"}, "is the state of 'b', not of 'a'; choose another file\n"),
        ({"checkpoint": None}, f"holds no checkpoint{MAKES}"),
        ({"checkpoint": {}}, "is not complete: "),
        ({"letters": [{}]}, "is not complete: "),
    ],
)
def test_what_cannot_be_imported_is_refused(cli, log, change, says, store):
    kept = json.loads(cli("state", "a.yaml", "export").out)
    text = change if isinstance(change, str) else json.dumps({**kept, **change})
    (log / "kept.json").write_text(text)
    before = store(log).checkpoint("a")
    done = cli("state", "a.yaml", "import", "kept.json", "--yes")
    assert done.code == 2
    assert done.err.startswith(f"kept.json: {says}")
    assert store(log).checkpoint("a") == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rewind"], "penstock state rewind: where to?; add --to EPOCH or --to-start\n"),
        (["import"], "penstock state import: which file?; name it\n"),
        (["import", "gone.json"], "gone.json: cannot be read: No such file or directory; choose"),
    ],
)
def test_what_is_missing(cli, log, arguments, says):
    done = cli("state", "a.yaml", *arguments)
    assert done.code == 2
    assert done.err.startswith(says)


def test_whose_state(cli, log):
    done = cli("state")
    assert (done.code, done.err) == (2, "penstock state: whose state?; name the pipeline\n")


# ---- going back to an epoch ---------------------------------------------------------------------


@pytest.fixture
def counted(functions):
    """A pipeline that was stopped after two epochs of three records each, of nine."""
    functions.write(
        "parts.py",
        """
        from pathlib import Path

        from penstock import Batch, Input, Output, component, option

        @component
        class Nine(Input):
            def read(self, positions):
                for first in range(positions.get("nine", 0) + 1, 10, 3):
                    numbers = range(first, first + 3)
                    yield Batch([{"n": n} for n in numbers], "", numbers, first + 2)

        @component
        class File(Output):
            delivery = "rewindable"
            path: str = option(help="File.", default="file.txt")
            replaces: bool = option(help="Whether it says so.", default=False)

            def resume(self, mark, epoch):
                self.lines = self.there()[: mark or 0]

            def there(self):
                path = Path(__file__).parent / self.path
                return path.read_text().split() if path.exists() else []

            def write(self, batch):
                self.lines += [str(record["n"]) for record in batch.records]

            def prepare(self, epoch):
                (Path(__file__).parent / self.path).write_text("\\n".join(self.lines))
                return len(self.lines)
        """,
    )
    functions.write(
        "a.yaml",
        """
        epoch: {records: 3}
        inputs: {nine: {use: "parts:Nine"}}
        outputs:
          file: {use: "parts:File"}
          kept: {use: "functions:keep"}
        pipes: {main: [nine, file], side: [nine, kept]}
        """,
    )
    assert functions.penstock("run", "a.yaml", "-q", "--max-records", "6").code == 0
    return functions


def test_the_epochs_that_are_kept_are_shown(cli, counted):
    rows = [line.split() for line in cli("state", "a.yaml").out.splitlines()[-3:]]
    assert rows[0] == ["epoch", "run", "records", "status"]
    assert [(row[0], row[2], row[3:]) for row in rows[1:]] == [
        ("2", "6", ["under", "way"]),
        ("1", "3", ["under", "way"]),
    ]


def test_a_run_goes_on_from_an_epoch_that_is_kept(cli, counted, store):
    done = cli("state", "a.yaml", "rewind", "--to", "1", "--yes")
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "file is cut back to there by the next run",
            "kept keeps what was written since, and the next run writes it again",
            "the next run goes on from epoch 1",
        ],
    )
    assert [one.epoch for one in store(counted).history("a")] == [2, 1]
    assert store(counted).checkpoint("a").by_hand
    assert counted.penstock("run", "a.yaml", "-q").code == 0
    assert (counted / "file.txt").read_text().split() == list("123456789")
    assert written(counted) == list("123456" + "456789")


def test_an_epoch_that_is_not_kept_is_told(cli, counted):
    done = cli("state", "a.yaml", "rewind", "--to", "7", "--yes")
    assert (done.code, done.err) == (2, "a: epoch 7 is not kept; those that are kept are 1, 2\n")
    done = cli("state", "a.yaml", "rewind", "--yes")
    assert (done.code, done.err) == (
        2,
        "penstock state rewind: where to?; add --to EPOCH or --to-start\n",
    )
    done = cli("state", "a.yaml", "rewind", "--to-start", "--delete-after", "--yes")
    assert (done.code, done.err) == (
        2,
        "penstock state rewind: --delete-after is for --to; name the epoch\n",
    )


def test_what_was_put_into_place_since_is_not_gone_back_into(cli, counted, store):
    set_ = ["--set", "file.replaces=true"]
    assert counted.penstock("run", "a.yaml", "-q").code == 0
    done = cli("state", "a.yaml", "rewind", "--to", "1", "--yes", *set_)
    assert (done.code, done.err) == (
        2,
        "file: a run has ended since epoch 1, and has put what it wrote into place; go back to the "
        "end of a run, or run the pipeline anew\n",
    )
    last = store(counted).history("a")[0]
    assert last.finished
    assert cli("state", "a.yaml", "rewind", "--to", str(last.epoch), "--yes", *set_).code == 0
