"""`manage.py penstock`: the command line, with the project set up and its database as the store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from penstock import PenstockError
from penstock.cli import main

__all__ = ["Command"]


class Command(BaseCommand):
    """`run FILE`, `errors [list|retry|ignore]` and `runs` use the store of the project; every other
    word is a command of `penstock`."""

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
        options = parser.parse_args(words)
        report = run_file(options.file, fresh=options.fresh)
        self.stderr.write(report.table())
        return report.exit_code

    def _runs(self, parser: argparse.ArgumentParser, words: list[str]) -> int:
        from ...models import RunReport

        parser.add_argument("--limit", type=int, default=20, metavar="N", help="show so many")
        options = parser.parse_args(words)
        for run in RunReport.objects.all()[: options.limit]:
            self.stdout.write(f"{run.run_id}  {run.pipeline}  {run.status}  {run.seconds:.2f} s")
        return 0

    def _errors(self, parser: argparse.ArgumentParser, words: list[str]) -> int:
        """Errors of items, in groups of the same error."""
        from ...models import PipelineError

        parser.add_argument("verb", nargs="?", choices=["list", "retry", "ignore"], default="list")
        parser.add_argument("--pipeline", metavar="NAME", help="only those of this pipeline")
        options = parser.parse_args(words)
        errors = PipelineError.objects.filter(fixed=None)
        if options.pipeline is not None:
            errors = errors.filter(pipeline_name=options.pipeline)
        groups = {(one.pipeline_name, one.stack_hash): one for one in errors.order_by("-pk")}
        for one in groups.values():
            count = one.same_errors.count()
            if options.verb == "retry":
                one.do_fix_it()
            elif options.verb == "ignore":
                one.ignore()
            self.stdout.write(f"{count} × {one.pipeline_name}: {one.message}")
        left = errors.count()
        self.stdout.write(f"{left} errors are open" if left != 1 else "1 error is open")
        return 6 if left else 0
