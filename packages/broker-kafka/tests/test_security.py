"""Servers that want to be spoken to by TLS, and to know who we are."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock import Batch, Checkpoint, ConnectError, Context
from penstock_broker_kafka import KafkaBroker
from penstock_broker_kafka.clients import settings
from penstock_broker_kafka.sockets import direct, tls, tls_problem
from penstock_testkit.servers import Kafka, free_port, running
from penstock_testkit.servers.base import require
from penstock_testkit.servers.kafka import mocked

LISTENERS = ("ssl", "sasl_plaintext", "sasl_ssl")
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


class Certificates:
    """An authority of our own, and what it has signed: the server's, and ours, whose key has the
    password `opens`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl(
            *"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority".split(),
            *"-keyout ca.key -out ca.pem".split(),
        )
        for name, key in (("server", ["-nodes"]), ("client", ["-passout", "pass:opens"])):
            self._openssl(
                *f"req -newkey rsa:2048 -subj /CN={name} -keyout {name}.key -out {name}.csr".split(),
                *key,
            )
            (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
            self._openssl(
                *f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial".split(),
                *f"-days 2 -extfile names -out {name}.pem".split(),
            )
        both = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
        (folder / "both.pem").write_text(both)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60
        )

    def __getitem__(self, name: str) -> Path:
        return self.folder / name


class Secured(Kafka):
    """A Kafka that is reached by TLS with certificates on both sides, and by SASL with and without
    TLS; the user `me` has the password `secret`."""

    users = ("--add-scram", "SCRAM-SHA-256=[name=me,password=secret]")

    def __init__(self) -> None:
        super().__init__()
        self.ports = {name: free_port() for name in LISTENERS}
        if not self.outside:
            if shutil.which("openssl") is None:
                require(self.title, "needs openssl for its certificates")
            self.certificates = Certificates(self.folder)

    def settings(self) -> dict[str, object]:
        given = super().settings()
        more = "".join(f",{n.upper()}://127.0.0.1:{port}" for n, port in self.ports.items())
        given["listeners"] = f"{given['listeners']}{more}"
        given["advertised.listeners"] = f"{given['advertised.listeners']}{more}"
        given["listener.security.protocol.map"] = ",".join(
            [
                "PLAINTEXT:PLAINTEXT",
                "CONTROLLER:PLAINTEXT",
                *(f"{n}:{n}".upper() for n in LISTENERS),
            ]
        )
        plain = f'{PLAIN} required username="me" password="secret" user_me="secret";'
        for name in ("sasl_plaintext", "sasl_ssl"):
            listener = f"listener.name.{name}"
            given[f"{listener}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256"
            given[f"{listener}.plain.sasl.jaas.config"] = plain
            given[f"{listener}.scram-sha-256.sasl.jaas.config"] = f"{SCRAM} required;"
        return given | {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates["both.pem"],
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates["ca.pem"],
            "listener.name.ssl.ssl.client.auth": "required",
        }

    def broker(self, security: str, **options: Any) -> KafkaBroker:
        return KafkaBroker(
            bootstrap=f"127.0.0.1:{self.ports[security]}",
            security=security,
            create_topics=True,
            connect_timeout=15.0,
            **options,
        )


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    if os.environ.get("PENSTOCK_TEST_KAFKA") or mocked():
        pytest.skip("needs a Kafka with users and certificates of its own")
    with running(Secured) as server:
        yield server


def opened(one: Any, name: str) -> Any:
    try:
        one.open(Context(name, pipeline=name))
    except BaseException:
        one.close()
        raise
    return one


def write(broker: KafkaBroker, topic: str) -> None:
    output = opened(broker.output(topic), topic)
    try:
        output.checkpoint(topic)
        output.resume(None, 0)
        output.write(Batch([{"n": 1}, {"n": 2}], "rows"))
        output.commit(Checkpoint(topic, "run", 1, generation=1))
    finally:
        output.close()


def read(broker: KafkaBroker, topic: str) -> list[Any]:
    one = opened(broker.input(topic, until="end"), topic)
    try:
        return [record for batch in one.read({}) if batch is not None for record in batch.records]
    finally:
        one.close()


def way(server: Secured, name: str) -> KafkaBroker:
    """A broker that does all that the listener wants."""
    pem = server.certificates
    who = {"username": "me", "password": "secret"}
    ours = {"cert_file": pem["client.pem"], "key_file": pem["client.key"], "key_password": "opens"}
    if name == "ssl":
        return server.broker("ssl", ca_file=pem["ca.pem"], **ours)
    if name == "sasl_ssl, SCRAM":
        mechanism = "SCRAM-SHA-256"
        return server.broker("sasl_ssl", ca_file=pem["ca.pem"], sasl_mechanism=mechanism, **who)
    if name == "sasl_ssl, PLAIN":
        return server.broker("sasl_ssl", ca_file=pem["ca.pem"], **who)
    return server.broker("sasl_plaintext", **who)


@pytest.mark.parametrize(
    "name", ["ssl", "sasl_plaintext, PLAIN", "sasl_ssl, PLAIN", "sasl_ssl, SCRAM"]
)
def test_a_topic_is_written_and_read(secured: Secured, name: str) -> None:
    topic = "".join(filter(str.isalnum, name))
    broker = way(secured, name)
    write(broker, topic)
    assert read(broker, topic) == [{"n": 1}, {"n": 2}]
    assert read(KafkaBroker(bootstrap=secured.url()), topic) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        (
            "ssl",
            {"cert_file": None},
            "is the server there, does it speak ssl, and does it take cert_file and key_file?",
        ),
        (
            "sasl_plaintext, PLAIN",
            {"password": "hunter2"},
            "does it speak sasl_plaintext, and does it take username and password?",
        ),
        (
            "sasl_ssl, SCRAM",
            {"username": "you"},
            "does it speak sasl_ssl, and does it take username and password?",
        ),
        (
            "sasl_ssl, PLAIN",
            {"ca_file": None},
            "its certificate was refused: unable to get local issuer certificate; "
            "see security and ca_file",
        ),
        (
            "sasl_plaintext, PLAIN",
            {"security": "sasl_ssl"},
            "does not speak TLS as we do: ",
        ),
    ],
)
def test_who_is_not_let_in_is_told(
    secured: Secured, name: str, other: dict[str, Any], message: str
) -> None:
    broker = way(secured, name)
    broker.connect_timeout = 1.5
    for option, value in other.items():
        setattr(broker, option, value)
    with pytest.raises(ConnectError) as caught:
        read(broker, "t")
    assert str(caught.value).startswith(f"{broker.bootstrap}: ")
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


