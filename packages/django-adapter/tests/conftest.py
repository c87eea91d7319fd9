"""A project on SQLite and on PostgreSQL. Each test finds the tables empty."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
SETTINGS = {"DJANGO_SETTINGS_MODULE": "newsroom_settings", "NEWSROOM_MORE": tempfile.mkdtemp()}

import django  # noqa: E402

with pytest.MonkeyPatch.context() as patch:  # tests of other packages start processes, too
    for name, value in SETTINGS.items():
        patch.setenv(name, value)
    django.setup()

from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from newsroom_settings import database as settings_of  # noqa: E402


class Place:
    """A database that the project uses from now on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.dialect = url.partition(":")[0]

    def use(self) -> None:
        os.environ["NEWSROOM_DATABASE"] = self.url  # for other processes
        connections["default"].close()
        connections.settings["default"] = connections.configure_settings(
            {"default": settings_of(self.url)}
        )["default"]
        del connections["default"]

    def make(self) -> Place:
        self.use()
        call_command("migrate", verbosity=0, run_syncdb=True)
        return self

    def empty(self) -> None:
        self.use()
        call_command("flush", verbosity=0, interactive=False)
        ContentType.objects.clear_cache()


@pytest.fixture(scope="module", autouse=True)
def _settings_for_processes():
    """Processes that these tests start find the project."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory):
    return Place(f"sqlite:///{tmp_path_factory.mktemp('newsroom') / 'newsroom.db'}").make()


@pytest.fixture(scope="session")
def postgresql(postgresql_server):
    with postgresql_server.database() as url:
        place = Place(url).make()
        yield place
        place.use()
        connections["default"].close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request):
    """Every database, one after the other."""
    found = request.getfixturevalue(request.param)
    found.empty()
    yield found
    connections["default"].close()


@pytest.fixture
def db(sqlite):
    """SQLite alone, where the database makes no difference."""
    sqlite.empty()
    yield sqlite
    connections["default"].close()


@pytest.fixture
def settings():
    """Sets settings for a block."""
    from django.test import override_settings

    return override_settings
