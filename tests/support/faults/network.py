"""A network that loses answers."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator

__all__ = ["LostReplies"]


class LostReplies:
    """Between client and server: with a probability an answer of the server is dropped, and the
    connection reset, so the client cannot know whether its request was done."""

    def __init__(self, target: int, chance: float, seed: int) -> None:
        self.target = target
        self.chance = chance
        self.lost = 0
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> LostReplies:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for one, other, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(one, other, answers), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            for data in _chunks(one):
                if answers and self._random.random() < self.chance:
                    self.lost += 1
                    break
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                # Reset, not closed: nobody may take it for a clean end.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
                end.close()


def _chunks(source: socket.socket) -> Iterator[bytes]:
    while data := source.recv(65536):
        yield data
