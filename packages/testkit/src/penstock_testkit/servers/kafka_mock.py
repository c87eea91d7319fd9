"""The cluster that librdkafka brings for its own tests, as a process that clients take for a Kafka.

It is in the wheel of `confluent-kafka`, written in C by others. What it lacks for us, a front adds
(`kafka_front`), and what both cannot do is said in the decision record 36.

    python -m penstock_testkit.servers.kafka_mock PORT
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .kafka_front import HOST, Front

__all__ = ["Cluster", "library"]

BROKER = 1
_INVALID_REQUEST = 42

_TEXT, _NUMBER, _POINTER, _SIZE = (
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_size_t,
)


def library() -> Path | None:
    """The library in the wheel that is installed, None when there is none."""
    found = find_spec("confluent_kafka")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    for folder in (package.parent / "confluent_kafka.libs", package / ".dylibs"):
        for path in sorted(folder.glob("librdkafka*")):
            return path
    return None


class Cluster:
    """A cluster of one broker. It lives in threads of the library until the process ends."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        conf = self._call("conf_new", _POINTER)()
        said = ctypes.create_string_buffer(512)
        configure = self._call("conf_set", _NUMBER, _POINTER, _TEXT, _TEXT, _TEXT, _SIZE)
        configure(conf, b"log_level", b"2", said, len(said))
        client = self._call("new", _POINTER, _NUMBER, _POINTER, _TEXT, _SIZE)(0, conf, said, 512)
        if not client:
            raise RuntimeError(f"librdkafka cannot be used: {said.value.decode()}")
        self._cluster = self._call("mock_cluster_new", _POINTER, _POINTER, _NUMBER)(client, 1)
        servers = self._call("mock_cluster_bootstraps", _TEXT, _POINTER)(self._cluster)
        self.port = int(servers.decode().rpartition(":")[2])
        """Where it is itself."""
        for name, value in (("set_controller_id", BROKER), ("group_initial_rebalance_delay_ms", 0)):
            self._call(f"mock_{name}", None, _POINTER, ctypes.c_int32)(self._cluster, value)

    def _call(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = getattr(self._library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
        called: Callable[..., Any] = function
        return called

    def advertise(self, port: int) -> None:
        """Tell clients that the broker is at this port."""
        tell = self._call("mock_broker_set_host_port", None, _POINTER, _NUMBER, _TEXT, _NUMBER)
        tell(self._cluster, BROKER, HOST.encode(), port)

    def make_topic(self, name: str, partitions: int) -> int:
        """Make a topic; 0 or why not, as a number of the protocol."""
        make = self._call("mock_topic_create", _NUMBER, _POINTER, _TEXT, _NUMBER, _NUMBER)
        result: int = make(self._cluster, name.encode(), partitions, 1)
        return result if result >= 0 else _INVALID_REQUEST


def main() -> None:
    path = library()
    if path is None:
        sys.exit("needs confluent-kafka, which brings librdkafka")
    asyncio.run(Front(Cluster(path)).serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
