"""`examples/django-news` gives the same rows on SQLite and on PostgreSQL with workers of Celery."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPO

from penstock_testkit.servers import PostgreSQL, RabbitMQ, require

EXAMPLE = REPO / "examples" / "django-news"


@pytest.fixture
def copy(tmp_path):
    left_behind = shutil.ignore_patterns("__pycache__", "*.db", ".penstock")
    return shutil.copytree(EXAMPLE, tmp_path / "django-news", ignore=left_behind)


def make(folder: Path, *targets: str) -> str:
    """What `make` says, as somebody calls it who has set nothing."""
    set_here = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "BROKER_URL", "MAKEFLAGS")
    done = subprocess.run(
        ["make", "--silent", *targets, f"PYTHON={sys.executable}"],
        cwd=folder,
        env={name: text for name, text in os.environ.items() if name not in set_here},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_it_fails_on_some_is_fixed_and_is_done_again(copy):
    before, _, after = make(copy).partition("the code is fixed, and the line is mended:\n")
    assert before.count("open: ") == 2
    assert before.count("set aside: 1 × feed") == 1
    assert "2026-11-20 Snow in Oslo [Snow, Oslo]" in after
    assert "2026-11-20 Trains wait at Lyon [Trains, Lyon]" in after
    assert "open: " not in after


@pytest.mark.timeout(400)
def test_the_same_rows_are_there_with_servers(copy):
    for server in (PostgreSQL, RabbitMQ):
        if server.program() is None:
            require(server.title, "is not installed; .ci/services installs it")
    said = make(copy, "servers")
    assert said.splitlines()[-1] == "the same rows in both: 5 news, 9 tags"


def test_other_rows_would_be_noticed(monkeypatch):
    spec = importlib.util.spec_from_file_location("show_django_news", EXAMPLE / "show.py")
    show = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(show)
    made = iter([[["2026-11-19", "Ferry", []]], []])
    monkeypatch.setattr(show, "whole", lambda title, **settings: next(made))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1/none")
    monkeypatch.setenv("BROKER_URL", "amqp://127.0.0.1//")
    with pytest.raises(SystemExit, match="the rows differ"):
        show.compare()
