"""What a power cut leaves: kill -9 keeps what the system has in memory, a power cut does not.

A traced run is replayed on a model of a disk, which knows what was made durable and what was not.
After each call there are several states in which the folder could be found again. Taken for granted
is that making a new file durable does the same for its name where no other file had it, as ext4
does; that the run writes by plain calls, as SQLite does to its log; and nothing about renames.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .tracing import Call

__all__ = ["State", "states"]

_TEXT = re.compile(r'"([^"]*)"')
_DESCRIPTOR = re.compile(r"(\d+)<")
_BYTE = re.compile(r"\\x([0-9a-f]{2})")


class State(NamedTuple):
    """Files by their names below the folder. `after` is the number of the call, `kind` says what
    was lost."""

    after: int
    kind: str
    files: dict[str, bytes]


class _Open(NamedTuple):
    file: int
    folder: str
    append: bool


class Disk:
    """Files by number, each as memory has it and as the disk has it; names, in the same two ways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory: dict[int, bytes] = {}
        self.disk: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        self.kept_names: dict[str, int] = {}
        self.opened: dict[int, _Open] = {}
        self.offsets: dict[int, int] = {}
        self.unsure: tuple[int, int, int] | None = None  # file, offset and size of the last write

    def put(self, name: str, content: bytes = b"") -> int:
        number = len(self.memory)
        self.names[name] = number
        self.memory[number] = content
        self.disk[number] = b""
        return number

    def keep(self, name: str) -> None:
        """What was there before the run."""
        number = self.names[name]
        self.kept_names[name] = number
        self.disk[number] = self.memory[number]

    # ---- calls ----------------------------------------------------------------------------------

    def play(self, call: Call) -> bool:
        """Whether a call has changed what is in the folder, or what of it is durable."""
        method = getattr(self, f"_{call.name}")
        changed: bool = method(call)
        return changed

    def _openat(self, call: Call) -> bool:
        name = self._name(call, 0)
        self.opened.pop(call.result, None)
        if name is None:
            return False
        if "O_DIRECTORY" in call.arguments or (self.folder / name).is_dir():
            self.opened[call.result] = _Open(-1, name, False)
            return False
        made = name not in self.names
        if made and "O_CREAT" not in call.arguments:
            return False
        number = self.put(name) if made else self.names[name]
        cut = "O_TRUNC" in call.arguments and bool(self.memory[number])
        if cut:
            self.memory[number] = b""
        self.opened[call.result] = _Open(number, "", "O_APPEND" in call.arguments)
        self.offsets[call.result] = 0
        return made or cut

    def _close(self, call: Call) -> bool:
        self.opened.pop(_descriptor(call), None)
        return False

    def _read(self, call: Call) -> bool:
        descriptor = _descriptor(call)
        if descriptor in self.opened:
            self.offsets[descriptor] = self.offsets.get(descriptor, 0) + call.result
        return False

    def _lseek(self, call: Call) -> bool:
        self.offsets[_descriptor(call)] = call.result
        return False

    def _write(self, call: Call) -> bool:
        descriptor = _descriptor(call)
        opened = self.opened.get(descriptor)
        if opened is None or opened.file < 0:
            return False
        end = len(self.memory[opened.file])
        offset = end if opened.append else self.offsets[descriptor]
        self._change(opened.file, offset, _written(call))
        self.offsets[descriptor] = offset + call.result
        return True

    def _pwrite64(self, call: Call) -> bool:
        opened = self.opened.get(_descriptor(call))
        if opened is None or opened.file < 0:
            return False
        self._change(opened.file, int(call.arguments.rsplit(",", 1)[1]), _written(call))
        return True

    def _change(self, number: int, offset: int, data: bytes) -> None:
        there = self.memory[number].ljust(offset, b"\0")
        self.memory[number] = there[:offset] + data + there[offset + len(data) :]
        self.unsure = (number, offset, len(data))

    def _ftruncate(self, call: Call) -> bool:
        opened = self.opened.get(_descriptor(call))
        if opened is None or opened.file < 0:
            return False
        size = int(call.arguments.rsplit(",", 1)[1])
        self.memory[opened.file] = self.memory[opened.file][:size].ljust(size, b"\0")
        return True

    def _fsync(self, call: Call) -> bool:
        opened = self.opened.get(_descriptor(call))
        if opened is None:
            return False
        if opened.file < 0:
            here = {
                name for name in {*self.names, *self.kept_names} if _parent(name) == opened.folder
            }
            for name in here:
                self.kept_names.pop(name, None)
                if name in self.names:
                    self.kept_names[name] = self.names[name]
            return True
        self.disk[opened.file] = self.memory[opened.file]
        for name, number in self.names.items():
            if number == opened.file and name not in self.kept_names:
                if number not in self.kept_names.values():
                    self.kept_names[name] = number
        self.unsure = None
        return True

    _fdatasync = _fsync

    def _rename(self, call: Call) -> bool:
        old, new = self._name(call, 0), self._name(call, 1)
        if old is None or new is None:
            return False
        self.names[new] = self.names.pop(old)
        return True

    def _unlink(self, call: Call) -> bool:
        name = self._name(call, 0)
        return name is not None and self.names.pop(name, None) is not None

    def _name(self, call: Call, index: int) -> str | None:
        """The name below the folder that a call is about, if it is one."""
        text = _TEXT.findall(call.arguments)[index]
        path = os.path.normpath(self.folder / _bytes(text).decode())
        if not Path(path).is_relative_to(self.folder):
            return None
        return os.path.relpath(path, self.folder)

    # ---- what may be found ----------------------------------------------------------------------

    def found(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        yield "nothing but what is durable", {n: self.disk[i] for n, i in self.kept_names.items()}
        yield "names without bytes", {n: self.disk[i] for n, i in self.names.items()}
        yield "bytes without names", {n: self.memory[i] for n, i in self.kept_names.items()}
        if self.unsure is not None:
            number, offset, size = self.unsure
            half, now, old = offset + size // 2, self.memory[number], self.disk[number]
            torn = now[:half] + old[half : offset + size] + now[offset + size :]
            files = {n: torn if i == number else self.memory[i] for n, i in self.names.items()}
            yield "half of the last write", files


def states(folder: Path, calls: Sequence[Call], given: dict[str, bytes]) -> Iterator[State]:
    """Every state in which a power cut could leave `folder`, which had the files of `given`."""
    disk = Disk(folder)
    for name, content in given.items():
        disk.put(name, content)
        disk.keep(name)
    seen = set()
    for after, call in enumerate(calls):
        if not disk.play(call):
            continue
        for kind, files in disk.found():
            # SQLite makes this one anew when nobody has it open.
            files = {n: b for n, b in files.items() if not n.endswith(("-shm", "messages.txt"))}
            key = hash(tuple(sorted(files.items())))
            if key not in seen:
                seen.add(key)
                yield State(after, f"{kind}, after {call.name}", files)


def _descriptor(call: Call) -> int:
    match = _DESCRIPTOR.match(call.arguments)
    return int(match[1]) if match else -1


def _bytes(text: str) -> bytes:
    return bytes(int(one, 16) for one in _BYTE.findall(text))


def _written(call: Call) -> bytes:
    return _bytes(_TEXT.findall(call.arguments)[0])[: call.result]


def _parent(name: str) -> str:
    return os.path.dirname(name) or "."
