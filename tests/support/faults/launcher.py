"""Runs the command line in forks of one process that has imported everything, and kills them.

A program: it reads one request per line of standard input and answers each with one line, both
JSON. Its own process has no threads, so a fork of it is like a fresh start, fifty times as fast.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

MODULES = (
    "penstock.cli.run penstock.engines.inline penstock.engines.threads penstock.stores.sqlite "
    "penstock.syntaxes.yaml penstock_input_csv.input penstock_input_json.input "
    "penstock_sink_csv.output penstock_sink_json.output penstock_shape.pack penstock_input_sql.input "
    "penstock_streams.window penstock_fields.fields "
    "penstock_sink_sql.output penstock_sink_sql.session penstock_sink_sql.checkpoints "
    "penstock_sink_sql.writer penstock_sink_sql.table sqlalchemy.dialects.postgresql.psycopg psycopg "
    "penstock_sink_mongodb.output penstock_sink_mongodb.transactions penstock_sink_mongodb.indexes"
)
_NAP = 0.0005


def run(arguments: list[str], folder: str, variant: str | None, messages: str) -> int:
    """Be the child: run one command with everything it says in the file `messages`."""
    from penstock.cli import main

    from .variants import VARIANTS

    os.chdir(folder)
    said = os.open(messages, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if variant is not None:
        VARIANTS[variant]()
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def answer(request: dict[str, Any]) -> dict[str, Any]:
    child = os.fork()
    if not child:
        code = 70
        try:
            code = run(
                request["arguments"], request["folder"], request["variant"], request["messages"]
            )
        finally:
            os._exit(code)
    started = time.monotonic()
    signals = [tuple(one) for one in request["signals"]]  # (seconds after the start, number)
    deadline = started + request["timeout"]
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        now = time.monotonic()
        if done:
            return {"code": os.waitstatus_to_exitcode(status), "seconds": now - started}
        if signals and now - started >= signals[0][0]:
            os.kill(child, signals.pop(0)[1])
        if now > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"code": None, "seconds": now - started}
        time.sleep(_NAP)


def serve() -> None:
    for module in MODULES.split():
        __import__(module)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # one run, in this very process: for those who trace it
        variant, folder, *arguments = sys.argv[1:]
        sys.exit(run(arguments, folder, variant or None, "messages.txt"))
    serve()
