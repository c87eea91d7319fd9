"""Whether a file is still the one that an earlier run has read or written, as far as samples tell.

Hashing all of a file would cost as much as reading it. So what is compared is its first 4 KiB, the
last KiB before a place in it, and what the file system knows of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

__all__ = ["TAIL", "identity_of", "is_same_file", "sample", "tail_of"]

TAIL = 1 << 10
_HEAD = 1 << 12


def sample(data: bytes, end: int | None = None) -> list[int]:
    """The size and the checksum of the last KiB of `data[:end]`."""
    end = len(data) if end is None else end
    tail = data[max(0, end - TAIL) : end]
    return [len(tail), crc32(tail)]


def tail_of(descriptor: int, length: int) -> list[int]:
    """The sample of what an open file has before `length`; its position is `length` then."""
    start = max(0, length - TAIL)
    os.lseek(descriptor, start, os.SEEK_SET)
    data = b""
    while len(data) < length - start and (more := os.read(descriptor, length - start - len(data))):
        data += more
    return sample(data)


def identity_of(path: Path) -> dict[str, Any] | None:
    """What tells a file from another one of that name, as JSON; None for what is no plain file.

    The device is left out: its number may change when a machine starts again.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe may be opened only once
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:  # whoever opens it says so
        return None
    return {
        "inode": found.st_ino,
        "modified": found.st_mtime_ns,
        "size": found.st_size,
        "head": [len(head), crc32(head)],
    }


def is_same_file(path: Path, before: Mapping[str, Any], *, whole: bool = False) -> bool:
    """Whether `path` is the file of `before`, to which something may have been added since.

    A copy that has kept the time of its last change counts as the same. `whole`: nothing may have
    been added either.
    """
    now = identity_of(path)
    if now is None or now["size"] < before["size"]:
        return False
    size, checksum = before["head"]
    with path.open("rb") as file:
        if crc32(file.read(size)) != checksum:
            return False
    if whole and now["size"] != before["size"]:
        return False
    same: bool = now["inode"] == before["inode"] or now["modified"] == before["modified"]
    return same
