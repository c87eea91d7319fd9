"""Serves the double: `python -m penstock_testkit.servers.mongo_double LOG PORT [--standalone]`.

Needs `penstock-testkit[mongodb]`.
"""

from __future__ import annotations

import argparse
import contextlib
import socketserver
import struct
from pathlib import Path
from typing import Any

import bson

from .commands import Dropped, Server
from .store import Store

_MESSAGE, _QUERY = 2013, 2004


class Connection(socketserver.StreamRequestHandler):
    """One client: a command at a time, until it leaves."""

    def handle(self) -> None:
        server: Server = self.server.answers  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError, Dropped):
            while head := self.rfile.read(16):
                if len(head) < 16:
                    return
                size, request, _, kind = struct.unpack("<iiii", head)
                body = self.rfile.read(size - 16)
                if kind == _QUERY:  # the first greeting of older clients
                    name_end = body.index(0, 4)
                    reply = bson.encode(server.answer(_old_command(body, name_end)))
                    payload, kind = struct.pack("<iqii", 8, 0, 0, 1) + reply, 1
                else:
                    command, silent = _command(body)
                    reply = bson.encode(server.answer(command))
                    if silent:
                        continue
                    payload, kind = struct.pack("<IB", 0, 0) + reply, _MESSAGE
                self.wfile.write(
                    struct.pack("<iiii", 16 + len(payload), 0, request, kind) + payload
                )


def _old_command(body: bytes, name_end: int) -> dict[str, Any]:
    start = name_end + 9
    [size] = struct.unpack_from("<i", body, start)
    return {**bson.decode(body[start : start + size]), "$db": "admin"}


def _command(body: bytes) -> tuple[dict[str, Any], bool]:
    """The command with the documents that follow it, and whether no answer is wanted."""
    [flags] = struct.unpack_from("<I", body)
    end = len(body) - (4 if flags & 1 else 0)
    command: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    start = 4
    while start < end:
        kind, start = body[start], start + 1
        [size] = struct.unpack_from("<i", body, start)
        if kind == 0:
            command = bson.decode(body[start : start + size])
        else:
            name_end = body.index(0, start + 4)
            name = body[start + 4 : name_end].decode()
            lists[name] = bson.decode_all(body[name_end + 1 : start + size])
        start += size
    return {**command, **lists}, bool(flags & 2)


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--standalone", action="store_true")
    given = parser.parse_args()
    with _Listener(("127.0.0.1", given.port), Connection) as listener:
        address = f"127.0.0.1:{listener.server_address[1]}"
        store = Store(given.log)
        listener.answers = Server(store, address, replica_set=not given.standalone)  # type: ignore[attr-defined]
        listener.serve_forever()


if __name__ == "__main__":
    main()
