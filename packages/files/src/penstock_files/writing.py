"""Writing a file that is replaced as a whole or appended to, compressed by its suffix.

Whatever goes wrong is a sentence that names the file: a `ConnectError` when it is opened, a
`RunError` afterwards.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from penstock import ConnectError, PenstockError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where creating the part file exclusively has to do
    fcntl = None

__all__ = ["FileWriter"]

_BUFFER = 1 << 17
_STREAMS = {("/", "dev", "stdout"), ("/", "dev", "stderr"), ("/", "dev", "fd"), ("/", "proc")}


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class FileWriter:
    """Opens `path` for writing; the caller ends with `finish` or `abort`.

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
        self._made = False
        self._done = False
        with self._sentences(ConnectError):
            self._file = self._open(create_parents)

    def write(self, data: bytes) -> None:
        """Add `data` at the end; it is safe from a crash after the next `flush`."""
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

    def finish(self) -> None:
        """Make everything durable and, when replacing, put the new file into place."""
        if self._done:
            return
        if self._compressed and not self.written and not self.length:
            self.write(b"")  # an empty file would not unpack
        self.flush()
        with self._sentences():
            if self._part is not None and self._target is not None:
                if fcntl is None:
                    self._file.close()  # Windows does not rename an open file
                os.replace(self._part, self._target)
            self._done = True
            if self._target is not None:
                _sync_folder(self._target.parent)
            if str(self.path) != "-":
                self._file.close()  # last: until then the lock keeps other writers away

    def abort(self) -> None:
        """Undo what can be undone: the part file goes, what was appended is cut off."""
        if self._done or str(self.path) == "-":
            return
        self._done = True
        with self._sentences():
            unwanted = self._part or (self._target if self._made else None)
            if fcntl is None:
                _drop(self._file)  # Windows does not remove an open file
            if unwanted is not None:
                unwanted.unlink()
            elif self._target is not None:
                os.truncate(self._target, self.length)
            _drop(self._file)

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
            descriptor = self._acquire(target, os.O_APPEND)
            self.length = os.fstat(descriptor).st_size
            self._made = not exists and not self.length
        else:
            part = target.with_name(f".{target.name}.part")
            descriptor = self._acquire(part, os.O_EXCL if fcntl is None else 0)
            self._part = part
            os.ftruncate(descriptor, 0)  # it may have been left behind by a run that was killed
            if exists:
                os.chmod(part, stat.S_IMODE(target.stat().st_mode))
        return os.fdopen(descriptor, "wb", _BUFFER)

    def _acquire(self, path: Path, flags: int) -> int:
        """Open `path` for this writer alone."""
        while True:
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o666)
            except FileExistsError as error:
                raise self._refused(f"; if there is none, remove {str(path)!r}") from error
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
            raise self._refused() from error
        except OSError as error:
            # Some network file systems have no locks; there, one writer cannot be promised.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise

    def _refused(self, more: str = "") -> ConnectError:
        hint = f"wait for the other run{more}"
        return ConnectError("is being written by another run", where=str(self.path), hint=hint)

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
