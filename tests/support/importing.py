"""Imports modules, each alone, and tells what that did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["import_each_alone"]

_APART = ("", ".apps", ".connection", ".input", ".output", ".plugin", ".store")
"""Of the Django app, the modules that are imported before Django has been set up."""

SET_UP_DJANGO = """
import django
from django.conf import settings
apps = ["admin", "auth", "contenttypes", "messages", "sessions"]
settings.configure(INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "penstock_django"])
django.setup()
"""


def _needs_django(module: str) -> bool:
    """Whether a module is one of a Django app that Django imports after its set-up."""
    root, name = module[: len("penstock_django")], module[len("penstock_django") :]
    return root == "penstock_django" and name not in _APART


# One interpreter forks a child for each module: each starts from nothing, none pays for a start.
IMPORT_EACH_ALONE = """
import importlib, json, os, sys, threading, traceback

def report(module, before, first):
    sys.stdout = sys.stderr = capture = __import__("io").StringIO()
    answer = {"module": module, "error": ""}
    try:
        exec(first)
        importlib.import_module(module)
    except BaseException:
        answer["error"] = traceback.format_exc()
    answer["printed"] = capture.getvalue()
    answer["threads"] = threading.active_count() - 1
    answer["loaded"] = sorted(set(sys.modules) - before)
    return answer

before = set(sys.modules) | {"io"}
for module, first in json.load(sys.stdin):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            json.dump(report(module, before, first), out)
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
        input=json.dumps([(one, SET_UP_DJANGO if _needs_django(one) else "") for one in modules]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
