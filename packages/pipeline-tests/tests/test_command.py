"""`penstock test`: what it finds, what it prints, what it ends with."""

from __future__ import annotations

import pytest

PIPELINE = """
inputs: {orders: {use: "shop:orders"}}
outputs: {store: {use: "shop:store"}}
pipes: {orders: [orders, store]}
"""
PASSES = "tests:\n  it passes: {feed: {orders: [1]}, expect: {records: {store: [1]}}}\n"
FAILS = "tests:\n  it fails: {feed: {orders: [1]}, expect: {records: {store: [2]}}}\n"


@pytest.fixture
def files(shop):
    shop.write("a/good.yaml", PIPELINE + PASSES)
    shop.write("b/bad.yaml", PIPELINE)
    shop.write("b/bad.test.yaml", FAILS)
    for folder in ("a", "b"):
        shop.write(f"{folder}/shop.py", (shop.path / "shop.py").read_text())
    return shop


def test_a_line_for_each_case_and_the_differences_of_those_that_fail(files):
    done = files.penstock("test")
    assert done.code == 7
    assert done.err == ""
    assert done.out.splitlines()[:-1] == [
        "ok    a/good.yaml: it passes",
        "FAIL  b/bad.test.yaml:2: it fails",
        "      store, record 1: expected 2, got 1",
        "",
    ]
    assert done.out.splitlines()[-1].startswith("2 tests: 1 passed, 1 failed in 0.")


def test_a_pipeline_stands_for_its_tests_beside_it(files):
    assert files.penstock("test", "b/bad.yaml").out.startswith("FAIL  b/bad.test.yaml:2")
    assert files.penstock("test", "a/good.yaml").code == 0


def test_each_case_runs_once(files):
    done = files.penstock("test", "a", "a/good.yaml", ".")
    assert done.out.count("ok ") == 1


@pytest.mark.parametrize("chosen", ["passes", "IT PASSES", "good.yaml"])
def test_cases_are_chosen_by_a_part_of_their_name(files, chosen):
    done = files.penstock("test", "-k", chosen)
    assert done.code == 0
    assert "1 test: 1 passed" in done.out


def test_several_parts_choose_more(files):
    assert "2 tests" in files.penstock("test", "-k", "passes", "-k", "fails").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "nothing"], "penstock test: no test matches -k 'nothing'; there are 2 cases\n"),
        (["shop.py"], "shop.py: no tests found; a pipeline has them under 'tests'"),
        (["no.yaml"], "no.yaml: no such file or folder; name a pipeline, or a folder\n"),
        (
            ["--fail-under", "101"],
            "penstock test: argument --fail-under: must be a number from 0 to 100",
        ),
        (
            ["--fail-under", "x"],
            "penstock test: argument --fail-under: must be a number from 0 to 100",
        ),
        (["--redact", "x"], "penstock test: --redact goes with --record; leave it out\n"),
        (["--output", "x"], "penstock test: --output goes with --record; leave it out\n"),
    ],
)
def test_nothing_to_test_is_no_success(files, arguments, message):
    done = files.penstock("test", *arguments)
    assert done.code == 2
    assert done.err.startswith(message)
    assert done.out == ""


def test_a_file_without_a_case_is_no_success(shop):
    shop.write("a.yaml", PIPELINE)
    shop.write("a.test.yaml", "tests: {}\n")
    done = shop.penstock("test")
    assert done.code == 2
    assert (
        done.err
        == "penstock test: no tests found: the files hold none; give a case under 'tests'\n"
    )


def test_a_file_that_is_wrong_outweighs_a_case_that_fails_and_stops_none(files):
    files.write("c.test.yaml", "tests: 5\n")
    done = files.penstock("test")
    assert done.code == 3
    assert len(done.err.splitlines()) == 2
    assert "2 tests: 1 passed, 1 failed, 1 file could not be used" in done.out


def test_a_file_that_cannot_be_parsed(files):
    files.write("c.test.yaml", "tests: {a: \n")
    done = files.penstock("test", "c.test.yaml")
    assert done.code == 3
    assert done.err.startswith("c.test.yaml:")


def test_json(files):
    files.write("c.test.json", '{"tests": 5}')
    done = files.penstock("test", "--json", "--coverage")
    assert done.code == 3
    assert done.err == ""
    made = done.json
    assert (made["passed"], made["failed"]) == (1, 1)
    assert made["tests"][1] == {
        "file": "b/bad.test.yaml",
        "line": 2,
        "name": "it fails",
        "passed": False,
        "problems": ["store, record 1: expected 2, got 1"],
        "seconds": made["tests"][1]["seconds"],
    }
    assert made["errors"][0].startswith("c.test.json:1:1: pipeline: names no pipeline")
    assert made["coverage"]["pipelines"]["a/good.yaml"]["nodes"] == {"reached": 2, "all": 2}


def test_an_error_as_json(files):
    assert files.penstock("test", "--json", "-k", "x").json["error"]["exit_code"] == 2


def test_every_case_on_another_engine(files):
    assert files.penstock("test", "--engine", "threads", "a").code == 0
    assert files.penstock("test", "--engine", "thread", "a").code == 4


def test_what_is_not_ours_is_not_looked_at(shop):
    for folder in (".hidden", "node_modules", "venv"):
        shop.write(f"{folder}/bad.yaml", PIPELINE + FAILS)
    shop.write("venv/pyvenv.cfg", "")
    shop.write("other.yaml", "tests: {unit: [x]}\nstages: []\n")
    shop.write("large.json", '{"tests": 1, "pipes": 1, "x": "' + "x" * (9 << 20) + '"}')
    (shop.path / "round").symlink_to(shop.path)
    assert shop.penstock("test").err.startswith(".: no tests found")


def test_help_explains_itself(shop):
    done = shop.penstock("test", "--help")
    assert done.code == 0
    assert "Run the tests of pipelines." in done.out


def test_a_given_plugin_takes_part(shop):
    shop.write("louder.py", LOUDER)
    (shop.path / "louder.py").chmod(0o600)
    shop.write("a.yaml", PIPELINE.replace('"shop:store"', "loud"))
    shop.write("a.test.yaml", "tests: {a: {feed: {orders: [1]}, real: [store]}}")
    assert shop.penstock("test").code == 4
    assert shop.penstock("test", "--plugin", "louder.py").code == 0


LOUDER = """
from penstock import Output, hookimpl

class Loud(Output):
    def write(self, batch):
        pass

@hookimpl
def penstock_outputs():
    return {"loud": Loud}
"""
