"""The same tests on a server that others have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("PENSTOCK_TEST_MONGO_JAVA")), reason="runs here already"
)
CANNOT = ("every_kind_are_read", "connection")  # it sorts no code, and takes no faults


def test_documents_are_read_the_same_from_mongo_java_server(mongo_java_server):
    tests = Path(__file__).with_name("test_input.py")
    done = mongo_java_server.run_tests(tests, "-k", " and ".join(f"not {one}" for one in CANNOT))
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
