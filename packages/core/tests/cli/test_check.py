"""`penstock check`: what is wrong, what is odd, and what may be promised."""

from __future__ import annotations

import os

import pytest

PIPELINE = """
inputs:
  count: {use: "functions:count"}
  live: {use: "more:Live"}
inspectors:
  unused: {use: "functions:not_three"}
transformers:
  doubled: {use: "functions:double"}
outputs:
  keyed: {use: "more:Keyed"}
pipes:
  main: [count, doubled, keyed]
  side: [live]
"""

MORE = """
from penstock import Input, Output, component, option

@component
class Live(Input):
    capability = "ephemeral"

    def read(self, positions):
        return iter(())

@component
class Keyed(Output):
    delivery = "keyed"

    def write(self, batch):
        pass

@component
class Locked(Output):
    password: str = option(help="Password.", secret=True)

    def open(self, context):
        raise PermissionError(f"not with {self.password}")

    def write(self, batch):
        pass
"""


@pytest.fixture
def pipeline(functions):
    functions.write("more.py", MORE)
    functions.write("a.yaml", PIPELINE)
    return functions


def test_it_says_what_is_odd_and_what_may_be_promised(cli, pipeline):
    done = cli("check", "a.yaml")
    assert done.code == 0
    assert done.err == ""
    assert done.out.splitlines() == [
        "warning: unused stands in no pipe",
        "no output follows live: the records are printed",
        "count -> keyed: replayable input, keyed output",
        "  after a kill: the last state of every key is there",
        "live -> print: ephemeral input, append output",
        "  after a kill: records that were read and not yet written are lost",
        "--reparse: refused, as keyed cannot take back what it wrote: results that no longer arise "
        "would stay beside the new ones",
        "a: 5 nodes, nothing wrong",
    ]


AGAIN = """
from penstock import Input, Output, component

@component
class Log(Input):
    finite = False

    def read(self, positions):
        return iter(())

@component
class Whole(Output):
    replaces = True

    def write(self, batch):
        pass

@component
class Known(Output):
    retracts = True

    def write(self, batch):
        pass
"""


def test_it_says_what_a_reparse_would_do(cli, functions):
    functions.write("again.py", AGAIN)
    functions.write(
        "b.yaml",
        """
        inputs: {count: {use: "functions:count"}, log: {use: "again:Log"}}
        outputs: {whole: {use: "again:Whole"}, known: {use: "again:Known"}}
        pipes: {main: [count, whole], side: [log, known]}
        """,
    )
    assert cli("check", "b.yaml").out.splitlines()[-2] == (
        "--reparse: count would be read again, log would go on, whole replaced as a whole, "
        "known rid of what no longer arises"
    )
    assert cli("check", "b.yaml", "--json").json["reparse"] == {
        "again": ["count"],
        "onward": ["log"],
        "outputs": {"whole": "replaces", "known": "retracts"},
        "refused": None,
    }


@pytest.mark.parametrize(
    ("use", "what"),
    [
        ("more:Live", "a: cannot be read again from its start: it is ephemeral; a reparse needs "),
        ("again:Log", "a: there is nothing to read again: a log goes on where it stood; a reparse"),
    ],
)
def test_a_reparse_that_is_not_possible_is_refused_before_the_run(cli, pipeline, use, what):
    pipeline.write("again.py", AGAIN)
    pipeline.write(
        "b.yaml",
        f"""
        inputs: {{a: {{use: "{use}"}}}}
        outputs: {{whole: {{use: "again:Whole"}}}}
        pipes: {{main: [a, whole]}}
        """,
    )
    done = cli("run", "b.yaml", "--reparse")
    assert done.code == 2
    assert done.err.startswith(what)
    done = cli("run", "b.yaml", "--reparse", "--fresh")
    assert (done.code, "not allowed with argument" in done.err) == (2, True)


def test_an_output_that_appends_may_write_again(cli, numbers):
    assert (
        "no record is lost; those of one epoch may be there again"
        in cli("check", "numbers.yaml").out
    )


def test_it_says_what_the_death_of_a_member_of_a_group_does(cli, folder):
    folder.write(
        "site/group.py",
        """
from penstock import Input, Output, TransactionalOutput

class Shares(Input):
    shared = True

class Commits(TransactionalOutput):
    pass

class Settles(Commits):
    def settles(self, source):
        return isinstance(source, Shares)

class Keyed(Output):
    delivery = "keyed"
""",
    )
    folder.write(
        "b.yaml",
        """
inputs:
  clicks: {use: "group:Shares"}
outputs:
  commits: {use: "group:Commits"}
  settles: {use: "group:Settles"}
  keyed: {use: "group:Keyed"}
pipes:
  a: [clicks, commits]
  b: [clicks, settles]
  c: [clicks, keyed]
""",
    )
    found = cli("check", "b.yaml", "--json").json
    told = {one["output"]: one["taken_over"] for one in found["deliveries"]}
    again = "no record is lost; those of its last epoch may be there again"
    assert told == {"commits": again, "settles": None, "keyed": None}
    said = cli("check", "b.yaml").out
    assert said.count(f"when a member of the group dies and others go on: {again}") == 1


