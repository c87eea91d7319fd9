"""A URL is checked before anything connects, and never shows its password."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import component, option
from penstock.options import read_options
from penstock_sql.urls import (
    Url,
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


# ---- relative paths -----------------------------------------------------------------------------


@component
class Component:
    url: Url = option(help="Database.", secret=True, check=check_url)


@pytest.mark.parametrize(
    ("url", "placed"),
    [
        ("sqlite:///shop.db", "sqlite:////shop/pipelines/shop.db"),
        ("sqlite:///../data/shop.db", "sqlite:////shop/pipelines/../data/shop.db"),
        (
            "sqlite+pysqlite:///a b%.db?timeout=3",
            "sqlite+pysqlite:////shop/pipelines/a b%.db?timeout=3",
        ),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("mariadb://user:word@host/db?x=1", "mariadb://user:word@host/db?x=1"),
    ],
)
def test_a_relative_path_begins_at_the_pipeline_file(url, placed):
    values, problems = read_options(Component, {"url": url}, Path("/shop/pipelines"))
    assert (values, problems) == ({"url": placed}, [])
    assert read_options(Component, {"url": placed}, Path("/another")) == (values, [])


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    values, _ = read_options(Component, {"url": "sqlite:///~/shop.db"}, Path("/shop"))
    assert values["url"] == f"sqlite:///{tmp_path}/shop.db"


def test_a_component_made_in_python_keeps_its_path():
    assert Component(url="sqlite:///shop.db").url == "sqlite:///shop.db"


@pytest.mark.parametrize(
    ("url", "base", "message"),
    [
        ("shop.db", "/shop", "must begin with sqlite://"),
        ("sqlite:///", "/shop", "must name a file, as in 'sqlite:///shop.db'"),
        ("sqlite:///shop.db", "/a?b", "must not begin at folder '/a?b': a URL cannot hold its '?'"),
    ],
)
def test_a_url_that_cannot_be_placed(url, base, message):
    _, [problem] = read_options(Component, {"url": url}, Path(base))
    assert str(problem).startswith(f"url: {message}")
