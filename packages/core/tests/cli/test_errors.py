"""`penstock errors`: what was set aside, found and forgotten."""

from __future__ import annotations

import io
import json

import pytest


@pytest.fixture
def letters(cli, functions):
    """Ten records of two sources, of which those ending in 3 and 7 fail in two ways."""
    functions.write(
        "broken.py",
        """
        from penstock import RecordError

        def picky(record):
            if record["n"] % 10 == 3:
                raise RecordError(f"{record['n']} is 'unlucky {record['n']}'")
            if record["n"] % 10 == 7:
                return 1 / 0
            return record
        """,
    )
    functions.write(
        "a.yaml",
        """
        name: numbers
        inputs:
          left: {use: "functions:count", upto: 20}
          right: {use: "functions:count", upto: 5}
        transformers: {picky: {use: "broken:picky", retry: 1, on_error: collect}}
        pipes: {main: [left, right, picky]}
        """,
    )
    assert cli("run", "a.yaml", "-q").code == 6
    return functions


def ids(done):
    return [one["id"] for one in done.json]


def test_like_ones_are_grouped_with_their_number_and_the_first(cli, letters):
    done = cli("errors", "a.yaml")
    assert done.code == 0
    lines = [line.split(None, 4) for line in done.out.splitlines()]
    assert lines[0] == ["records", "node", "error", "as", "message"]
    assert lines[1] == ["3", "picky", "RecordError", "left:3@picky", "3 is 'unlucky 3'"]
    assert lines[2][:3] == ["2", "picky", "ZeroDivisionError"]
    assert done.out.splitlines()[-1] == (
        "5 dead letters; --all lists each, --show left:3@picky shows one"
    )


def test_each_one(cli, letters):
    lines = cli("errors", "a.yaml", "--all").out.splitlines()
    assert lines[0].split() == ["record", "message"]
    assert [line.split()[0] for line in lines[1:]] == [
        "left:3@picky",
        "left:7@picky",
        "left:13@picky",
        "left:17@picky",
        "right:3@picky",
    ]


def test_one_with_everything_that_is_known(cli, letters):
    out = cli("errors", "a.yaml", "--show", "left:7").out
    assert out.startswith("left:7@picky\n")
    assert "  error     ZeroDivisionError: division by zero\n" in out
    assert "  node      picky (of broken)\n" in out
    assert "  attempts  2\n" in out
    assert out.endswith("  record\n    n: 7\n")
    assert cli("errors", "a.yaml", "--show", "left:7@picky").out == out


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (["--node", "picky", "--source", "right"], ["right:3@picky"]),
        (["--error", "ZeroDivisionError"], ["left:7@picky", "left:17@picky"]),
        (["--record", "left:3", "--record", "right:3"], ["left:3@picky", "right:3@picky"]),
        (["--node", "left"], []),
        (["--run", "another"], []),
    ],
)
def test_some_of_them(cli, letters, which, found):
    assert ids(cli("errors", "a.yaml", "--json", *which)) == found


def test_json_has_the_record_as_it_was(cli, letters):
    [one] = cli("errors", "a.yaml", "--json", "--record", "left:7").json
    assert one["record"] == {"n": 7}
    assert one["pipeline"] == "numbers"
    assert one["first"] <= one["last"]


def test_none(cli, numbers):
    cli("run", "numbers.yaml", "--set", "count.upto=2", "-q")
    assert cli("errors", "numbers.yaml").out == "no dead letters\n"
    assert cli("errors", "numbers.yaml", "--json").json == []


def test_one_that_is_not_there(cli, letters):
    done = cli("errors", "a.yaml", "--show", "left:4")
    assert done.code == 2
    assert done.err == (
        "penstock errors: no dead letter 'left:4'; list them, and write one as it stands there\n"
    )


