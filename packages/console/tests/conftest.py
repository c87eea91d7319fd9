"""A terminal that is a string, a screen that obeys what is written to it, and runs to look at."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.runs import Display, Run
from penstock_console import plugin
from penstock_console.terminal import Terminal


class Stream(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Screen:
    """What a person sees after `text` was written to a terminal."""

    def __init__(self, text: str) -> None:
        self.lines = [""]
        self.row = self.column = 0
        for piece in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|[^\x1b]", text):
            getattr(self, f"_{piece[-1]}" if piece[0] == "\x1b" else "_put")(piece)

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _A(self, code: str) -> None:
        self.row -= int(code[2:-1])
        assert self.row >= 0, "a terminal has nothing above its first line"

    def _K(self, _: str) -> None:
        self.lines[self.row] = self.lines[self.row][: self.column]

    def _J(self, code: str) -> None:
        self._K(code)
        del self.lines[self.row + 1 :]

    def _m(self, _: str) -> None:
        """Colours change no text."""

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


@pytest.fixture
def screen() -> type[Screen]:
    return Screen


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Sets how large every terminal is; 80 × 24 at first."""

    def set_size(columns: int, lines: int = 24) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))

    set_size(80)
    return set_size


@pytest.fixture
def terminal(size: Any) -> Callable[..., Terminal]:
    """`terminal()`: one that can do everything; its text is in `terminal().stream`."""

    def make(stream: Any = None, *, color: bool = False, term: str = "xterm") -> Terminal:
        return Terminal(Stream() if stream is None else stream, color=color, environ={"TERM": term})

    return make


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch, size: Any) -> Stream:
    """What `start` makes standard error: a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    return Stream()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, stderr: Stream) -> Callable[..., Run]:
    """`start(a, b, c)`: a run of these components that this plugin shows."""

    def make(*components: Any, engine: str = "inline", **options: Any) -> Run:
        monkeypatch.setattr("sys.stderr", stderr)  # here: pytest has its own before a test begins
        plugins = Plugins(discover=False)
        plugins.register(plugin)
        options.setdefault("display", Display())
        pipes = [list(components)]
        return pipeline_of(pipes, plugins, name="shop", engine=engine).start(**options)

    return make
