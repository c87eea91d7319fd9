"""How records are written as messages, and what takes too long: said without a cluster."""

from __future__ import annotations

from threading import Event

import pytest

from penstock import Batch, ConnectError, RunError, TransientError
from penstock_broker_kafka.clients import bounded
from penstock_broker_kafka.codecs import check_codec, decoder, encoder, function_named
from penstock_broker_kafka.input import KafkaInput


@pytest.mark.parametrize("name", ["json", "text", "bytes", "shop:decode"])
def test_a_codec_is_named_or_is_a_function(name):
    check_codec(name)


def test_a_codec_that_is_neither_is_refused():
    with pytest.raises(
        ValueError, match='must be json, text, bytes or "module:function", got'
    ) as e:
        check_codec("xml")
    assert str(e.value).endswith("got 'xml'")


def test_a_function_is_found_by_its_name():
    assert function_named("json:loads")(b"[1]") == [1]


def test_what_is_no_function_is_refused():
    with pytest.raises(ConnectError, match="json:__name__: is no function; name one as module:"):
        function_named("json:__name__")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"n": NaN}', "NaN is not JSON"),
        (b'{"n": 1, "n": 2}', "the key 'n' occurs twice"),
        (b'"\\ud800"', "the lone surrogate '\\ud800' is no character"),
        (b'"\xff"', "column 2: the byte 0xff is not UTF-8"),
    ],
)
def test_what_is_no_json_is_told_with_what_a_broker_can_do_about_it(text, message):
    """The input of files has options for some of this, and messages that name them."""
    _, errors = decoder("json")([text])
    assert str(errors[0]) == (
        f"{message}; read the topic with codec: bytes, or a function of its own"
    )


def test_so_is_a_number_that_json_does_not_have():
    _, [failure] = encoder("json")(Batch([{"n": float("nan")}]))
    assert str(failure.error) == (
        "field 'n' holds nan, which JSON does not have; make it null, or take it out"
    )


# ---- what takes too long, said without a cluster ------------------------------------------------


def test_an_answer_that_does_not_come_is_not_waited_for():
    free = Event()
    with pytest.raises(TransientError, match=r"^cluster: no answer for 0\.05 s$"):
        bounded(lambda: free.wait(10), 0.05, "cluster")
    free.set()
    assert bounded(lambda: 7, 10, "cluster") == 7


@pytest.fixture
def reading():
    """An input in the middle of an epoch: it has given what is not safe yet."""
    found = KafkaInput.__new__(KafkaInput)
    found.stream = "orders"
    found.max_poll_interval = 0.04
    found._committed = Event()
    found._given, found._safe = {0: {"offset": 2}}, {0: {"offset": 1}}
    return found


def test_a_group_does_not_wait_for_an_epoch_without_end(reading):
    with pytest.raises(RunError) as raised:
        reading._wait()
    assert str(raised.value) == (
        "orders: waited 0.02 s for a checkpoint, and the group waits for it; "
        "use a shorter epoch or a longer max_poll_interval"
    )
    reading._committed.set()
    reading._wait()


def test_partitions_that_are_given_to_others_within_an_epoch_end_it(reading):
    with pytest.raises(TransientError) as raised:
        reading._moved(None)
    assert str(raised.value) == (
        "orders: the group gave partitions to others before the epoch was over"
    )