def test_export(cli, letters):
    done = cli("errors", "a.yaml", "--export", "bad.jsonl")
    assert (done.code, done.out, done.err) == (0, "", "wrote 5 dead letters to bad.jsonl\n")
    lines = (letters / "bad.jsonl").read_text().splitlines()
    assert [json.loads(line)["ordinal"] for line in lines] == [3, 7, 13, 17, 3]
    assert len(cli("errors", "a.yaml", "--export", "-").out.splitlines()) == 5


def test_an_export_replaces_nothing(cli, letters):
    letters.write("bad.jsonl", "mine")
    done = cli("errors", "a.yaml", "--export", "bad.jsonl")
    assert done.code == 2
    assert done.err == "bad.jsonl: cannot be written: File exists; choose another file\n"
    assert (letters / "bad.jsonl").read_text() == "mine"


# ---- forgetting ---------------------------------------------------------------------------------


def test_nothing_is_forgotten_when_nobody_can_be_asked(letters):
    done = letters.penstock("errors", "a.yaml", "--drop")
    assert done.code == 2
    assert done.err == ("penstock: forget 5 dead letters? nobody is here to answer; add --yes\n")


def test_some_are_forgotten(cli, letters):
    done = cli("errors", "a.yaml", "--drop", "--error", "ZeroDivisionError", "--yes")
    assert (done.code, done.err) == (0, "forgot 2 dead letters\n")
    assert len(cli("errors", "a.yaml", "--json").json) == 3
    assert cli("errors", "a.yaml", "--drop", "--record", "right:3", "--yes").err == (
        "forgot 1 dead letter\n"
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("YES\n", 0), ("n\n", 5), ("", 5)])
def test_a_person_is_asked(cli, letters, monkeypatch, answer, left):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    done = cli("errors", "a.yaml", "--drop")
    assert done.code == 0
    assert done.err.startswith("forget 5 dead letters? [y/N] ")
    assert ("nothing was changed" in done.err) == (left > 0)
    assert len(cli("errors", "a.yaml", "--json").json) == left


def test_forgetting_nothing(cli, letters):
    cli("errors", "a.yaml", "--drop", "--yes")
    assert cli("errors", "a.yaml", "--drop").err == "no dead letters\n"


# ---- where --------------------------------------------------------------------------------------


def test_the_pipeline_need_not_build_any_more(cli, letters):
    letters.write("a.yaml", "name: numbers\ninputs: {left: {use: uninstalled}}\npipes: 7\n")
    assert len(cli("errors", "a.yaml", "--json").json) == 5


def test_a_pipeline_that_cannot_be_read_goes_by_its_file_name(cli, letters):
    (letters / "a.yaml").rename(letters / "numbers.yaml")
    letters.write("numbers.yaml", "a: [")
    assert len(cli("errors", "numbers.yaml", "--json").json) == 5
    (letters / "numbers.yaml").unlink()
    assert len(cli("errors", "numbers.yaml", "--json").json) == 5


def test_without_a_pipeline_every_one_of_the_folder_counts(cli, letters):
    cli("run", "a.yaml", "-q")
    letters.write("b.yaml", (letters / "a.yaml").read_text().replace("numbers", "others"))
    cli("run", "b.yaml", "-q")
    assert {one["pipeline"] for one in cli("errors", "--json").json} == {"numbers", "others"}
    assert len(cli("errors", "b.yaml", "--json").json) == 5


def test_state_elsewhere(cli, letters):
    cli("run", "a.yaml", "-q", "--state", "s")
    cli("errors", "a.yaml", "--state", "s", "--drop", "--yes")
    assert cli("errors", "a.yaml", "--state", "s", "--json").json == []
    assert cli("errors", "--state", "s", "--json").json == []
    assert len(cli("errors", "a.yaml", "--json").json) == 5


@pytest.mark.parametrize("command", ["errors", "runs"])
def test_where_nothing_ran_nothing_is_kept(cli, folder, command):
    done = cli(command)
    assert done.code == 2
    assert done.err == (
        ".penstock: nothing is kept here; run the pipeline first, or choose a folder with --state\n"
    )
    assert not (folder / ".penstock").exists()