def test_the_same_as_json(cli, pipeline):
    found = cli("check", "a.yaml", "--json").json
    assert found["nodes"] == ["count", "doubled", "keyed", "live", "print"]
    assert found["warnings"] == ["unused stands in no pipe"]
    assert found["printed"] == ["live"]
    assert [(one["input"], one["output"], one["delivery"]) for one in found["deliveries"]] == [
        ("count", "keyed", "keyed"),
        ("live", "print", "append"),
    ]


def test_connect_opens_everything(cli, pipeline):
    assert "nothing wrong, everything opens" in cli("check", "a.yaml", "--connect").out
    assert cli("check", "a.yaml", "--connect", "--json").json["opened"][0] == "count"


def test_a_connection_that_fails_ends_with_5_and_keeps_its_secrets(cli, pipeline):
    pipeline.write(
        "b.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        outputs: {locked: {use: "more:Locked", password: hush}}
        pipes: {main: [count, locked]}
        """,
    )
    assert cli("check", "b.yaml").code == 0
    done = cli("check", "b.yaml", "--connect")
    assert done.code == 5
    assert done.err == "locked: PermissionError: not with ***\n"


def test_settings_count(cli, pipeline):
    assert cli("check", "a.yaml", "--set", "count.upto=7").code == 0
    done = cli("check", "a.yaml", "--set", "count.upto=many")
    assert done.code == 3
    assert "must be a whole number, got 'many'" in done.err


def test_another_engine_is_checked_as_well(cli, pipeline):
    assert cli("check", "a.yaml", "--engine", "threads").code == 0
    assert cli("check", "a.yaml", "--engine", "nothing").code == 2


def test_nothing_is_left_behind(cli, pipeline):
    before = sorted(path.name for path in pipeline.path.iterdir())
    cli("check", "a.yaml", "--connect")
    after = sorted(path.name for path in pipeline.path.iterdir() if path.name != "__pycache__")
    assert after == before


# ---- several files ------------------------------------------------------------------------------


@pytest.fixture
def three(pipeline):
    """A file that is right, one with a mistake in each of two lines, one without its plugin."""
    pipeline.write("wrong.yaml", "inputs:\n  a: {use: 1}\npipes:\n  main: [b]\n")
    pipeline.write("missing.yaml", "inputs: {a: {use: nowhere}}\npipes: {main: [a]}\n")
    return pipeline


def test_several_files_are_each_reported_whole(cli, three):
    done = cli("check", "wrong.yaml", "a.yaml", "missing.yaml")
    assert done.code == 3
    assert "a: 5 nodes, nothing wrong" in done.out
    problems = done.err.splitlines()
    assert [line.partition(":")[0] for line in problems] == 2 * ["wrong.yaml"] + ["missing.yaml"]


def test_the_exit_code_is_that_of_the_first_file_that_is_wrong(cli, three):
    assert cli("check", "a.yaml", "missing.yaml", "wrong.yaml").code == 4
    assert cli("check", "a.yaml", "a.yaml").code == 0


def test_several_files_as_json(cli, three):
    done = cli("check", "wrong.yaml", "a.yaml", "--json")
    wrong, right = done.json
    assert wrong["pipeline"] == "wrong.yaml"
    assert wrong["error"]["exit_code"] == done.code == 3
    assert len(wrong["error"]["problems"]) == 2
    assert (right["pipeline"], len(right["nodes"])) == ("a", 5)


# ---- what is no pipeline and no plugin ----------------------------------------------------------


def test_a_file_that_says_nothing_about_a_pipeline(cli, folder):
    folder.write("other.yaml", "services: {web: {image: nginx}}\n")
    done = cli("check", "other.yaml")
    assert done.code == 3
    assert "no dialect knows these keys; a pipeline declares inputs and pipes" in done.err


def test_a_plugin_that_is_no_python_file(cli, numbers):
    numbers.write("hooks.txt", "")
    done = cli("check", "numbers.yaml", "--plugin", "hooks.txt")
    assert (done.code, done.err) == (4, "hooks.txt: is not a Python file\n")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives away")
def test_a_plugin_file_that_belongs_to_somebody_else(cli, numbers):
    file = numbers.write("hooks.py", "")
    os.chown(file, 12345, -1)
    done = cli("check", "numbers.yaml", "--plugin", "hooks.py")
    assert (done.code, done.err) == (4, "hooks.py: it belongs to somebody else; make it your own\n")
