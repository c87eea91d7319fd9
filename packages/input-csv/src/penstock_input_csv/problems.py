"""Why a row is set aside; a report counts each of these kinds by itself."""

from __future__ import annotations

from penstock import RecordError

__all__ = ["BadBytes", "BadQuotes", "LongRow", "ShortRow", "TooLarge"]


class ShortRow(RecordError):
    """A row has fewer values than there are columns."""


class LongRow(RecordError):
    """A row has more values than there are columns."""


class BadQuotes(RecordError):
    """A quote is never closed, or something else stands right behind the closing one."""


class BadBytes(RecordError):
    """A row has bytes that mean nothing in the encoding of the file."""


class TooLarge(RecordError):
    """A row or one of its values is larger than allowed."""
