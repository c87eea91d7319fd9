"""Standard error as people see it: its size, its colours, and lines that are drawn in place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from .text import Line, cut_line

__all__ = ["STYLES", "Block", "Terminal"]

STYLES: Mapping[str, str] = {
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
}
_RESET = "\x1b[0m"
_UP, _TO_LINE_END, _TO_SCREEN_END = "\x1b[{}A", "\x1b[K", "\x1b[J"

# What the characters that this package and the report use become where they cannot be shown.
_PLAINER = str.maketrans({"█": "#", "░": "-", "…": "~", "×": "x", "≠": "!="})


class Terminal:
    """A stream that people read; None where there is no such stream.

    Nothing that goes wrong with it is raised: once it fails, all that is written to it is dropped.
    """

    def __init__(self, stream: TextIO | None, *, color: bool, environ: Mapping[str, str]) -> None:
        self.stream = stream
        self.works = stream is not None
        self.is_terminal = stream is not None and _is_terminal(stream)
        self.can_redraw = self.is_terminal and _can_redraw(environ)
        self.color = color and (self.can_redraw or not self.is_terminal)
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.plain = not _encodes(self.encoding, "█░…×≠")

    @property
    def size(self) -> os.terminal_size:
        try:
            assert self.stream is not None
            found = os.get_terminal_size(self.stream.fileno())
        except (AssertionError, OSError, ValueError):
            found = os.terminal_size((0, 0))
        if found.columns and found.lines:
            return found
        from shutil import get_terminal_size  # brings every compression module with it

        return get_terminal_size()

    @property
    def in_foreground(self) -> bool:
        """Whether the shell has given the terminal to us; if not, it is showing its prompt."""
        if self.stream is None or not hasattr(os, "tcgetpgrp"):
            return True
        try:
            return os.tcgetpgrp(self.stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True  # no terminal of ours: no shell, no prompt

    def text_of(self, line: Line) -> str:
        """A line as it is written: with its colours, where there are any."""
        if not self.color:
            return "".join(span.text for span in line)
        return "".join(
            f"{STYLES[span.style]}{span.text}{_RESET}" if span.style else span.text for span in line
        )

    def show(self, lines: Iterable[Line]) -> None:
        self.write("".join(f"{self.text_of(line)}\n" for line in lines))

    def write(self, text: str) -> None:
        if self.stream is None or not self.works:
            return
        if self.plain:
            text = text.translate(_PLAINER)
        try:
            self.stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
            self.stream.flush()
        except (OSError, ValueError):  # closed, or nobody is at the other end
            self.works = False


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False


def _can_redraw(environ: Mapping[str, str]) -> bool:
    if os.name == "nt":
        return "WT_SESSION" in environ or "ANSICON" in environ
    return environ.get("TERM", "") not in ("", "dumb")


def _encodes(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True


class Block:
    """Lines at the bottom of a terminal that are drawn again in place.

    The cursor rests on the line below them, so that what others write comes there.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.height = 0
        self._columns = 0

    def draw(self, lines: Sequence[Line]) -> None:
        """Show these lines instead of the ones before; not more than the terminal has."""
        if not self.terminal.in_foreground:
            self.leave()
            return
        size = self.terminal.size
        if size.columns != self._columns:
            self.leave()  # what stands there may have been wrapped anew
            self._columns = size.columns
        shown = lines[: max(1, size.lines - 1)]
        # One column less: a full line would make some terminals go to the next one.
        texts = [self.terminal.text_of(cut_line(line, size.columns - 1)) for line in shown]
        up = _UP.format(self.height) if self.height else ""
        body = "".join(f"{text}{_TO_LINE_END}\n" for text in texts)
        self.terminal.write(f"\r{up}{body}{_TO_SCREEN_END}")
        self.height = len(texts)

    def erase(self) -> None:
        """Take the lines away; what is written next comes in their place."""
        if self.height and self.terminal.in_foreground:
            self.terminal.write(f"\r{_UP.format(self.height)}{_TO_SCREEN_END}")
        self.height = 0

    def leave(self) -> None:
        """Let the lines stand and draw below them: somebody else has written there."""
        self.height = 0
