"""Pipelines with topics, from their file to their report, on a real Kafka."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

import penstock
from penstock import ConfigError, ConnectError, load_pipeline
from penstock.cli import main
from penstock.store import decode_record
from penstock.stores.sqlite import SqliteStore
from penstock_broker_kafka.library import load
from penstock_broker_kafka.sockets import direct

NUMBERS = itertools.count(1)

PIPELINE = """
brokers:
  bus: {{use: kafka, bootstrap: "{url}", create_topics: true, partitions: 2, session_timeout: 6s{broker}}}
inputs:
  clicks: {{use: stream, broker: bus, stream: "{topic}", until: end{input}}}
outputs:
  out: {{use: stream, broker: bus, stream: "{topic}.out", key: n{output}}}
pipes:
  main: [clicks, out]
"""


class Shop:
    """A folder with a pipeline between two topics that no other test has."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.topic = f"p{os.getpid()}.{next(NUMBERS)}"

    def pipeline(self, **parts: str) -> Path:
        path = self.folder / f"{self.topic}.yaml"
        given = {"broker": "", "input": "", "output": "", **parts}
        path.write_text(PIPELINE.format(url=self.url, topic=self.topic, **given))
        return path

    def send(self, *values: bytes) -> None:
        producer = load().KafkaProducer(bootstrap_servers=self.url, proxy_url=direct())
        for value in values:
            producer.send(self.topic, value, b"k", [("h", b"x")])
        producer.flush()
        producer.close()

    def received(self) -> list[bytes]:
        kafka = load()
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=self.url,
            proxy_url=direct(),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            consumer_timeout_ms=2000,
        )
        consumer.assign([kafka.TopicPartition(f"{self.topic}.out", n) for n in range(2)])
        found = [message.value for message in consumer]
        consumer.close()
        return sorted(found)


@pytest.fixture
def shop(tmp_path, kafka_server):
    return Shop(tmp_path, kafka_server.url())


def numbers(first, last):
    return [b'{"n":%d}' % n for n in range(first, last)]


@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize("group", ["", ", group: shop"])
def test_a_pipeline_goes_on_where_it_was_in_every_run(shop, engine, group):
    path = shop.pipeline(input=group and f"{group}-{shop.topic}")
    for run in range(2):
        shop.send(*numbers(run * 1000, run * 1000 + 1000))
        report = penstock.run(path, engine=engine)
        assert (report.status, str(report.balance)) == (
            "ok",
            "read 1 000 = written 1 000 + filtered 0 + dead 0",
        )
        assert next(one for one in report.nodes if one.name == "clicks").observations == {"lag": 0}
    assert shop.received() == sorted(numbers(0, 2000))


@pytest.mark.parametrize("group", ["", ", group: shop"])
def test_a_partition_that_holds_a_mark_and_nothing_else_keeps_no_run_from_going_on(shop, group):
    """And what a transaction leaves behind its last message is no lag."""
    path = shop.pipeline(output=", end_of_stream: true")
    shop.send(b'{"n":1}')
    assert penstock.run(path).status == "ok"
    behind = path.with_name(f"{shop.topic}.behind.yaml")
    text = path.read_text().replace(f'"{shop.topic}"', f'"{shop.topic}.out"')
    text = text.replace(f'"{shop.topic}.out", key', f'"{shop.topic}.behind", key')
    behind.write_text(text.replace("until: end", f"until: mark{group and group + shop.topic}"))
    report = penstock.run(behind)
    assert (report.status, report.balance.written) == ("ok", 1)
    behind.write_text(behind.read_text().replace("until: mark", "until: end"))
    report = penstock.run(behind)
    assert (report.status, report.balance.written) == ("ok", 0)
    assert next(one for one in report.nodes if one.name == "clicks").observations == {"lag": 0}


def test_a_message_that_cannot_be_read_is_a_letter_with_all_that_it_had(shop):
    path = shop.pipeline()
    shop.send(b'{"n":1}', b'{"n\xff', b'{"n":3}')
    report = penstock.run(path)
    assert (report.status, report.letters) == ("letters", 1)
    store = SqliteStore(shop.folder / ".penstock")
    store.open()
    [letter] = store.letters()
    store.close()
    record = decode_record(letter.record)
    assert (record["key"], record["value"]) == (b"k", b'{"n\xff')
    assert record["headers"] == [["h", b"x"]]
    assert letter.ordinal == record["offset"] + 1
    assert letter.message == (
        "column 4: the byte 0xff is not UTF-8; read the topic with codec: bytes, or a function of "
        "its own"
    )
    assert letter.source == f"clicks/{record['partition']}"
    assert len(shop.received()) == 2


CODECS = """
def read(data):
    number, _, word = data.partition(b" ")
    return {"n": int(number), "word": word.decode("latin-1")}


def write(record):
    return b"%d %s" % (record["n"] * 10, record["word"].upper().encode("latin-1"))
"""


@pytest.mark.parametrize(
    ("codec", "back", "values", "given"),
    [
        ("text", "text", [b"one", b"tv\xc3\xa5"], [b"one", b"tv\xc3\xa5"]),
        ("bytes", "bytes", [b"\x00\xff", b"{"], [b"\x00\xff", b"{"]),
        ("words:read", "words:write", [b"1 one", b"2 tv\xe5"], [b"10 ONE", b"20 TV\xc5"]),
        ("words:read", "json", [b"1 one"], [b'{"n":1,"word":"one"}']),
        ("text", "json", [b"1"], [b'"1"']),
    ],
)
def test_a_pipeline_reads_and_writes_in_the_codecs_it_names(
    shop, monkeypatch, codec, back, values, given
):
    (shop.folder / "words.py").write_text(CODECS)
    monkeypatch.chdir(shop.folder)
    path = shop.pipeline(input=f', codec: "{codec}"', output=f', codec: "{back}"')
    shop.send(*values)
    report = penstock.run(path)
    assert (report.balance.written, report.balance.dead) == (len(values), 0)
    assert shop.received() == given


