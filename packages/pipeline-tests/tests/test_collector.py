"""pytest collects cases beside its own tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

PIPELINE = """
inputs: {orders: {use: "shop:orders"}}
outputs: {store: {use: "shop:store"}}
pipes: {orders: [orders, store]}
"""


@pytest.fixture
def files(shop):
    shop.write("orders.yaml", PIPELINE + "tests:\n  own: {feed: {orders: [1]}}\n")
    shop.write(
        "orders.test.yaml",
        "tests:\n"
        "  it passes: {feed: {orders: [1]}, expect: {records: {store: [1]}}}\n"
        "  it fails: {feed: {orders: [1]}, expect: {records: {store: [2]}}}\n",
    )
    shop.write("test_other.py", "def test_other():\n    pass\n")
    return shop


def run(shop, *arguments, ini=""):
    shop.write("pytest.ini", f"[pytest]\nfilterwarnings = error\n{ini}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *arguments]
    done = subprocess.run(command, cwd=shop.path, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_each_case_is_an_item(files):
    code, out = run(files)
    assert code == 1
    assert "orders.test.yaml::it passes PASSED" in out
    assert "orders.test.yaml::it fails FAILED" in out
    assert "orders.yaml::own PASSED" in out
    assert "test_other.py::test_other PASSED" in out
    assert "1 failed, 3 passed" in out
    assert "orders.test.yaml:3: it fails\nstore, record 1: expected 2, got 1\n" in out
    assert "Traceback" not in out


def test_items_are_chosen_as_others_are(files):
    assert "1 passed" in run(files, "-k", "passes")[1]
    assert "1 passed" in run(files, "orders.yaml::own")[1]


def test_a_setting_leaves_them_out(files):
    code, out = run(files, ini="penstock_tests = files")
    assert "1 failed, 2 passed" in out
    code, out = run(files, ini="penstock_tests = off")
    assert (code, "1 passed" in out) == (0, True)
    code, out = run(files, ini="penstock_tests = some")
    assert code != 0
    assert "penstock_tests: must be one of all, files, off, got 'some'" in out


def test_a_file_that_is_wrong_is_an_error_of_the_collection(files):
    files.write("orders.test.yaml", "tests: {one: {fed: {}}}\n")
    code, out = run(files)
    assert code == 2
    assert "orders.test.yaml:1:15: tests.one.fed: no such option; did you mean 'feed'?" in out
    assert "Traceback" not in out


def test_an_error_of_ours_keeps_its_traceback(files):
    files.write("shop.py", "def orders():\n    yield 1\n\ndef store(order):\n    pass\n")
    files.write("conftest.py", BROKEN)
    _, out = run(files, "orders.yaml")
    assert "ZeroDivisionError" in out


BROKEN = """
import penstock_pipeline_tests.suites

def broken(*_):
    raise ZeroDivisionError

penstock_pipeline_tests.suites.complaints = broken
"""


def test_without_such_files_nothing_of_penstock_is_imported(tmp_path):
    (tmp_path / "test_one.py").write_text(
        "import sys\n"
        "def test_one():\n"
        "    assert 'penstock' not in sys.modules or 'penstock.build' not in sys.modules\n"
        "    assert 'penstock_pipeline_tests.suites' not in sys.modules\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
