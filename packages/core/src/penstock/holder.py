"""Who holds a lease, and whether that process still lives."""

from __future__ import annotations

import os

__all__ = ["alive", "this_process"]


def this_process() -> str:
    """A name for this process that no later one can have: "host, process 4711, started 123456"."""
    pid = os.getpid()
    return f"{_host()}, process {pid}, started {_started(pid)}"


def alive(holder: str) -> bool | None:
    """Whether the process of that name still runs; None for one on another machine."""
    try:
        host, process, started = holder.split(", ")
        pid = int(process.removeprefix("process "))
    except ValueError:
        return None
    if host != _host():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as somebody else
    if _state(pid) in ("Z", "X"):
        return False  # killed; only nobody has asked yet how it ended
    return started in ("started unknown", f"started {_started(pid)}")


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform  # slow to import, and needed only where there is no uname

    return platform.node()


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; process ids are used again, this is not."""
    return _status(pid, 19)


def _state(pid: int) -> str:
    """One letter: R runs, S sleeps, Z is dead but not yet waited for, X is just dying."""
    return _status(pid, 0)


def _status(pid: int, field: int) -> str:
    """A field of what the kernel says of a process, counted from 0 after the command's name."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The command may hold spaces and brackets, so count from its end.
            return file.read().rpartition(")")[2].split()[field]
    except (OSError, IndexError):
        return "unknown"