@pytest.mark.parametrize("codec", ["text", "words:read"])
def test_what_a_codec_cannot_read_is_a_dead_letter(shop, monkeypatch, codec):
    (shop.folder / "words.py").write_text(CODECS)
    monkeypatch.chdir(shop.folder)
    shop.send(b"1 one", b"x\xff")
    report = penstock.run(shop.pipeline(input=f', codec: "{codec}"', output=", codec: json"))
    assert (report.balance.written, report.balance.dead) == (1, 1)


def test_a_broker_gives_its_topics_of_checkpoints_its_prefix(shop):
    shop.send(*numbers(0, 3))
    penstock.run(shop.pipeline(broker=", prefix: team-7"))
    admin = load().KafkaAdminClient(bootstrap_servers=shop.url, proxy_url=direct())
    assert f"team-7.{shop.topic}.out" in admin.list_topics()
    admin.close()


@pytest.mark.parametrize(
    ("parts", "epoch", "message"),
    [
        (
            {"output": ", transaction_timeout: 20s"},
            "{seconds: 15}",
            "out: an epoch may last 15 s, and must end within 10 s, half of transaction_timeout; "
            "set epoch.seconds to less, or transaction_timeout to more",
        ),
        (
            {"input": ", group: g, max_poll_interval: 40s", "output": ", transaction_timeout: 2m"},
            "{seconds: 30}",
            "clicks: an epoch may last 30 s, and must end within 20 s, half of max_poll_interval; "
            "set epoch.seconds to less, or max_poll_interval to more",
        ),
    ],
)
def test_an_epoch_that_may_last_too_long_is_refused_before_anything_is_read(
    shop, parts, epoch, message
):
    path = shop.pipeline(**parts)
    path.write_text(f"{path.read_text()}epoch: {epoch}\n")
    with pytest.raises(ConfigError) as caught:
        penstock.run(path)
    assert message in str(caught.value)


def test_of_two_pipelines_of_one_name_the_second_is_refused_and_the_first_goes_on(shop, tmp_path):
    path = shop.pipeline()
    shop.send(*numbers(0, 10))
    penstock.run(path)
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / path.name
    other.write_text(path.read_text().replace(".out", ".elsewhere"))
    with pytest.raises(ConnectError) as caught:
        penstock.run(other)
    assert str(caught.value) == (
        f"penstock.{shop.topic}.out: holds the checkpoint of a pipeline of this name that writes "
        f"to '{shop.topic}.out'; give this pipeline another name (name: ...), or its output"
    )
    shop.send(*numbers(10, 20))
    assert penstock.run(path).balance.written == 10


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", False),
        (", transactions: false", False),
        (", broker: other", True),
    ],
)
def test_check_says_what_a_death_in_a_group_does(shop, capsys, output, said):
    path = shop.pipeline(input=", group: g", output=output)
    text = path.read_text()
    if said:
        text = text.replace("broker: bus, ", "", 2).replace("stream: ", "broker: bus, stream: ", 1)
        text = text.replace(
            "\ninputs:", f'\n  other: {{use: kafka, bootstrap: "{shop.url},"}}\ninputs:'
        )
    path.write_text(text)
    assert main(["check", str(path)]) == 0
    told = "when a member of the group dies and others go on: no record is lost; those of its last"
    assert (told in capsys.readouterr().out) is said


def test_workers_share_a_topic_and_each_record_is_written_once(shop):
    path = shop.pipeline(input=f", group: g-{shop.topic}")
    shop.send(*numbers(0, 3000))
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "run", path.name, "--workers", "2"],
        cwd=shop.folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shop.received() == sorted(numbers(0, 3000))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"input": ", gruop: g"}, "inputs.clicks.gruop: no such option; did you mean 'group'?"),
        (
            {"input": ", codec: yaml"},
            "inputs.clicks.codec: must be json, text, bytes or \"module:function\", got 'yaml'",
        ),
        ({"output": ", linger: soon"}, "outputs.out.linger: "),
        (
            {"broker": ", security: sasl_ssl"},
            "brokers.bus: security: sasl_ssl needs a username and a password",
        ),
        (
            {"broker": ", prefix: a/b"},
            "brokers.bus.prefix: must be letters, digits, '.', '_' and '-', at most 100, got 'a/b'",
        ),
        ({"broker": ", connect_timeout: 0s"}, "brokers.bus.connect_timeout: must be more than 0"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, parts, message):
    path = Shop(tmp_path, "localhost:1").pipeline(**parts)
    with pytest.raises(ConfigError) as caught:
        load_pipeline(path)
    assert message in str(caught.value)
    assert f"{path.name}:" in str(caught.value)


def test_a_password_is_shown_to_nobody(tmp_path):
    secret = ", security: sasl_plaintext, username: me, password: hunter2"
    pipeline = load_pipeline(Shop(tmp_path, "localhost:1").pipeline(broker=secret))
    broker = pipeline.made["clicks"].broker.component()
    assert broker.password == "hunter2"
    assert "hunter2" not in repr(broker)