# ---- files --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl for its certificates")
    return Certificates(tmp_path_factory.mktemp("pem"))


def by_tls(pem: Certificates, **options: Any) -> KafkaBroker:
    ours = {"cert_file": pem["client.pem"], "key_file": pem["client.key"], "key_password": "opens"}
    given: dict[str, Any] = {"ca_file": pem["ca.pem"], **ours, **options}
    return KafkaBroker(bootstrap="localhost", security="ssl", **given)


def test_files_that_are_no_good_are_named(pem: Certificates) -> None:
    (pem["empty"]).write_text("")
    for options, where, message in (
        (
            {"ca_file": pem["gone"]},
            "gone",
            "cannot be read: No such file or directory; see ca_file",
        ),
        ({"ca_file": pem["empty"]}, "empty", "is no use: "),
        (
            {"cert_file": pem["gone"]},
            "gone",
            "cannot be read: No such file or directory; see cert_",
        ),
        ({"key_password": "hunter2"}, "client.pem", "see cert_file, key_file or key_password"),
        ({"key_password": None}, "client.pem", "see cert_file, key_file or key_password"),
        ({"key_file": pem["server.key"]}, "client.pem", "is no use: KEY_VALUES_MISMATCH"),
        ({"extra": {"ssl_crlfile": str(pem["empty"])}}, "empty", "see ssl_crlfile; it must be PEM"),
    ):
        with pytest.raises(ConnectError) as caught:
            settings(by_tls(pem, **options))
        assert str(caught.value).startswith(f"{pem[where]}: ")
        assert message in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_what_is_set_reaches_the_client_library(pem: Certificates) -> None:
    made = settings(by_tls(pem, extra={"ssl_check_hostname": False, "linger_ms": 7}))
    context = made.pop("ssl_context")
    assert [dict(one["subject"][0])["commonName"] for one in context.get_ca_certs()] == [
        "authority"
    ]
    assert not context.check_hostname
    assert made == {
        "bootstrap_servers": ["localhost"],
        "bootstrap_timeout_ms": 10000,
        "request_timeout_ms": 30000,
        "security_protocol": "SSL",
        "proxy_url": direct(),
        "ssl_check_hostname": False,
    }
    who = KafkaBroker(
        bootstrap="a:1, b:2", security="sasl_plaintext", username="me", password="secret"
    )
    assert "secret" not in repr(who)
    made = settings(who)
    assert made["bootstrap_servers"] == ["a:1", "b:2"]
    assert {name: made[name] for name in made if name.startswith("sasl")} == {
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "me",
        "sasl_plain_password": "secret",
    }


def test_the_certificates_of_the_system_are_trusted_without_others(pem: Certificates) -> None:
    context = tls(by_tls(pem, ca_file=None))
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_server_that_is_not_there_has_no_problem_with_tls(pem: Certificates) -> None:
    nowhere = by_tls(pem)
    nowhere.bootstrap, nowhere.connect_timeout = f"127.0.0.1:{free_port()}, host:port", 0.2
    assert tls_problem(nowhere) == ""


def test_a_client_library_that_is_made_in_another_way_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kafka.net.inet", None)
    assert direct.__wrapped__() is None
