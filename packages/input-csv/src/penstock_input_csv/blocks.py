"""A stream of bytes, taken in blocks of whole lines, with the offset at which each begins."""

from __future__ import annotations

from collections.abc import Callable

from penstock_files.identity import TAIL

from .encoding import Encoding

__all__ = ["Blocks"]


class Blocks:
    """What `read(size)` gives, held until it is known how much of it was used."""

    encoding: Encoding

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        self._read = read
        self._limit = limit
        self._data = b""
        self.offset = 0
        self.ended = False
        self.cut_off = False

    @property
    def held(self) -> int:
        """How many bytes from `offset` on are in memory."""
        return len(self._data)

    def peek(self, size: int) -> bytes:
        """The next bytes, `size` of them or fewer at the end."""
        while len(self._data) < size and not self.ended:
            self._fill(size)
        return self._data[:size]

    def take(self, size: int, more: bool = False) -> bytes:
        """Whole lines, about `size` bytes, from `offset` on; nothing at the end.

        They are given again until `advance` is called; `more` asks for further ones behind them.
        Of a line that is longer than the limit only the beginning comes, and `cut_off` is true.
        """
        self.cut_off = False
        if more:
            self._fill(size)
        while True:
            end = self.encoding.end_of_lines(self._data, self.ended)
            if end or self.ended:
                return self._data[:end]
            # Two characters more, so that a line end within the limit would have been seen.
            if len(self._data) >= self._limit + 2 * self.encoding.unit:
                self.cut_off = True
                return self._data[: self._limit]
            self._fill(max(size, len(self._data)))

    def advance(self, size: int) -> None:
        """Go on behind the next `size` bytes, which are in memory."""
        self._data = self._data[size:]
        self.offset += size

    def skip_line(self) -> bool:
        """Go on behind the next line end, however far that is; False if there is nothing more."""
        started = self.offset
        while True:
            end = self.encoding.end_of_first_line(self._data, self.ended)
            if end or self.ended:
                self.advance(end)
                return self.offset > started
            self.advance(self.encoding.whole_characters(len(self._data)))
            self._fill(1 << 16)

    def skip_to(self, offset: int) -> bytes | None:
        """Go on at an offset further on by reading up to it: the last KiB of what was skipped; None
        if the stream ends before."""
        skipped = b""
        while self.offset < offset:
            if not self._data:
                self._fill(1 << 16)
                if self.ended:
                    return None
            size = min(len(self._data), offset - self.offset)
            skipped = (skipped + self._data[max(0, size - TAIL) : size])[-TAIL:]
            self.advance(size)
        return skipped

    def jump_to(self, offset: int) -> None:
        """Go on at an offset that the stream has been set to."""
        self._data, self.offset, self.ended = b"", offset, False

    def _fill(self, size: int) -> None:
        data = self._read(size)
        if data:
            self._data = self._data + data if self._data else data
        else:
            self.ended = True
