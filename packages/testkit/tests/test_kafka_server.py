"""A Kafka of a test's own, and what happens where there can be none."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import yaml

from penstock_testkit.servers import Kafka, jars


def test_it_answers_and_can_be_stopped_and_started_again(kafka_server):
    kafka_server.own()
    assert re.fullmatch(r"127\.0\.0\.1:\d+", kafka_server.url())
    assert kafka_server.is_ready()
    kafka_server.stop()
    assert not kafka_server.is_ready()
    kafka_server.start()
    assert kafka_server.is_ready()


def test_one_that_is_there_is_used_and_left_alone(monkeypatch):
    monkeypatch.setenv("PENSTOCK_TEST_KAFKA", "there:9092")
    server = Kafka()
    for step in (server.make, server.start, server.stop, server.remove):
        step()
    assert server.url() == "there:9092"
    with pytest.raises(pytest.skip.Exception, match="needs a Kafka that it may stop"):
        server.own()


def maven(folder: Path, does: str) -> None:
    program = folder / "mvn"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a cache, and with what is put into a folder for programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{programs}:/bin:/usr/bin")
    return programs


FETCHES = 'for one; do case "$one" in -DoutputDirectory=*) mkdir -p "${one#*=}";; esac; done'


def test_jars_are_fetched_once(machine):
    maven(machine, f"{FETCHES}; echo x >> {machine}/times")
    assert jars.fetch(jars.KAFKA) == jars.fetch(jars.KAFKA)
    assert (machine / "times").read_text() == "x\n"
    assert jars.fetch(jars.KAFKA).name == f"kafka-{jars.KAFKA.version}"


def test_a_machine_without_maven_is_told(machine, monkeypatch):
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(jars.NoJarsError, match=r"needs Maven; \.ci/services installs it"):
        jars.fetch(jars.KAFKA)


def test_a_maven_that_fails_is_quoted(machine):
    maven(machine, "echo no way out; exit 1")
    with pytest.raises(jars.NoJarsError, match="Maven could not fetch it: no way out"):
        jars.fetch(jars.KAFKA)


def test_a_maven_that_does_not_end_is_given_up(machine, monkeypatch):
    monkeypatch.setattr(jars, "_PATIENCE", 0.1)
    maven(machine, "exec sleep 30")
    with pytest.raises(jars.NoJarsError, match=r"had not fetched it after 0\.1 seconds"):
        jars.fetch(jars.KAFKA)


def test_a_kafka_without_jars_is_skipped_or_required(machine, monkeypatch):
    monkeypatch.delenv("PENSTOCK_TEST_KAFKA", raising=False)
    maven(machine, "exit 1")
    for variable, outcome in (("0", pytest.skip.Exception), ("1", pytest.fail.Exception)):
        monkeypatch.setenv("REQUIRE_SERVICES", variable)
        server = Kafka()
        with pytest.raises(outcome, match="Maven could not fetch it"):
            server.make()
        server.remove()


def test_those_who_have_docker_get_the_same_version():
    compose = Path(__file__).parents[3] / "tests" / "compose.yaml"
    services = yaml.safe_load(compose.read_text())["services"]
    images = {name: one["image"] for name, one in services.items()}
    assert images == {"kafka": f"apache/kafka:{jars.KAFKA.version}", "mongodb": "mongo:8"}
    assert all(one["ports"][0].startswith("127.0.0.1:") for one in services.values())
    assert all(set(one["healthcheck"]) >= {"test", "retries"} for one in services.values())
