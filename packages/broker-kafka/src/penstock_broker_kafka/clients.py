"""Connections to a cluster: settings, topics, and the sentences for what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, TypeVar

from penstock import ConnectError, PenstockError, RunError, TransientError
from penstock.errors import nearest

from .broker import KafkaBroker
from .library import load
from .sockets import direct, servers_of, tls, tls_problem

__all__ = ["bounded", "connected", "ensure_topic", "sentences", "settings"]

T = TypeVar("T")


def settings(broker: KafkaBroker) -> dict[str, Any]:
    """What every client is made with; of the settings in `extra` those about connections."""
    made: dict[str, Any] = {
        "bootstrap_servers": servers_of(broker),
        "bootstrap_timeout_ms": int(broker.connect_timeout * 1000),
        "request_timeout_ms": int(broker.request_timeout * 1000),
        "security_protocol": broker.security.upper(),
        "proxy_url": broker.extra.get("socks5_proxy") or direct(),
    }
    if "ssl" in broker.security:
        made["ssl_context"] = tls(broker)
    if broker.security.startswith("sasl"):
        made["sasl_mechanism"] = broker.sasl_mechanism
        made["sasl_plain_username"] = broker.username
        made["sasl_plain_password"] = broker.password
    about_connections = load().KafkaAdminClient.DEFAULT_CONFIG
    extra = {name: value for name, value in broker.extra.items() if name in about_connections}
    return {**made, **extra}


def ensure_topic(
    broker: KafkaBroker, topic: str, *, make: bool, partitions: int = -1, **config: str
) -> tuple[str, int]:
    """The cluster's id and how many partitions a topic has; it is made if need be and allowed."""
    admin = connected(broker, "KafkaAdminClient", client_id="penstock-admin")
    try:
        with sentences(topic, ConnectError):
            cluster = str(admin.describe_cluster().get("cluster_id"))
            found = _partitions(admin, topic)
            if not found and make:
                _create(admin, topic, partitions, broker.replication, config)
                found = _partitions(admin, topic)
            if not found:
                near = nearest(topic, admin.list_topics())
                hint = f"did you mean {near!r}?" if near else "make it, or set create_topics: true"
                raise ConnectError("there is no such topic", where=topic, hint=hint)
            return cluster, found
    finally:
        admin.close()


def connected(broker: KafkaBroker, kind: str, **more: Any) -> Any:
    """A client of this kind. Making one may hang in the library, once in some hundred times on a
    busy machine, whatever time limit it is given; then another one is tried."""
    make = getattr(load(), kind)
    wanted = {**settings(broker), **more}
    limit = broker.connect_timeout + 5.0
    for attempt in (1, 2, 3):
        try:
            return bounded(lambda: _made(make, wanted), limit, kind)
        except TransientError:
            if attempt == 3:
                raise
        except load().errors.KafkaError as error:
            raise _unreached(broker, error) from error
    raise AssertionError("not reached")


def _unreached(broker: KafkaBroker, error: BaseException) -> Exception:
    """What to say when no client could be made. The library does not tell what the server or its
    certificate was refused for."""
    if "ssl" in broker.security and (problem := tls_problem(broker)):
        return ConnectError(problem, where=broker.bootstrap, hint="see security and ca_file")
    found = explained(error, broker.bootstrap, ConnectError)
    if broker.security == "plaintext" or not isinstance(found, ConnectError):
        return found
    wanted = "username and password" if "sasl" in broker.security else "cert_file and key_file"
    hint = f"is the server there, does it speak {broker.security}, and does it take {wanted}?"
    return ConnectError(found.what, where=broker.bootstrap, hint=hint)


def _made(make: Any, wanted: Mapping[str, Any]) -> Any:
    """A client. Of one that cannot be made the library would leave a thread and sockets behind."""
    parts: list[Any] = []

    def part(**given: Any) -> Any:
        parts.append(make.DEFAULT_CONFIG["kafka_client"](**given))
        return parts[-1]

    try:
        return make(**{"kafka_client": part, **wanted})
    except BaseException:
        for one in parts:
            one.close()
        raise


def _partitions(admin: Any, topic: str) -> int:
    """How many there are; 0 for a topic that is not there. Asking must not make it."""
    if topic not in admin.list_topics():
        return 0
    return max(len(one["partitions"]) for one in admin.describe_topics([topic]))


def _create(
    admin: Any, topic: str, partitions: int, replication: int, config: Mapping[str, str]
) -> None:
    wanted = {
        "num_partitions": partitions,
        "replication_factor": replication,
        "configs": dict(config),
    }
    try:
        admin.create_topics({topic: wanted})
    except load().errors.TopicAlreadyExistsError:
        pass  # somebody was faster
    admin.wait_for_topics([topic])


@contextmanager
def sentences(where: str, kind: type[PenstockError] = RunError) -> Iterator[None]:
    """Errors of the client library as ours: those that may pass are worth another try."""
    try:
        yield
    except load().errors.KafkaError as error:
        raise explained(error, where, kind) from error


def explained(error: BaseException, where: str, kind: type[PenstockError] = RunError) -> Exception:
    errors = load().errors
    what = " ".join(str(error).split()).removeprefix(f"{type(error).__name__}: ")
    name = type(error).__name__.removesuffix("Error")
    if isinstance(error, (errors.AuthorizationError, errors.SaslAuthenticationFailedError)):
        return ConnectError(f"is not allowed: {what}", where=where, hint="see the access rules")
    if kind is ConnectError:
        hint = "is the server there, and its address right?"
        return ConnectError(f"{name}: {what}", where=where, hint=hint)
    if isinstance(error, errors.RetriableError):
        return TransientError(f"{where}: {name}: {what}")
    return kind(f"{name}: {what}", where=where)


def bounded(call: Callable[[], T], seconds: float, where: str) -> T:
    """The result of a call that has no time limit of its own.

    One that does not come back in time is left alone: nobody knows how it will end, and whoever
    made it must not be used any more.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=work, name=f"penstock {where}", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TransientError(f"{where}: no answer for {seconds:g} s")
    return results[0]
