"""The broker `kafka`: the topics of an Apache Kafka cluster are its streams."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from penstock import Broker, Duration, Input, Output, component, option

__all__ = ["KafkaBroker"]


def _positive(value: float) -> None:
    if value <= 0:
        raise ValueError("must be more than 0")


def _name(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", value):
        raise ValueError(f"must be letters, digits, '.', '_' and '-', at most 100, got {value!r}")


@component
class KafkaBroker(Broker):
    """Read and write the topics of an Apache Kafka cluster."""

    bootstrap: str = option(
        help="Servers to begin with, with commas between them.", example="kafka1:9092,kafka2:9092"
    )
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = option(
        default="plaintext", help="How to connect."
    )
    ca_file: Path | None = option(
        default=None, help="Certificates to trust; without it, those of the system."
    )
    cert_file: Path | None = option(default=None, help="Our own certificate.")
    key_file: Path | None = option(default=None, help="The key of our certificate.")
    key_password: str | None = option(default=None, help="The password of that key.", secret=True)
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"] = option(
        default="PLAIN", help="How to say who we are, with sasl."
    )
    username: str | None = option(default=None, help="Who we are, with sasl.")
    password: str | None = option(default=None, help="Our password, with sasl.", secret=True)
    connect_timeout: Duration = option(
        default=10.0, help="How long to wait for a server to answer at all.", check=_positive
    )
    request_timeout: Duration = option(
        default=30.0, help="How long to wait for an answer.", check=_positive
    )
    create_topics: bool = option(
        default=False, help="Make topics that are not there; else they are missed."
    )
    partitions: int = option(default=1, help="Partitions of a topic made.", check=_positive)
    replication: int = option(
        default=-1, help="Copies of a topic made; -1 is what the cluster has by default."
    )
    session_timeout: Duration = option(
        default=45.0,
        help="How long a member of a group may be silent before others get its partitions.",
        check=_positive,
    )
    prefix: str = option(
        default="penstock",
        help="What the names of topics with checkpoints, and of producers, begin with.",
        check=_name,
    )
    extra: dict[str, Any] = option(
        default={}, help="More settings of the client library, for consumers and producers alike."
    )

    def check(self) -> None:
        if self.security.startswith("sasl") and self.sasl_mechanism != "GSSAPI":
            if self.username is None or self.password is None:
                raise ValueError(f"security: {self.security} needs a username and a password")

    def stream_class(self, role: str) -> type:
        from .input import KafkaInput
        from .output import KafkaOutput

        return KafkaInput if role == "input" else KafkaOutput

    def input(
        self, stream: str, *, group: str | None = None, codec: Any = None, **options: Any
    ) -> Input:
        from .input import KafkaInput

        given = {"group": group, "codec": codec, **options}
        made = KafkaInput(stream=stream, **{k: v for k, v in given.items() if v is not None})
        made.broker = self
        return made

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        from .output import KafkaOutput

        given = {"codec": codec, **options}
        made = KafkaOutput(stream=stream, **{k: v for k, v in given.items() if v is not None})
        made.broker = self
        return made
