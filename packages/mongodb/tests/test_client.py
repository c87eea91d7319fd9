"""URIs are checked without a server, and errors become sentences."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from penstock import ConnectError, RunError, TransientError
from penstock_mongodb.client import broken, connect, explain, has_transactions, may_pass
from penstock_mongodb.uris import check_uri, database_of, names_replica_set, shown


@pytest.mark.parametrize(
    ("uri", "where", "database", "replica_set"),
    [
        ("mongodb://h", "mongodb://h", "", False),
        ("mongodb://u:p%40@h:1,i:2/shop?a=b", "mongodb://h:1,i:2", "shop", False),
        ("mongodb://h/a%20b?replicaSet=rs0", "mongodb://h", "a b", True),
        ("mongodb+srv://u:p@cluster.net", "mongodb://cluster.net", "", True),
    ],
)
def test_a_uri_says_where_and_which(uri, where, database, replica_set):
    check_uri(uri)
    assert (shown(uri), database_of(uri), names_replica_set(uri)) == (where, database, replica_set)


@pytest.mark.parametrize(
    "uri", ["", "localhost", "mongodb://", "mongodb:///d", "mongodb://u:a/b@h"]
)
def test_what_is_no_uri_is_refused_and_not_shown(uri):
    with pytest.raises(ValueError, match="must begin with mongodb:// or mongodb\\+srv://"):
        check_uri(uri)
    assert shown(uri) == "mongodb"
    assert database_of(uri) == ""


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(ConnectError) as caught:
        connect("mongodb://u:secret@127.0.0.1:9/", 0.1)
    assert str(caught.value).startswith("mongodb://127.0.0.1:9: could not be reached: 127.0.0.1:9")
    assert str(caught.value).endswith("is the server there, and its address right?")
    with pytest.raises(ConnectError) as caught:
        connect("mongodb://u:secret@h/?authMechanism=NONE", 0.1)
    assert "mongodb://h: cannot be used: " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_errors_are_told_apart():
    passing = OperationFailure("not primary", 10107, {"errmsg": "not primary"})
    conflict = OperationFailure("x", 1, {"errorLabels": ["TransientTransactionError"]})
    final = OperationFailure("bad", 2, {"errmsg": "bad  value"})
    forbidden = OperationFailure("no", 13)
    assert [may_pass(one) for one in (AutoReconnect("gone"), passing, conflict, final)] == [
        *(True, True, True, False)
    ]
    assert isinstance(broken(passing, "h"), TransientError)
    assert str(broken(final, "h")) == "h: bad value"
    assert isinstance(broken(final, "h"), RunError)
    assert str(broken(forbidden, "h")) == "h: is not allowed: no; see the user and the roles"
    assert explain(AutoReconnect("gone (configured timeouts: x)")) == "gone"


def test_a_greeting_tells_whether_there_are_transactions(mongodb_server, mongodb_standalone):
    for server, expected in ((mongodb_server, True), (mongodb_standalone, False)):
        client, hello = connect(server.url(), 10)
        client.close()
        assert has_transactions(hello) is expected
    router = {"msg": "isdbgrid", "maxWireVersion": 21, "logicalSessionTimeoutMinutes": 30}
    assert has_transactions(router)
    assert not has_transactions({**router, "maxWireVersion": 7})
