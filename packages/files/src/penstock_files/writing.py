"""Writing a file that is replaced as a whole or appended to, compressed by its suffix.

Whatever goes wrong is a sentence that names the file: a `ConnectError` when it is opened or taken
up again, a `RunError` afterwards.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol
from weakref import WeakSet

from penstock import ConnectError, PenstockError, RunError

from .identity import tail_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where only the lease of its pipeline keeps another run away
    fcntl = None

__all__ = ["FileWriter", "delivery_of"]

_BUFFER = 1 << 17
_STREAMS = {("/", "dev", "stdout"), ("/", "dev", "stderr"), ("/", "dev", "fd"), ("/", "proc")}


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def delivery_of(path: Path) -> str:
    """What can be promised of what is written to `path`: "rewindable" for a file; standard output,
    a pipe or a device takes nothing back, and is "append"."""
    return "append" if str(path) == "-" or _is_special(path) else "rewindable"


class FileWriter:
    """Opens `path` for writing. The caller goes on with `resume`, and ends with `finish`, if all
    went well, and `close`.

    With mode "replace" the bytes go to a part file, and `finish` puts it into place; with "append"
    they go to the end of the file. "-" is standard output; it, pipes and devices are written
    directly. `length` is the size of the file that is appended to, else 0; `written` counts the
    bytes given to `write`.
    """

    def __init__(
        self,
        path: Path,
        mode: Literal["replace", "append"] = "replace",
        *,
        create_parents: bool = False,
    ) -> None:
        self.path = path
        self.mode = mode
        self.length = 0
        self.written = 0
        self._compressed = path.suffix.lower() in (".gz", ".bz2", ".xz")
        self._compressor: _Compressor | None = None
        self._target: Path | None = None  # None: written directly, nothing can be taken back
        self._part: Path | None = None
        self._start: Path | None = None  # says how long the file was before the first mark
        self._mark: Mapping[str, Any] | None = None
        self._made = self._begun = self._in_place = self._ended = False
        with self._sentences(ConnectError):
            self._file = self._open(create_parents)
        _WRITERS.add(self)

    def resume(self, mark: Mapping[str, Any] | None = None) -> None:
        """Go on right after `mark` and take back what was written since; without one, begin."""
        if self._target is None:
            self._begun = True
            return
        with self._sentences(ConnectError):
            if mark is None:
                self._cut(self.length)
                if self.mode == "append":
                    self._note_start(self._target)
            elif self._has(self._file.fileno(), mark):
                self._cut(mark["length"])
                self.length = mark["length"] if self.mode == "append" else 0
            elif self._part is not None and self._was_put_into_place(mark):
                self._in_place = True
            else:
                raise self._lost(mark)
            if mark is not None:
                self._forget_start()
            self._mark, self._begun = mark, True

    def reopen(self, mark: Mapping[str, Any] | None, closing: bytes = b"") -> None:
        """Go on after a run that has finished, whose last mark and `closing` are given: the closing
        is taken off. Until the next mark, the file stays as it is. One that is appended to goes on
        at its end."""
        if self._part is None or self._target is None:
            self.resume()
            return
        with self._sentences(ConnectError):
            if mark is None or not self._is_left(mark, closing):
                hint = "put it back as it was, or run the pipeline again"
                raise ConnectError(
                    "is not as the last run left it", where=str(self.path), hint=hint
                )
            self._cut(0)
            with self._target.open("rb") as file:
                left: int = mark["length"]
                while left and (block := file.read(min(left, 1 << 20))):
                    left -= self._file.write(block)
            self._begun = True

    def _is_left(self, mark: Mapping[str, Any], closing: bytes) -> bool:
        """Whether nobody has added anything. What follows the mark in a compressed file is not
        looked into."""
        assert self._target is not None
        if not self._was_put_into_place(mark):
            return False
        with self._target.open("rb") as file:
            file.seek(mark["length"])
            return self._compressed or file.read(len(closing) + 1) == closing

    def write(self, data: bytes) -> None:
        """Add `data` at the end; it is safe from a crash after the next `flush` or `mark`."""
        if not self._begun:
            self.resume()
        if self._in_place:
            assert self._mark is not None
            raise self._lost(self._mark)
        with self._sentences():
            if self._compressed:
                if self._compressor is None:
                    self._compressor = _compressor(self.path.suffix.lower())
                self._file.write(self._compressor.compress(data))
            else:
                self._file.write(data)
            if self._target is None:  # somebody may be waiting at the other end
                self._file.flush()
        self.written += len(data)

    def flush(self) -> None:
        """Return when everything written so far would survive a power cut."""
        with self._sentences():
            if self._compressor is not None:
                self._file.write(self._compressor.flush())
                self._compressor = None
            self._file.flush()
            if _is_regular(self._file):
                # Never tried again on the same file: the second call would succeed without
                # having written what the first one could not.
                os.fsync(self._file.fileno())

    def mark(self) -> Mapping[str, Any] | None:
        """Flush; what `resume` needs to come back to here, as JSON. None if nothing can be taken
        back. The caller keeps it durably before it asks for the next one."""
        if not self._begun:
            self.resume()
        if self._in_place:
            return self._mark
        self.flush()
        if self._target is None:
            return None
        with self._sentences():
            if self._mark is None:
                _sync_folder(self._target.parent)  # the file must be found under its name, too
            else:
                self._forget_start()
            length = os.fstat(self._file.fileno()).st_size
            self._mark = {"length": length, "tail": tail_of(self._file.fileno(), length)}
        return self._mark

    def finish(self, closing: bytes = b"") -> None:
        """Add `closing`, make everything durable and, when replacing, put the new file into place.

        After a crash it is called again, on a writer that was resumed at the last mark; it then
        does what is left to do.
        """
        if self._ended:
            return
        if self._in_place:
            self._finish_again(closing)
            return
        if closing or not self._begun:
            self.write(closing)
        self.flush()
        with self._sentences():
            if self._compressed and not os.fstat(self._file.fileno()).st_size:
                self.write(b"")  # an empty file would not unpack
                self.flush()
            if self._part is not None and self._target is not None:
                if fcntl is None:
                    self._file.close()  # Windows does not rename an open file
                os.replace(self._part, self._target)
            self._ended = True
            if self._target is not None:
                self._forget_start()
                _sync_folder(self._target.parent)
            if str(self.path) != "-":
                self._file.close()  # last: until then the lock keeps other writers away

    def close(self) -> None:
        """Let go of the file. Unless it was finished, what the last mark stands for is kept, to be
        resumed; if there is none, everything is as it was before."""
        if self._ended or str(self.path) == "-":
            return
        self._ended = True
        with self._sentences():
            if fcntl is None:
                _drop(self._file)  # Windows does not remove an open file
            self._tidy()
            _drop(self._file)

    def _tidy(self) -> None:
        if self._target is None:
            return
        file = self._part or self._target
        begun_anew = self._begun and self._mark is None
        wanted = self._mark is not None and not self._in_place
        if (self._made and not wanted) or (begun_anew and self._part is not None):
            file.unlink(missing_ok=True)
        elif self.mode == "append" and self._begun:
            # Readers should not be left with half a record, which a killed run cannot spare them.
            os.truncate(file, self.length if self._mark is None else self._mark["length"])
        if begun_anew:
            self._forget_start()

    def ends_with(self, ending: bytes) -> bool:
        """Whether a file that is appended to is empty or ends with `ending`.

        A compressed file always does: it cannot be looked at from its end, and one that was cut
        off half-way does not unpack anyway.
        """
        if not self.length or self._compressed:
            return True
        with self._sentences(), self.path.open("rb") as file:
            file.seek(max(0, self.length - len(ending)))
            return file.read(len(ending)) == ending

    def holds(self, descriptor: int) -> bool:
        """Whether this writer has the file open that `descriptor` stands for."""
        if self._target is None:
            return False
        try:
            return os.path.sameopenfile(self._file.fileno(), descriptor)
        except ValueError:  # closed by now
            return False

    def _open(self, create_parents: bool) -> BinaryIO:
        if str(self.path) == "-":
            return _standard_output()
        if self.path.is_dir():
            raise ConnectError("is a folder", where=str(self.path), hint="name a file in it")
        if _is_special(self.path):
            return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb", _BUFFER)
        target = Path(os.path.realpath(self.path))
        if create_parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        elif not target.parent.exists():
            what = f"there is no folder {str(target.parent)!r}"
            hint = "make it, or set create_parents: true"
            raise ConnectError(what, where=str(self.path), hint=hint)
        exists = target.exists()
        if exists and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "Permission denied")
        self._target = target
        if self.mode == "append":
            self._start = target.with_name(f".{target.name}.start")
            descriptor = self._acquire(target, os.O_APPEND)
            size = os.fstat(descriptor).st_size
            self.length = min(size, self._noted_start(size))
            self._made = not exists and not size
        else:
            self._part = part = target.with_name(f".{target.name}.part")
            self._made = not part.exists()
            descriptor = self._acquire(part, 0)
            if exists:
                os.chmod(part, stat.S_IMODE(target.stat().st_mode))
        return os.fdopen(descriptor, "wb", _BUFFER)

    def _acquire(self, path: Path, flags: int) -> int:
        """Open `path` for this writer alone."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
            try:
                self._lock(descriptor)
                # Between our opening and locking it, the writer before us may have renamed or
                # removed the file; then what we hold is no longer the file of that name.
                if _same_file(descriptor, path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what, hint = "is being written by another run", "wait for the other run"
            if any(one.holds(descriptor) for one in list(_WRITERS)):
                what = "is written by another output of this pipeline too"
                hint = "give each its own file"
            raise ConnectError(what, where=str(self.path), hint=hint) from error
        except OSError as error:
            # Some network file systems have no locks; there, one writer cannot be promised.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise

    # ---- what an earlier run has left ------------------------------------------------------------

    def _cut(self, length: int) -> None:
        os.ftruncate(self._file.fileno(), length)
        self._file.seek(length)

    def _has(self, descriptor: int, mark: Mapping[str, Any]) -> bool:
        length: int = mark["length"]
        long_enough = os.fstat(descriptor).st_size >= length
        return long_enough and tail_of(descriptor, length) == list(mark["tail"])

    def _was_put_into_place(self, mark: Mapping[str, Any]) -> bool:
        """Whether the target has what stands before the mark: then a run may have died between
        putting it there and noting it."""
        assert self._target is not None
        try:
            with self._target.open("rb") as file:
                return self._has(file.fileno(), mark)
        except FileNotFoundError:
            return False

    def _finish_again(self, closing: bytes) -> None:
        assert self._mark is not None
        assert self._target is not None
        assert self._part is not None
        if closing and self._compressed:
            compressor = _compressor(self.path.suffix.lower())
            closing = compressor.compress(closing) + compressor.flush()
        with self._sentences():
            with self._target.open("rb") as file:
                file.seek(self._mark["length"])
                if file.read(len(closing) + 1) != closing:
                    raise self._lost(self._mark)
            self._ended = True
            self._part.unlink(missing_ok=True)  # it was made when this writer was opened
            _sync_folder(self._target.parent)
            self._file.close()

    def _lost(self, mark: Mapping[str, Any]) -> ConnectError:
        what = f"does not have the {mark['length']} bytes that an earlier run wrote"
        if self._part is not None:
            what = f"the unfinished file {str(self._part)!r} {what}"
        hint = "put it back as it was, or start over with --fresh"
        return ConnectError(what, where=str(self.path), hint=hint)

    # Before its first mark is kept, a run that appends has nobody else who knows where it began.

    def _noted_start(self, size: int) -> int:
        assert self._start is not None
        try:
            return int(json.loads(self._start.read_bytes())["length"])
        except (FileNotFoundError, ValueError):  # none, or not all of it: nothing was written yet
            return size

    def _note_start(self, target: Path) -> None:
        assert self._start is not None
        with self._start.open("wb") as file:
            file.write(json.dumps({"length": self.length}).encode())
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(target.parent)

    def _forget_start(self) -> None:
        if self._start is not None:
            self._start.unlink(missing_ok=True)

    @contextmanager
    def _sentences(self, kind: type[PenstockError] = RunError) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            fallback = (f"cannot be written: {error.strerror or error}", "check the path")
            what, hint = _ADVICE.get(error.errno or 0, fallback)
            raise kind(what, where=str(self.path), hint=hint) from error


_WRITERS: WeakSet[FileWriter] = WeakSet()
"""Those of this process, to tell them from another one that holds a lock."""


def _standard_output() -> BinaryIO:
    buffer: BinaryIO | None = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        what = "standard output takes no bytes here"
        raise ConnectError(what, where="-", hint="name a file")
    sys.stdout.flush()  # what was printed before comes first
    return buffer


def _compressor(suffix: str) -> _Compressor:
    if suffix == ".gz":
        import zlib

        return zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    if suffix == ".bz2":
        import bz2

        return bz2.BZ2Compressor()
    import lzma

    return lzma.LZMACompressor()


def _drop(file: BinaryIO) -> None:
    """Close a file without writing what is still in its buffer: the disk may be full."""
    if isinstance(file, io.BufferedWriter):
        file.raw.close()


def _is_regular(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # something that only behaves like a file
        return False


def _is_special(path: Path) -> bool:
    """A pipe or a device, or a name for an open stream, which must not be replaced by a file."""
    absolute = path.absolute().parts
    if absolute[:3] in _STREAMS or absolute[:2] in _STREAMS:
        return True
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    if fcntl is None:  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_ADVICE: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "make room and run it again"),
    errno.EDQUOT: ("the disk quota is used up", "make room and run it again"),
    errno.EACCES: ("permission denied", "allow this user to write it and its folder"),
    errno.EPERM: ("permission denied", "allow this user to write it and its folder"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}