def test_long_messages_are_cut_on_a_terminal_only(letters):
    done = letters.penstock("errors", "a.yaml", COLUMNS="40")
    assert "division by zero" in done.out


# ---- tried again --------------------------------------------------------------------------------


@pytest.fixture
def mended(letters):
    """The letters, with an output that appends, after the function that failed was mended."""
    text = (letters / "a.yaml").read_text()
    letters.write("a.yaml", text.replace("picky]", "picky, kept]"))
    with (letters / "a.yaml").open("a") as file:
        file.write('outputs: {kept: {use: "functions:keep"}}\n')
    (letters / ".penstock" / "state.db").unlink()
    assert letters.penstock("run", "a.yaml", "-q").code == 6
    letters.write(
        "broken.py",
        """
        def picky(record):
            if record["n"] == 17:
                raise ValueError("still")
            return record
        """,
    )
    return letters


def written(folder):
    return sorted(map(int, (folder / "written.txt").read_text().split()))


EVERY = sorted([*range(1, 21), *range(1, 6)])


def test_retry_writes_what_is_mended_and_keeps_the_rest_open(mended):
    done = mended.penstock("errors", "a.yaml", "--retry")
    assert (done.code, done.out) == (6, "")
    assert done.err == (
        "picky: ValueError: still (as at left:17)\ntried 5 dead letters again: 4 mended, 1 failed\n"
    )
    assert written(mended) == [n for n in EVERY if n != 17]
    [left] = mended.penstock("errors", "a.yaml", "--json").json
    assert (left["id"], left["attempts"], left["message"]) == (
        "left:17@picky",
        4,
        "ValueError: still",
    )
    # Trying it twice writes it once.
    assert mended.penstock("errors", "a.yaml", "--retry").code == 6
    assert written(mended) == [n for n in EVERY if n != 17]


def test_a_record_that_is_named_twice_is_tried_once(mended):
    named = ("--record", "right:3", "--record", "right:3", "--record", "right:3@picky")
    before = written(mended)
    [one] = mended.penstock("errors", "a.yaml", *named, "--json").json
    assert one["id"] == "right:3@picky"
    done = mended.penstock("errors", "a.yaml", "--retry", *named)
    assert done.err == "tried 1 dead letter again: 1 mended, 0 failed\n"
    assert len(written(mended)) == len(before) + 1


def test_retry_of_some_with_json(mended):
    done = mended.penstock("errors", "a.yaml", "--retry", "--source", "right", "--json")
    assert done.code == 0
    assert {**done.json, "run_id": ""} == {
        "retried": 1,
        "mended": 1,
        "failed": 0,
        "left": [],
        "error": None,
        "run_id": "",
    }
    assert len(mended.penstock("errors", "a.yaml", "--json").json) == 4


def test_what_has_failed_too_often_is_left(mended):
    done = mended.penstock(
        "errors", "a.yaml", "--retry", "--max-attempts", "2", "--error", "ZeroDivisionError"
    )
    assert done.code == 6
    assert done.err == (
        "left:7@picky: has failed 2 times; --max-attempts 3 tries on\n"
        "left:17@picky: has failed 2 times; --max-attempts 3 tries on\n"
        "nothing to try again\n"
    )


def test_nothing_to_retry(cli, numbers):
    cli("run", "numbers.yaml", "--set", "count.upto=2", "-q")
    done = cli("errors", "numbers.yaml", "--retry")
    assert (done.code, done.err) == (0, "no dead letters\n")


def test_a_record_is_mended_in_the_editor(mended):
    mended.write(
        "edit.py",
        """
        import json, pathlib, sys
        file = pathlib.Path(sys.argv[1])
        entries = json.loads(file.read_text())
        for entry in entries:
            assert entry["error"] == "ZeroDivisionError: division by zero"
            entry["record"]["n"] += 100
        file.write_text(json.dumps(entries[1:]))
        """,
    )
    done = mended.penstock(
        "errors",
        "a.yaml",
        "--retry",
        "--edit",
        "--error",
        "ZeroDivisionError",
        EDITOR="python3 edit.py",
    )
    assert (done.code, done.err) == (0, "tried 1 dead letter again: 1 mended, 0 failed\n")
    assert 117 in written(mended)
    assert 107 not in written(mended)  # it was taken out of the list, so it is left alone


