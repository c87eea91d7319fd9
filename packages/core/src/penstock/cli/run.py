"""`penstock run`."""

from __future__ import annotations

import argparse
import os
import sys
from shlex import quote
from typing import Any

from ..errors import EXIT_FAILED, UsageError
from ..journal import Report
from ..options import seconds_of, short
from ..runs import Display, Run
from ..supervise import RESTARTS, supervise
from . import common_arguments
from .loading import at_least_one, find_file, load, plugins_of, store_of, worker_argument
from .showing import print_json
from .signals import GRACE, Draining

HELP = "run a pipeline"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--fresh", action="store_true", help="start over instead of resuming a run that was cut off"
    )
    how.add_argument(
        "--reparse",
        action="store_true",
        help="read files and tables again from their start, as after a change, and take back the "
        "results that no longer arise",
    )
    parser.add_argument(
        "--max-records",
        type=at_least_one("--max-records"),
        metavar="N",
        help="stop after reading N records; the next run goes on",
    )
    parser.add_argument(
        "--max-seconds",
        type=_max_seconds,
        metavar="N",
        help="stop after N seconds; the next run goes on",
    )
    parser.add_argument(
        "--no-restart",
        action="store_true",
        help="do not start again after an error that may be over soon, as a lost connection",
    )
    parser.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE,
        metavar="TIME",
        help="how long Ctrl-C and SIGTERM let a run finish its epoch (default: 30s)",
    )
    parser.add_argument(
        "--locked",
        action="store_true",
        help="refuse to run when what is installed, or the pipeline, is not what pylock.toml names",
    )
    parser.add_argument(
        "--workers",
        type=at_least_one("--workers"),
        metavar="N",
        help="run N processes that share the partitions of the streams they read",
    )
    worker_argument(parser, argparse.SUPPRESS)
    parser.add_argument("--engine", help="use this engine instead of the file's")
    parser.add_argument(
        "--state", metavar="FOLDER", help="keep state here (default: .penstock beside the file)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show only errors")
    parser.add_argument("--no-color", action="store_true", help="no colours")


def _seconds(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _max_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0  # refused below, in the same words
    if not 0 < seconds < float("inf"):
        what = f"must be a number of seconds above 0, got {short(text)}"
        raise UsageError(what, where="--max-seconds")
    return seconds


def run(options: Any) -> int:
    if options.locked:
        from ..locking import verify

        verify(find_file(options.pipeline), plugins_of(options))
    pipeline = load(options)
    if options.workers is not None:
        from .workers import run_workers

        return run_workers(options, pipeline)
    if options.worker is not None:
        from .workers import follow_parent

        follow_parent()
    store = store_of(options)
    store.open()
    display = None
    if not options.quiet:
        color = not options.no_color and not os.environ.get("NO_COLOR") and sys.stderr.isatty()
        display = Display(progress=not options.json, color=color)
    try:
        with Draining(grace=options.grace) as signals:

            def begins(run: Run) -> None:
                run.warnings.extend(pipeline.warnings)
                signals.attend(run)

            one, report = supervise(
                pipeline,
                store,
                display=display,
                fresh=options.fresh,
                reparse=options.reparse,
                max_records=options.max_records,
                max_seconds=options.max_seconds,
                restarts=0 if options.no_restart else RESTARTS,
                begins=begins,
                pauses=lambda sentence: print(f"penstock: {sentence}", file=sys.stderr),
                stopped=lambda: signals.received is not None,
            )
    finally:
        store.close()
    return _finish(options, one, report, signals.received)


def _finish(options: Any, one: Run, report: Report, received: int | None) -> int:
    if isinstance(one.error, BrokenPipeError) or isinstance(
        one.error.__cause__ if one.error else None, BrokenPipeError
    ):
        raise BrokenPipeError
    if options.json:
        print_json(report.to_dict())
    elif options.quiet:
        if report.error:
            print(report.error, file=sys.stderr)
    elif not (one.display and one.display.report_shown):
        print(report.table(), file=sys.stderr)
    if report.status == "interrupted" and received is not None and not options.quiet:
        print(f"go on with: penstock run {_named(options)}", file=sys.stderr)
    if report.letters and not options.quiet:
        print(_where_letters_are(options, report.letters), file=sys.stderr)
    if options.verbose and one.error is not None:
        import traceback

        traceback.print_exception(one.error)
    if report.status == "interrupted" and received is not None:
        return 128 + received
    if one.error is not None:
        return getattr(one.error, "exit_code", EXIT_FAILED)
    return report.exit_code


def _where_letters_are(options: Any, count: int) -> str:
    what, it = ("1 record was", "it") if count == 1 else (f"{count} records were", "them")
    return f"{what} set aside; see {it} with: penstock errors {_named(options)}"


def _named(options: Any) -> str:
    """The pipeline and its state, as arguments of another command."""
    state = f" --state {quote(options.state)}" if options.state else ""
    return f"{quote(str(find_file(options.pipeline)))}{state}"
