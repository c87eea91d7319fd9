"""`penstock celery`: a worker for the chunks of a pipeline."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from penstock.cli import common_arguments
from penstock.cli.loading import at_least_one, load

__all__ = ["command"]


class _Command(NamedTuple):
    """A command as the command line of the kernel calls it."""

    HELP: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Any], int]


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    parser.add_argument("--engine", help="use this engine instead of the file's, as for run")
    parser.add_argument(
        "--concurrency",
        type=at_least_one("--concurrency"),
        metavar="N",
        help="processes of this worker (default: one for each core)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show only errors")


def run(options: Any) -> int:
    pipeline = load(options)
    from .worker import engine_of, make_worker

    app = make_worker(pipeline)
    level = logging.ERROR if options.quiet else logging.INFO
    logging.basicConfig(format="%(asctime)s %(processName)s: %(message)s", level=level)
    worker = app.Worker(
        concurrency=options.concurrency,
        queues=[engine_of(pipeline).queue],
        pool="prefork",
        loglevel=level,
        quiet=True,  # the banner goes to stdout
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    code: int = worker.exitcode or 0
    return code


command = _Command("run a Celery worker for the chunks of a pipeline", arguments, run)
