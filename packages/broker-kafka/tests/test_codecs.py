"""How records are written as messages, said before anything is connected."""

from __future__ import annotations

import pytest

from penstock import ConnectError
from penstock_broker_kafka.codecs import check_codec, function_named


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
