"""Tests of pipelines from wheels: the core, the command, and what the pipeline under test needs."""

from __future__ import annotations

import re
import shutil

import pytest
from repository import PACKAGES, REPO

SHOP = "def orders():\n    yield 1\n\ndef double(order):\n    return order * 2\n"
PIPELINE = """
inputs: {orders: {use: "shop:orders"}}
transformers: {double: {use: "shop:double"}}
outputs: {store: {use: sql, url: "${NOT_SET_HERE}", table: orders}}
pipes: {orders: [orders, double, store]}
tests:
  doubled: {feed: {orders: [1, 2]}, expect: {records: {store: [2, 4]}}}
"""
STANDS_IN = {"sink-csv", "sink-json"}
"""What the example's tests do without: its outputs are captured."""


@pytest.fixture(scope="module")
def alone(wheels, new_environment):
    """The core and this package."""
    environment = new_environment("pipeline-tests")
    environment.install(wheels["core"], wheels["pipeline-tests"])
    return environment


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "orders.yaml").write_text(PIPELINE)
    return tmp_path


def test_it_brings_nothing_but_itself(alone, core_alone):
    def installed(environment):
        return {path.name.split("-")[0] for path in environment.site.glob("*.dist-info")}

    assert installed(alone) - installed(core_alone) == {"penstock_pipeline_tests"}


def test_a_pipeline_is_tested_without_what_it_writes_to(alone, folder):
    done = alone.run("penstock", "test", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok    orders.yaml: doubled\n")


def test_only_pytest_imports_what_needs_pytest(alone):
    root = "penstock_pipeline_tests"
    [package] = [one for one in PACKAGES if one.folder == "pipeline-tests"]
    others = [one.name for one in package.modules if one.name != f"{root}.collector"]
    imports = "; ".join(f"import {name}" for name in others)
    assert alone.run("python", "-W", "error", "-c", imports).returncode == 0
    done = alone.run("python", "-c", f"import {root}.collector")
    assert "No module named 'pytest'" in done.stderr


def test_what_is_missing_is_named_with_the_command_that_installs_it(alone, folder):
    (folder / "orders.csv").write_text("id\n1\n")
    (folder / "orders.test.yaml").write_text(
        "tests:\n  a: {feed: {orders: orders.csv}}\n  b: {feed: {orders: []}, expect: {records: {store: {each: a > 1}}}}\n"
    )
    done = alone.run("penstock", "test", "orders.test.yaml", cwd=folder)
    assert done.returncode == 3
    assert done.stderr.endswith(
        "expressions come with penstock-expressions; pip install penstock-expressions\n"
    )
    (folder / "orders.test.yaml").write_text("tests:\n  a: {feed: {orders: orders.csv}}\n")
    done = alone.run("penstock", "test", "orders.test.yaml", cwd=folder)
    assert done.returncode == 4
    assert "orders.test.yaml:2:14: tests.a.feed.orders.use: no input named 'csv'" in done.stderr
    assert "pip install penstock-input-csv" in done.stderr


def test_the_example_is_tested_without_its_outputs(wheels, new_environment, tmp_path):
    lines = (REPO / "examples/orders/requirements.txt").read_text("utf-8").splitlines()
    folders = {line.removeprefix("packages/") for line in lines if line.startswith("packages/")}
    assert folders >= STANDS_IN
    environment = new_environment("example-tests")
    environment.install(*(wheels[one] for one in [*sorted(folders - STANDS_IN), "pipeline-tests"]))
    copy = shutil.copytree(REPO / "examples/orders", tmp_path / "orders")
    done = environment.run("penstock", "test", cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ tests: \d+ passed in", done.stdout)