@pytest.mark.parametrize("form", ["lines", "array", "record"])
def test_records_are_mended_with_a_file(mended, form):
    entry = {"id": "left:17@picky", "record": {"n": 217}}
    text = {
        "lines": json.dumps(entry) + "\n\n",
        "array": json.dumps([entry], indent=2),
        "record": '{"n": 217}',
    }[form]
    (mended / "good.json").write_text(text)
    done = mended.penstock(
        "errors", "a.yaml", "--retry", "--record", "left:17", "--edit-with", "good.json"
    )
    assert (done.code, done.err) == (0, "tried 1 dead letter again: 1 mended, 0 failed\n")
    assert 217 in written(mended)


def test_what_was_exported_is_taken_back(mended, cli):
    exported = mended.penstock("errors", "a.yaml", "--export", "-", "--source", "right").out
    (mended / "right.jsonl").write_text(exported.replace('"n": 3', '"n": 303'))
    done = mended.penstock("errors", "a.yaml", "--retry", "--edit-with", "right.jsonl")
    assert done.err == "tried 1 dead letter again: 1 mended, 0 failed\n"
    assert 303 in written(mended)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{]", "bad.json:1: is not JSON: Expecting property name enclosed in double quotes"),
        ('[\n{"id": }]', "bad.json:2: is not JSON: Expecting value"),
        ('{"id": 1}\n3\n', 'bad.json: every entry needs an "id" and a "record"; as --export'),
        (
            '{"id": "left:1@picky", "record": 1}',
            "bad.json: no dead letter 'left:1@picky' among those chosen; --all lists",
        ),
    ],
)
def test_a_file_that_does_not_mend(mended, text, says):
    (mended / "bad.json").write_text(text)
    done = mended.penstock("errors", "a.yaml", "--retry", "--edit-with", "bad.json")
    assert done.code == 2
    assert done.err.startswith(says)


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--edit-with", "gone.json"], {}, "gone.json: cannot be read: No such file or directory"),
        (["--edit"], {"EDITOR": ""}, "penstock errors: no editor is set; set EDITOR, or use"),
        (["--edit"], {"EDITOR": "false"}, "false: the editor ended with code 1; nothing was"),
        (["--edit"], {"EDITOR": "./gone"}, "./gone: the editor cannot be started: No such file"),
    ],
)
def test_mending_that_cannot_begin(mended, arguments, environment, says):
    settings = {"VISUAL": "", **environment}
    done = mended.penstock("errors", "a.yaml", "--retry", *arguments, **settings)
    assert done.code == 2
    assert done.err.startswith(says)


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["list", "a.yaml"], ["a.yaml"]),
        (["a.yaml", "list"], ["a.yaml"]),
        (["list", "a.yaml", "--all"], ["a.yaml", "--all"]),
        (["show", "a.yaml", "left:7"], ["a.yaml", "--show", "left:7"]),
        (["a.yaml", "show", "left:7"], ["a.yaml", "--show", "left:7"]),
        (["show", "left:7"], ["--show", "left:7"]),
        (["export", "a.yaml"], ["a.yaml", "--export", "-"]),
        (["export", "a.yaml", "-"], ["a.yaml", "--export", "-"]),
        (["export", "-"], ["--export", "-"]),
        (["retry", "a.yaml"], ["a.yaml", "--retry"]),
        (["drop", "a.yaml", "--record", "left:3"], ["a.yaml", "--drop", "--record", "left:3"]),
    ],
)
def test_what_to_do_may_be_a_word(cli, letters, words, same):
    """`drop` asks, and hears nothing, so nothing changes; `retry` fails as before."""
    one, other = cli("errors", *words), cli("errors", *same)
    assert (one.code, one.out, one.err) == (other.code, other.out, other.err)
    assert one.out or one.err


