"""Imports modules, each alone, and tells what that did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["import_each_alone"]

# One interpreter forks a child for each module: each starts from nothing, none pays for a start.
IMPORT_EACH_ALONE = """
import importlib, json, os, sys, threading, traceback

def report(module, before):
    sys.stdout = sys.stderr = capture = __import__("io").StringIO()
    answer = {"module": module, "error": ""}
    try:
        importlib.import_module(module)
    except BaseException:
        answer["error"] = traceback.format_exc()
    answer["printed"] = capture.getvalue()
    answer["threads"] = threading.active_count() - 1
    answer["loaded"] = sorted(set(sys.modules) - before)
    return answer

before = set(sys.modules) | {"io"}
for module in json.load(sys.stdin):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            json.dump(report(module, before), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        print(answer.read() or json.dumps({"module": module, "error": "the process died"}))
    os.wait()
"""


def import_each_alone(
    modules: list[str], python: str | Path = sys.executable
) -> list[dict[str, Any]]:
    """What happened when each was imported in an interpreter that had imported nothing else: the
    keys `module`, `error`, `printed`, `threads` and `loaded`."""
    done = subprocess.run(
        [python, "-W", "error", "-c", IMPORT_EACH_ALONE],
        input=json.dumps(modules),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
