"""Files to read: which ones a path names, and their bytes, however they are compressed.

Whatever goes wrong is a `ConnectError` that names the file, when it is opened as well as half-way
through it.
"""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock import ConnectError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["find", "is_seekable", "open_binary", "share_read"]

_COMPRESSED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
_FOREIGN = {".7z", ".lz4", ".rar", ".tgz", ".zip", ".zst"}


def find(path: Path) -> list[tuple[str, Path]]:
    """The files that `path` names, as (partition, file), in the order of their partitions.

    A single file, and standard input ("-"), has the partition "". In a pattern such as
    `data/*.csv` every file has its own: its name, or with `**` its path below the folder that the
    pattern starts in. A file whose name only looks like a pattern is a single file.
    """
    if _is_stdin(path):
        return [("", path)]
    if not glob.has_magic(str(path)) or os.path.lexists(path):
        _look_at(path)
        return [("", path)]
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    start = _start_of(path)
    files = sorted((one.relative_to(start).as_posix(), one) for one in found if not one.is_dir())
    if not files:
        raise ConnectError("no file matches", where=str(path), hint=_about_folder(start))
    for _, one in files:
        _look_at(one)
    return files


def open_binary(path: Path) -> BinaryIO:
    """A buffered stream of the bytes in a file, unpacked if its name ends in .gz, .bz2 or .xz.

    "-" is standard input, which stays open when the stream is closed. A damaged file raises
    `ConnectError` where the damage is met.
    """
    if _is_stdin(path):
        if sys.stdin is None:
            raise ConnectError("there is no standard input", where="-", hint="name a file")
        # Without the buffer of `sys.stdin`: who waits in that one locks it, and Python cannot end
        # while it is locked.
        given = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        return _StandardInput(_Stream(given, "standard input", owned=False), 1 << 16)
    try:
        if path.suffix.lower() in _FOREIGN:
            raise ConnectError(
                f"files in the format of {path.suffix!r} cannot be unpacked",
                where=str(path),
                hint="unpack it first, or compress it as .gz, .bz2 or .xz",
            )
        stream = _opened(path)
        if path.suffix.lower() not in _COMPRESSED:
            return stream
        return _buffered(_Stream(stream, str(path), owned=True))
    except OSError as error:
        raise _sentence(path, error) from error


def is_seekable(path: Path) -> bool:
    """Whether a position in the file can be gone to without reading what stands before it."""
    if _is_stdin(path) or path.suffix.lower() in _COMPRESSED:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def share_read(stream: BinaryIO) -> float | None:
    """How much of an open file has been read from disk, 0 to 1; None if its size is not known.

    For a compressed file it is the share of the compressed bytes.
    """
    try:
        descriptor = stream.fileno()
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        if not found.st_size:
            return 1.0
        return min(1.0, os.lseek(descriptor, 0, os.SEEK_CUR) / found.st_size)
    except (OSError, ValueError):  # not a real file, or closed by now
        return None


class _File(io.FileIO):
    """A file that names itself when it cannot be read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._path = path

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _sentence(self._path, error) from error

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise _sentence(self._path, error) from error


class _Stream(io.RawIOBase):
    """Bytes from a stream that may be damaged, or that somebody else owns."""

    def __init__(self, stream: BinaryIO, name: str, *, owned: bool) -> None:
        self._stream = stream
        self._name = name
        self._owned = owned
        self._read = getattr(stream, "read1", stream.read)  # a raw stream has only `read`

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self.closed:
            raise ValueError("the stream is closed")
        return self._stream.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        try:
            # read1, so that what a sender has written so far arrives without waiting for more
            data: bytes = self._read(len(view))
        except (OSError, EOFError, zlib.error) as error:
            raise self._damaged(error) from error
        except Exception as error:  # lzma is imported only when a file needs it
            if type(error).__name__ != "LZMAError":
                raise
            raise self._damaged(error) from error
        view[: len(data)] = data
        return len(data)

    def _damaged(self, error: Exception) -> ConnectError:
        if isinstance(error, OSError) and error.errno is not None:
            return _sentence(Path(self._name), error)
        kind = _COMPRESSED.get(Path(self._name).suffix.lower(), "compressed")
        if isinstance(error, EOFError):
            what, hint = "ends too early", "it may still be written or copied"
        else:
            what, hint = "is damaged", "make it anew, or rename it if it is not compressed"
        return ConnectError(f"the {kind} file {what}: {error}", where=self._name, hint=hint)

    def close(self) -> None:
        if not self.closed and self._owned:
            self._stream.close()
        super().close()


class _StandardInput(io.BufferedReader):
    """Nothing is closed: another thread may be waiting in it for more, and closing would wait for
    that one, which is for ever when nobody writes."""

    def close(self) -> None:
        pass


def _buffered(stream: _Stream) -> BinaryIO:
    return io.BufferedReader(stream, 1 << 16)


def _opened(path: Path) -> BinaryIO:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        import gzip

        return cast(BinaryIO, gzip.open(path))
    if suffix == ".bz2":
        import bz2

        return cast(BinaryIO, bz2.open(path))
    if suffix == ".xz":
        import lzma

        return cast(BinaryIO, lzma.open(path))
    file = _File(path)
    size = getattr(os.fstat(file.fileno()), "st_blksize", 0)  # as `open` does; Windows has none
    return io.BufferedReader(file, size if size > 1 else io.DEFAULT_BUFFER_SIZE)


def _is_stdin(path: Path) -> bool:
    return str(path) == "-"


def _look_at(path: Path) -> None:
    """Raise what opening the file would, without opening it: a pipe may be read only once."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _sentence(path, error) from error
    if stat.S_ISDIR(mode):
        raise _sentence(path, IsADirectoryError())
    if not os.access(path, os.R_OK):
        raise _sentence(path, PermissionError())


def _start_of(pattern: Path) -> Path:
    """The folder in front of the first part of a pattern that has a `*`, `?` or `[`."""
    while glob.has_magic(str(pattern)):
        pattern = pattern.parent
    return pattern


def _sentence(path: Path, error: OSError) -> ConnectError:
    if isinstance(error, FileNotFoundError):
        return ConnectError("no such file", where=str(path), hint=_about_missing(path))
    if isinstance(error, (IsADirectoryError, NotADirectoryError)) and path.is_dir():
        pattern = str(path / "*")
        hint = f"name a file, or all files in it with {pattern!r}"
        return ConnectError("is a folder", where=str(path), hint=hint)
    if isinstance(error, PermissionError):
        hint = "allow this user to read it"
        return ConnectError("permission denied", where=str(path), hint=hint)
    what = f"cannot be read: {error.strerror or error}"
    return ConnectError(what, where=str(path), hint="check the path and the disk")


def _about_missing(path: Path) -> str:
    try:
        names = os.listdir(path.parent)
    except OSError:
        return _about_folder(path.parent)
    from difflib import get_close_matches  # needed only for mistakes

    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else _about_folder(path.parent)


def _about_folder(folder: Path) -> str:
    shown = str(folder.absolute())
    return f"looked in {shown!r}" if folder.is_dir() else f"there is no folder {shown!r}"
