"""The same tests on a server that others have written, which has no transactions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("PENSTOCK_TEST_MONGO_JAVA")), reason="runs here already"
)
NEED_REPLICA_SETS = ("kept_as_far", "validator", "expire", "delivery_is_what_the_server")


def test_documents_are_the_same_on_mongo_java_server(mongo_java_server):
    tests = Path(__file__).with_name("test_output.py")
    others = " and ".join(f"not {name}" for name in (*NEED_REPLICA_SETS, "transactions_may"))
    done = mongo_java_server.run_tests(tests, "-k", others)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
