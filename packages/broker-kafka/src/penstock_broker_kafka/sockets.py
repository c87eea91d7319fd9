"""Connections that are closed when nobody has them any more.

Where a server refuses, or a handshake fails, the client library lets go of a socket that is open.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from penstock import ConnectError

from .broker import KafkaBroker
from .library import load

__all__ = ["direct", "servers_of", "tls", "tls_problem"]


class _Socket(socket.socket):
    def __del__(self) -> None:
        self.close()


class _TlsSocket(ssl.SSLSocket):
    def __del__(self) -> None:
        self.close()


@cache
def direct() -> str | None:
    """What the client library takes for a proxy; it leads straight to the server. None with a
    library that is made in another way: there the collector closes what was let go of."""
    load()
    try:
        from kafka.net.inet import KafkaNetSocket
    except ImportError:
        return None

    class Direct(KafkaNetSocket):  # type: ignore[misc]
        SCHEMES = ("penstock",)

        def socket(self, family: int = 0, sock_type: int = 1, proto: int = 0) -> socket.socket:
            return _Socket(family, sock_type, proto)

    return f"{Direct.SCHEMES[0]}://direct"


def tls(broker: KafkaBroker) -> ssl.SSLContext:
    """How to speak TLS with the servers of a broker. ConnectError for a file that is no good."""
    more = broker.extra.get
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _TlsSocket
    context.check_hostname = more("ssl_check_hostname", True)
    trusted, ours = more("ssl_cafile", broker.ca_file), more("ssl_certfile", broker.cert_file)
    if trusted is None:
        context.load_default_certs()
    else:
        with _usable("ca_file", trusted):
            context.load_verify_locations(trusted)
    if ours is not None:
        password = more("ssl_password", broker.key_password)
        with _usable("cert_file, key_file or key_password", ours):
            # An empty one, else a key that needs one would ask for it at the terminal.
            context.load_cert_chain(ours, more("ssl_keyfile", broker.key_file), password or "")
    if revoked := more("ssl_crlfile"):
        with _usable("ssl_crlfile", revoked):
            context.load_verify_locations(revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def servers_of(broker: KafkaBroker) -> list[str]:
    """The servers to begin with, as host:port."""
    return [one.strip() for one in broker.bootstrap.split(",")]


def tls_problem(broker: KafkaBroker) -> str:
    """Why no server of a broker can be spoken to by TLS; nothing when one can, or none is there."""
    found = ""
    for server in servers_of(broker):
        host, _, port = server.rpartition(":") if ":" in server else (server, "", "9092")
        try:
            there = socket.create_connection((host.strip("[]"), int(port)), broker.connect_timeout)
            with there, tls(broker).wrap_socket(there, server_hostname=host.strip("[]")):
                return ""
        except ssl.SSLCertVerificationError as error:
            found = f"its certificate was refused: {error.verify_message}"
        except ssl.SSLError as error:
            found = f"does not speak TLS as we do: {error.reason or error}"
        except (OSError, ValueError):
            continue  # not there
    return found


@contextmanager
def _usable(option: str, path: Any) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        what = f"is no use: {error.reason or error}"
        raise ConnectError(what, where=str(path), hint=f"see {option}; it must be PEM") from error
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConnectError(what, where=str(path), hint=f"see {option}") from error
