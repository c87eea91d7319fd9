"""Where lines end in the bytes of an encoding, and which encoding a byte order mark tells of."""

from __future__ import annotations

import codecs
import re

__all__ = ["Encoding", "NoMark", "check_encoding", "encoding_of"]

_MARKS = {  # the longer ones first: that of utf-32-le begins as that of utf-16-le
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


class NoMark(Exception):
    """Nothing in the file tells in which order the bytes of its characters stand."""


class Encoding:
    r"""An encoding and its line ends: \n, \r\n and a lone \r, as `open(newline="")` has them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lf = "\n".encode(name)
        self._cr = "\r".encode(name)
        self.unit = len(self._lf)
        self._plain = self._lf == b"\n" and self._cr == b"\r"
        lf, cr = re.escape(self._lf), re.escape(self._cr)
        self._end = re.compile(b"%b(?:%b)?|%b" % (cr, lf, lf))

    def end_of_lines(self, data: bytes, final: bool) -> int:
        """How many bytes of `data` are whole lines. `final`: nothing comes after them."""
        if final:
            return len(data)
        after = self._last(self._lf, data, 0, len(data))
        # A lone \r ends a line too, but only what follows it shows that it is alone.
        return max(after, self._last(self._cr, data, after, len(data) - self.unit))

    def _last(self, end: bytes, data: bytes, start: int, stop: int) -> int:
        """The place after the last `end` that is in `data[start:stop]`, or 0."""
        while True:
            found = data.rfind(end, start, max(stop, start))
            if found < 0:
                return 0
            if found % self.unit == 0:
                return found + self.unit
            stop = found + self.unit - 1  # half of one character and half of the next

    def end_of_first_line(self, data: bytes, final: bool) -> int:
        """Where the first line of `data` ends, or 0 if that cannot be told yet."""
        for found in self._end.finditer(data):
            if found.start() % self.unit == 0:
                alone = found.end() - found.start() == self.unit
                waits = alone and found[0] == self._cr and len(data) - found.end() < self.unit
                return 0 if waits and not final else found.end()
        return len(data) if final else 0

    def whole_characters(self, size: int) -> int:
        """How many of `size` bytes may be dropped without losing sight of a line end."""
        return max(0, size // self.unit - 1) * self.unit

    def lines(self, data: bytes) -> list[bytes]:
        """The lines of `data` with their ends."""
        if self._plain:
            return data.splitlines(keepends=True)
        ends = [one.end() for one in self._end.finditer(data) if one.start() % self.unit == 0]
        if not ends or ends[-1] < len(data):
            ends.append(len(data))
        return [data[start:end] for start, end in zip([0, *ends], ends)]


def check_encoding(name: str) -> None:
    """Raise ValueError unless `name` is an encoding of text."""
    try:
        "\r\n".encode(name)
    except (LookupError, UnicodeError):
        raise ValueError("must be an encoding such as 'utf-8' or 'cp1252'") from None


def encoding_of(name: str, head: bytes) -> tuple[Encoding, int]:
    """The encoding `name` of a file that starts with `head`, and the size of its byte order mark.

    ValueError, with the encoding that the mark tells of, if that is another one. NoMark, with the
    name of the encoding, if its byte order is not known: a wrong guess would still give text.
    """
    name = codecs.lookup(name).name.removesuffix("-sig")
    family = name.removesuffix("-le").removesuffix("-be")
    marks = sorted(_MARKS.items(), key=lambda mark: not mark[0].startswith(family))
    for marked, mark in marks:
        if head.startswith(mark):
            if not marked.startswith(name):
                raise ValueError(marked)
            return Encoding(marked), len(mark)
    if name not in ("utf-16", "utf-32"):
        return Encoding(name), 0
    if head:
        raise NoMark(name)
    return Encoding(f"{name}-le"), 0  # of no bytes, any order will do
