"""Starts processes quickly: forks of one that has imported what they need.

The process of the launcher has no threads and opens nothing, so a fork of it is like a fresh start
and takes a hundredth of the time. Where there is no fork, each process is started anew.

    python -m penstock_testkit.launcher
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Launcher", "start_anew"]

TIMEOUT = 100.0


def start_anew(folder: Path, fate: dict[str, Any]) -> int:
    """Do the job in `folder` in a new process; its exit code, negative after a signal."""
    with open(folder / "said.txt", "wb") as said:
        return subprocess.run(
            [sys.executable, "-m", "penstock_testkit.child", folder, json.dumps(fate)],
            env=_environment(),
            stdout=said,
            stderr=said,
            timeout=TIMEOUT,
            check=False,
        ).returncode


def _environment() -> dict[str, str]:
    """What a process finds that is started now, without the name of the test: no job reads it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("PYTEST_CURRENT_TEST", None)
    return environment


class Launcher:
    """The process that forks, as its parent sees it; started when it is first needed, and anew
    where the environment is another one: what it has imported may have read the old one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._given: tuple[dict[str, str], str] | None = None

    def start(self, folder: Path, fate: dict[str, Any], modules: Sequence[str]) -> int:
        """As `start_anew`; `modules` are those that the job needs."""
        if not hasattr(os, "fork"):
            return start_anew(folder, fate)
        process = self._serving()
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"folder": str(folder), "fate": fate, "modules": list(modules)}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def _serving(self) -> subprocess.Popen[str]:
        given = (_environment(), os.getcwd())
        if given != self._given:
            self.close()
        if self._process is None or self._process.poll() is not None:
            self._given = given
            self._process = subprocess.Popen(
                [sys.executable, "-m", "penstock_testkit.launcher"],
                env=given[0],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            atexit.unregister(self.close)
            atexit.register(self.close)
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            process.stdout.close()
            process.wait()


def _answer(request: dict[str, Any]) -> int:
    for module in request["modules"]:
        with contextlib.suppress(Exception):  # the child meets it too, and says so
            import_module(module)
    child = os.fork()
    if not child:
        code = 1
        try:
            code = _be_the_child(Path(request["folder"]), request["fate"])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_the_child(folder: Path, fate: dict[str, Any]) -> int:
    from .child import Fate, main

    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(here, there)
    import signal

    if hasattr(signal, "alarm"):
        signal.alarm(int(TIMEOUT))  # the parent waits for it
    return main(folder, Fate(**fate))


def serve() -> None:
    for module in ("penstock_testkit.child", "penstock.builtin", "penstock.engines.inline"):
        import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        print(_answer(json.loads(line)), file=answers, flush=True)


if __name__ == "__main__":
    from penstock_testkit import launcher

    launcher.serve()
