"""The `penstock` command: finds the subcommand, and turns errors into sentences and exit codes.

Only argparse is imported here; each subcommand is a module of its own, imported when it is called.
A command module has `HELP`, `arguments(parser)` and `run(options) -> int`.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, TextIO

from ..errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, PenstockError, UsageError

__all__ = ["COMMANDS", "common_arguments", "error_as_json", "find_command", "main"]

COMMANDS = {
    "run": "run a pipeline",
    "check": "say what is wrong with a pipeline without running it",
    "preview": "show the first records after each node",
    "graph": "draw a pipeline",
    "list": "list what is installed",
    "describe": "explain a component and its options",
    "plugins": "list plugins and their state",
    "schema": "print the JSON Schema of pipeline files",
    "requires": "say which distributions a pipeline needs",
    "new": "write a new pipeline or plugin",
    "completion": "print a script that completes commands in a shell",
    "errors": "show records that were set aside",
    "why": "follow one record through a pipeline",
    "runs": "show earlier runs",
    "state": "show or change where the next run begins",
    "doctor": "show versions and paths for a bug report",
}
"""Each command of the kernel and what it does."""

_EXIT_PIPE = 141  # 128 + SIGPIPE, as a shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is returned."""
    argv = list(sys.argv[1:] if argv is None else argv)
    options: Any = None
    # What was closed before we started: the next file to be opened, as the state, would take its
    # number and get what is written there, by signal handlers for one.
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    try:
        if not argv or argv[0] in ("-h", "--help"):
            print(_overview(), flush=True)
            return EXIT_OK
        parser = _Parser(prog="penstock", description=_ABOUT, add_help=False)
        _top_arguments(parser)
        name, rest = _split(parser, argv)
        if name is None:
            return EXIT_OK
        _never_fail_to_print(name)
        command = find_command(name)
        about = getattr(command, "HELP", "") or getattr(command, "help", "")
        sub = _Parser(prog=f"penstock {name}", description=_sentence(about))
        command.arguments(sub)
        try:
            options = sub.parse_args(rest)
        except SystemExit as leaving:  # argparse leaves this way after --help
            return leaving.code if isinstance(leaving.code, int) else EXIT_USAGE
        code: int = command.run(options)
        try:
            sys.stdout.flush()
        except OSError as error:
            if code == EXIT_OK or error.errno != errno.ENOSPC:
                raise
            _leave_stdout()  # the command has failed and said why
        return code
    except BrokenPipeError:
        return _pipe_closed()
    except PenstockError as error:
        return _show(error, options)
    except KeyboardInterrupt:
        print("penstock: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        return _disk_full() if _fills_stdout(error) else _show_unexpected(error, options)
    except (Exception, SystemExit) as error:  # a command returns its code; it does not leave
        return _show_unexpected(error, options)


_ABOUT = "Move records from inputs through inspectors and transformers to outputs."


class _Parser(argparse.ArgumentParser):
    def _get_formatter(self) -> argparse.HelpFormatter:
        # Without a width, argparse imports shutil and with it every compression module: 3 ms.
        try:
            width = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size().columns
        except (ValueError, OSError):
            width = 80
        return argparse.HelpFormatter(self.prog, width=width - 2)

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file, flush=True)  # argparse's own hides a full disk

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, where=self.prog, hint=f"see `{self.prog} --help`")


def _top_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("-h", "--help", action="store_true", help="show this and leave")
    parser.add_argument("--version", action="store_true", help="show the version and leave")


def _split(parser: argparse.ArgumentParser, argv: list[str]) -> tuple[str | None, list[str]]:
    """The command and its arguments; None when there was only something to show."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    top = parser.parse_args(argv)
    if top.version:
        from .. import __version__

        print(f"penstock {__version__}")
    else:
        print(_overview())
    return top.command, []


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: penstock COMMAND [ARGUMENTS]",
            "",
            _ABOUT,
            "",
            "commands:",
            *lines,
            "",
            "`penstock COMMAND --help` explains one. Plugins may add more: see `penstock plugins`.",
        ]
    )


def find_command(name: str) -> Any:
    """The module or object of a command: the kernel's own, or one that a plugin provides."""
    if name in COMMANDS:
        return import_module(f"{__name__}.{'list_' if name == 'list' else name}")
    from ..known import distribution_of
    from ..plugins import Plugins

    plugins = Plugins()
    provided = plugins.names("command")
    if name in provided or distribution_of("command", name):
        return plugins.find("command", name).load()  # or says what to install
    from ..errors import nearest

    near = nearest(name, [*COMMANDS, *provided])
    raise UsageError(
        f"no command named {name!r}",
        where="penstock",
        hint=f"did you mean {near!r}?" if near else "see `penstock --help`",
    )


def _never_fail_to_print(name: str) -> None:
    """On a terminal that lacks a character, show an escape instead of ending with an error.

    Not in `run`: what it prints may be data, which must not be changed.
    """
    if name != "run" and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def common_arguments(
    parser: argparse.ArgumentParser, *, pipeline: bool = True, several: bool = False
) -> None:
    """The arguments that commands share; `several` for those that take more than one file."""
    if pipeline:
        parser.add_argument(
            "pipeline",
            nargs="*" if several else "?",
            help=f"pipeline file{'s' if several else ''} "
            "(default: penstock.yaml, .toml or .json in this folder)",
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="COMPONENT.OPTION=VALUE",
            help="replace an option of the file; may be repeated",
        )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE",
        help="use a Python file as a plugin",
    )
    parser.add_argument("--no-plugins", action="store_true", help="use the kernel's own parts only")
    parser.add_argument("--json", action="store_true", help="report as JSON on standard output")
    parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _show(error: PenstockError, options: Any) -> int:
    if getattr(options, "json", False):
        import json

        print(json.dumps(error_as_json(error), indent=2))
    else:
        from ..failures import describe

        print(describe(error), file=sys.stderr)
    _traceback(options)
    return error.exit_code


def error_as_json(error: PenstockError) -> dict[str, Any]:
    """An error as every command with `--json` reports it."""
    from ..errors import ConfigError

    found = error.problems if isinstance(error, ConfigError) else [error]
    return {"error": {"exit_code": error.exit_code, "problems": [str(one) for one in found]}}


def _show_unexpected(error: BaseException, options: Any) -> int:
    from ..failures import describe

    print(
        f"penstock: unexpected {describe(error)}; -v shows where, please report it",
        file=sys.stderr,
    )
    _traceback(options)
    return EXIT_FAILED


def _traceback(options: Any) -> None:
    if getattr(options, "verbose", False):
        import traceback

        traceback.print_exc()


def _pipe_closed() -> int:
    """The reader of our output has left: nobody is there to read an error either."""
    _leave_stdout()
    print("penstock: standard output was closed; stopped", file=sys.stderr)
    return _EXIT_PIPE


def _nowhere() -> TextIO:
    # Left open for good, like the streams that it stands for.
    return open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)


def _leave_stdout() -> None:
    # Python flushes standard output on exit; without a destination that would print a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fills_stdout(error: OSError) -> bool:
    """Whether it was standard output, and not another file, that found its disk full."""
    if error.errno != errno.ENOSPC or error.filename is not None:
        return False
    try:
        sys.stdout.flush()
        if not sys.stdout.isatty():
            os.write(sys.stdout.fileno(), b"\n")  # what did not fit may be in no buffer any more
    except OSError as again:
        return again.errno == errno.ENOSPC
    return False


def _disk_full() -> int:
    _leave_stdout()
    print(
        "standard output: the disk is full; make room and run it again",
        file=sys.stderr,
    )
    return EXIT_FAILED
