"""What can go wrong, sorted by what the person or the runner should do about it.

Every class carries the exit code that the command line ends with. The text of an error is one
sentence, *where: what is wrong; what to do*, in lower case and without a full stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "EXIT_CHECK",
    "EXIT_CONFIG",
    "EXIT_FAILED",
    "EXIT_LETTERS",
    "EXIT_LOCK",
    "EXIT_OK",
    "EXIT_PLUGIN",
    "EXIT_TESTS",
    "EXIT_USAGE",
    "ConfigError",
    "ConnectError",
    "LockError",
    "PenstockError",
    "Place",
    "PluginError",
    "Problem",
    "RecordError",
    "RunError",
    "Skip",
    "TransientError",
    "UsageError",
    "nearest",
]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_PLUGIN = 4
EXIT_CHECK = 5
EXIT_LETTERS = 6
EXIT_TESTS = 7
EXIT_LOCK = 8


class PenstockError(Exception):
    """Base of every error that is reported as a sentence instead of a traceback."""

    exit_code = EXIT_FAILED

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}{self.what}{hint}"

    def __reduce__(self) -> Any:  # keyword arguments do not survive the default pickling
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[PenstockError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(PenstockError):
    """The command was called with arguments that cannot be used."""

    exit_code = EXIT_USAGE


class Place(NamedTuple):
    """Where something stands in a file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return (
            f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"
        )


class Problem(NamedTuple):
    """One thing that is wrong in a configuration; `path` is dotted, as in `inputs.orders.pth`."""

    what: str
    path: str = ""
    place: Place | None = None
    hint: str | None = None

    def __str__(self) -> str:
        parts = [str(self.place)] if self.place else []
        if self.path:
            parts.append(self.path)
        text = ": ".join([*parts, self.what])
        return f"{text}; {self.hint}" if self.hint else text

    @property
    def order(self) -> tuple[str, int, int]:
        """Sorts problems as a reader meets them."""
        place = self.place or Place("")
        return (place.file, place.line, place.column)


class ConfigError(PenstockError):
    """The configuration is wrong: fix the file. Holds every problem, in file order."""

    exit_code = EXIT_CONFIG

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        if isinstance(problems, str):
            problems = [Problem(problems)]
        self.problems: Sequence[Problem] = sorted(problems, key=lambda problem: problem.order)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(PenstockError):
    """A plugin is missing, broken or in conflict: install, remove or choose one."""

    exit_code = EXIT_PLUGIN


class ConnectError(PenstockError):
    """Something outside could not be reached or opened: a file, a server, a permission."""

    exit_code = EXIT_CHECK


class LockError(PenstockError):
    """What is installed, or the pipeline, is not what the lock names: install it or lock again."""

    exit_code = EXIT_LOCK


class RunError(PenstockError):
    """A run could not go on. `node` names the component; the cause is chained."""

    def __init__(
        self,
        what: str,
        *,
        node: str | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, where=where or node, hint=hint)
        self.node = node


class RecordError(ValueError):
    """This record is wrong, the next one may be right. Raise it from an inspector or a transformer.

    The record goes where `on_error` says; its text is shown as it is, without the class name.
    """


class TransientError(Exception):
    """This failed now and may work when it is tried again, as a busy server or a lost connection.

    The run tries again, with growing pauses, before it treats the record or the batch as failed.
    """


class Skip(BaseException):
    """Drop this record and go on: the same as returning None, from any depth.

    It is control flow, not an error, so `except Exception` does not catch it.
    """


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` was probably meant to be, or None."""
    from difflib import get_close_matches  # costs 3 ms to import and is needed only for mistakes

    lowered = {choice.lower(): choice for choice in choices}
    found = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