def test_export_to_a_file_by_a_word(cli, letters):
    assert cli("errors", "export", "bad.jsonl").code == 0  # of all pipelines here
    assert len((letters / "bad.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "a.yaml"], "which one?; give its name, as in `penstock errors show orders:17`"),
        (["retry", "a.yaml", "--drop"], "retry goes with no --drop; leave one of them out"),
        (["show", "a.yaml", "left:3", "--all"], "show goes with no --all; leave one of them out"),
        (
            ["a.yaml", "replay"],
            "cannot tell what 'replay' is for; what to do is one of list, show, export, retry, drop",
        ),
        (
            ["retry", "a.yaml", "left:3"],
            "cannot tell what 'left:3' is for; what to do is one of list, show, export, retry, drop",
        ),
    ],
)
def test_words_that_cannot_be_meant(cli, letters, words, says):
    done = cli("errors", *words)
    assert (done.code, done.out, done.err) == (2, "", f"penstock errors: {says}\n")


def test_a_pipeline_may_be_called_as_what_is_done(cli, letters):
    (letters / "retry").write_text((letters / "a.yaml").read_text())
    assert cli("errors", "retry").out == "no dead letters\n"  # it is listed: a retry says less


def test_edit_is_for_retry(cli, letters):
    done = cli("errors", "a.yaml", "--edit")
    assert (done.code, done.err) == (
        2,
        "penstock errors: --edit is for --retry; add --retry\n",
    )


def test_retry_is_for_one_pipeline(cli, letters, monkeypatch):
    done = cli("errors", "--retry")
    assert (done.code, done.err) == (
        2,
        "penstock errors: the letters of one pipeline are tried again; name it\n",
    )


def test_a_retry_that_fails_as_a_whole_changes_nothing(mended):
    text = (mended / "functions.py").read_text()
    (mended / "functions.py").write_text(text.replace('path, "a"', 'path, "no such mode"'))
    text = (mended / "a.yaml").read_text()
    (mended / "a.yaml").write_text(text.replace("kept: {", "kept: {on_error: stop, "))
    done = mended.penstock("errors", "a.yaml", "--retry", "--source", "right")
    assert done.code == 1
    assert done.err.endswith("nothing was tried again; the letters stay open\n")
    assert len(mended.penstock("errors", "a.yaml", "--json").json) == 5


# ---- names that are wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["errors", "runs"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("aa.yaml", "did you mean 'a.yaml'?"),
        ("numbres.toml", "did you mean 'numbers'?"),
        ("zzzzzz.json", "name the file of a pipeline that has run"),
    ],
)
def test_a_pipeline_that_is_not_there_and_never_ran(cli, letters, command, name, hint):
    done = cli(command, name)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"{name}: no such file, and no run of that name; {hint}\n"


def test_a_pipeline_that_is_not_there_where_nothing_ran(cli, folder):
    done = cli("errors", "a.yaml")
    assert done.code == 2
    assert done.err.startswith("a.yaml: no such file, and no run of that name; ")
    assert not (folder / ".penstock").exists()


def test_a_node_that_has_no_dead_letters(cli, letters):
    done = cli("errors", "a.yaml", "--node", "pickyy")
    assert done.code == 2
    assert done.err == (
        "penstock errors: no dead letters of a node 'pickyy'; did you mean 'picky'?\n"
    )
    assert cli("errors", "a.yaml", "--node", "zzz").err == (
        "penstock errors: no dead letters of a node 'zzz'; there are some of picky\n"
    )
    assert cli("errors", "a.yaml", "--node", "left").out == "no dead letters\n"
    cli("errors", "a.yaml", "--drop", "--yes")
    assert cli("errors", "a.yaml", "--node", "picky").out == "no dead letters\n"
    assert cli("errors", "a.yaml", "--node", "zzz").err == (
        "penstock errors: no dead letters of a node 'zzz'; there are none of any\n"
    )
