"""`manage.py penstock`: the command line, with the project set up and its database as the store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from getpass import getuser
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from penstock import PenstockError, UsageError
from penstock.cli import main

__all__ = ["Command"]


class Command(BaseCommand):
    """`run FILE`, `errors [list|show|retry|ignore|drop]` and `runs` use the store of the project;
    every other word is a command of `penstock`."""

    help = "run pipelines with this project's database as their store"

    def run_from_argv(self, argv: list[str]) -> None:
        code = self.run(argv[2:])
        if code:
            sys.exit(code)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("words", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, words: Sequence[str] = (), **__: Any) -> str | None:
        code = self.run(list(words))
        return str(code) if code else None

    def run(self, words: list[str]) -> int:
        """Do what the words say: the exit code."""
        own = {"run": self._run, "errors": self._errors, "runs": self._runs}
        if not words or words[0] not in own:
            return main(words)
        parser = argparse.ArgumentParser(prog=f"manage.py penstock {words[0]}")
        try:
            return own[words[0]](parser, words[1:])
        except PenstockError as error:
            self.stderr.write(str(error))
            return int(getattr(error, "exit_code", 1))

    def _run(self, parser: argparse.ArgumentParser, words: list[str]) -> int:
        from ...runs import run_file

        parser.add_argument("file", help="pipeline file")
        parser.add_argument("--fresh", action="store_true", help="start over")
        parser.add_argument("--engine", metavar="NAME", help="run on this engine")
        options = parser.parse_args(words)
        report = run_file(options.file, fresh=options.fresh, engine=options.engine)
        self.stderr.write(report.table())
        return report.exit_code

    def _runs(self, parser: argparse.ArgumentParser, words: list[str]) -> int:
        from ...batches import settle
        from ...live import status_of
        from ...models import RunReport

        parser.add_argument("--limit", type=int, default=20, metavar="N", help="show so many")
        options = parser.parse_args(words)
        settle()
        for run in RunReport.objects.all()[: options.limit]:
            status = status_of(run)
            self.stdout.write(f"{run.run_id}  {run.pipeline}  {status}  {run.seconds:.2f} s")
        return 0

    def _errors(self, parser: argparse.ArgumentParser, words: list[str]) -> int:
        """Errors of items, and dead letters of pipeline files."""
        from ...letters import chosen, count, mended_from, whole

        _errors_arguments(parser)
        options = parser.parse_args(words)
        only = {name: getattr(options, name) for name in ("pipeline", "node", "error", "search")}
        if options.verb in ("show", "drop") and not options.record and not any(only.values()):
            raise UsageError(
                f"which dead letters to {options.verb}?",
                where="penstock errors",
                hint="name them as orders:17, or choose some as with --pipeline",
            )
        letters = chosen(options.record, **only)
        if options.verb == "show":
            self._say(line for one in letters for line in whole(one))
            return 0
        mended: Mapping[Any, str] = {}
        if options.edit_with is not None:
            mended = mended_from(options.edit_with, letters)
            letters = [one for one in letters if one.identity in mended]
        errors = _errors_of(options)
        if errors is not None:
            self._items(errors, options.verb)
        self._letters(letters, options.verb, mended)
        still = len(chosen(**only))
        self._say([count(still, "dead letter")])
        left = 0 if errors is None else errors.count()
        if errors is not None:
            self._say([count(left, "error")])
        return 6 if left or still else 0

    def _items(self, errors: Any, verb: str) -> None:
        """Errors of items, in groups of the same error."""
        groups = {(one.pipeline_name, one.stack_hash): one for one in errors.order_by("-pk")}
        for one in groups.values():
            count = one.same_errors.count()
            if verb == "retry":
                one.do_fix_it()
            elif verb == "ignore":
                one.ignore()
            self._say([f"{count} × {one.pipeline_name}: {one.message}"])

    def _letters(self, letters: Sequence[Any], verb: str, mended: Any) -> None:
        from ...letters import groups, outcome
        from ...runs import open_store, retry_letters

        self._say(groups(letters))
        if verb == "retry" and letters:
            self._say(outcome(retry_letters(letters, mended, _who())))
        elif verb == "drop" and letters:
            store = open_store()
            try:
                store.drop_letters(letters)
            finally:
                store.close()

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _who() -> str:
    try:
        return getuser()
    except (OSError, KeyError, ImportError):  # a container may have no names for its users
        return "manage.py"


def _errors_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = ["list", "show", "retry", "ignore", "drop"]
    told = "what to do: `ignore` is for errors of items, `show` and `drop` for dead letters"
    parser.add_argument("verb", nargs="?", choices=verbs, default="list", help=told)
    parser.add_argument(
        "record", nargs="*", metavar="SOURCE:ORDINAL[@NODE]", help="only these dead letters"
    )
    parser.add_argument("--pipeline", metavar="NAME", help="only those of this pipeline")
    parser.add_argument("--node", metavar="NAME", help="only dead letters of this node")
    parser.add_argument("--error", metavar="CLASS", help="only those with this error")
    parser.add_argument("--search", metavar="TEXT", help="only those in which this text stands")
    parser.add_argument(
        "--edit-with",
        metavar="FILE",
        help="try these mended dead letters: JSON lines of id, record",
    )


def _errors_of(options: Any) -> Any:
    """The errors of items that are meant; None when only dead letters are."""
    from django.db.models import Q

    from ...models import PipelineError

    if options.record or options.node is not None or options.edit_with is not None:
        return None
    errors = PipelineError.objects.filter(fixed=None)
    if options.pipeline is not None:
        errors = errors.filter(pipeline_name=options.pipeline)
    if options.error is not None:
        errors = errors.filter(error_type=options.error)
    if options.search is not None:
        text = options.search
        errors = errors.filter(Q(message__icontains=text) | Q(item_repr__icontains=text))
    return errors
