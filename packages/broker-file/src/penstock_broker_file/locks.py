"""Locks between processes that a process which dies lets go of."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from penstock import ConnectError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["Lock", "sync_folder", "write_safely"]


class Lock:
    """A lock on a file, which is made if it is not there and stays there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self, *, wait: bool = True) -> bool:
        """Take it, if need be after waiting for others; whether it was taken."""
        if fcntl is None:
            what = "this system has no locks that end with their process"
            raise ConnectError(what, where=str(self.path), hint="use another broker")
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            os.close(file)
            if not wait and isinstance(error, BlockingIOError):
                return False
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Let go of it; nothing happens when it is not held."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __enter__(self) -> Lock:
        self.take()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def write_safely(path: Path, data: bytes) -> None:
    """Replace a file in one step that a power cut does not undo."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was put into a folder durable, not only what is in the files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
