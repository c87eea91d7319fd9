"""A URL is checked before anything connects, and never shows its password."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_sql.urls import (
    check_url,
    dialect_of,
    shown,
    sqlite_file,
    with_driver,
)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///shop.db",
        "sqlite:////var/shop.db",
        "postgresql://shop:secret@localhost:5432/shop",
        "postgres://localhost/shop",
        "postgresql+psycopg2://localhost/shop",
        "mariadb://root@127.0.0.1/shop",
        "mysql://root@127.0.0.1/shop",
    ],
)
def test_a_url_of_a_system_we_know_is_taken(url):
    check_url(url)


@pytest.mark.parametrize("url", ["shop.db", "oracle://x/y", "http://localhost", ""])
def test_every_other_url_is_refused(url):
    with pytest.raises(ValueError, match=r"must begin with sqlite://, postgresql://, mariadb://"):
        check_url(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_a_database_in_memory_would_be_gone_with_the_run(url):
    with pytest.raises(ValueError, match=r"must name a file, as in 'sqlite:///shop.db'"):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://shop:secret@host/db", "postgresql://shop:***@host/db"),
        ("postgresql://host/db?user=a&password=secret", "postgresql://host/db?user=a&password=***"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
    ],
)
def test_a_password_is_never_shown(url, text):
    assert shown(url) == text


def test_a_driver_is_named_where_none_is():
    assert with_driver("postgres://host/db") == "postgresql+psycopg://host/db"
    assert with_driver("postgresql+psycopg2://host/db") == "postgresql+psycopg2://host/db"
    assert dialect_of("postgresql+psycopg2://host/db") == "postgresql"
    assert dialect_of("sqlite:///a.db") == "sqlite"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///shop.db", Path("shop.db")),
        ("sqlite:////var/shop.db?timeout=3", Path("/var/shop.db")),
        ("postgresql://host/db", None),
    ],
)
def test_the_file_of_a_database(url, file):
    assert sqlite_file(url) == file
