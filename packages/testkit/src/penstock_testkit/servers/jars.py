"""The jars of servers that run on Java, which Maven fetches once.

They are kept in `~/.cache/penstock-testkit` (`XDG_CACHE_HOME`), so that a second session starts in
seconds. It also runs as a script, without the package around it, to fetch them ahead of time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["KAFKA", "MONGO_JAVA", "Jars", "NoJarsError", "fetch"]


class Jars(NamedTuple):
    """A server in a version, with what Maven calls its jars: group, artifact, version."""

    name: str
    version: str
    needs: tuple[tuple[str, str, str], ...]


def _of(name: str, version: str, group: str, artifact: str, logger: str) -> Jars:
    needs = ((group, artifact, version), ("org.slf4j", "slf4j-simple", logger))
    return Jars(name, version, needs)


KAFKA = _of("kafka", "4.1.1", "org.apache.kafka", "kafka_2.13", "1.7.36")
MONGO_JAVA = _of("mongo-java-server", "1.47.0", "de.bwaldvogel", "mongo-java-server", "2.0.16")

_PROJECT = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>penstock</groupId><artifactId>servers</artifactId><version>0</version>
  <packaging>pom</packaging>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)
_PATIENCE = 540  # for a first download over a slow line


class NoJarsError(Exception):
    """They are not here and cannot be fetched; says why."""


def fetch(jars: Jars) -> Path:
    """The folder with the jars."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "penstock-testkit")
    folder = home / f"{jars.name}-{jars.version}"
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoJarsError("needs Maven; .ci/services installs it on Debian and Ubuntu")
    home.mkdir(parents=True, exist_ok=True)
    # Several sessions may fetch at once: each into a folder of its own, the first one puts it up.
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        _fetch_into(Path(scratch), maven, jars)
        with contextlib.suppress(OSError):  # somebody was faster
            Path(scratch, "jars").rename(folder)
    return folder


def _fetch_into(scratch: Path, maven: str, jars: Jars) -> None:
    project = scratch / "pom.xml"
    needs = "".join(_DEPENDENCY.format(*one) for one in jars.needs)
    project.write_text(_PROJECT.format(needs), encoding="utf-8")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    command = [maven, "-q", "-B", "-f", str(project), *goal, f"-DoutputDirectory={scratch}/jars"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoJarsError(f"Maven had not fetched it after {_PATIENCE} seconds") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-600:]
        raise NoJarsError(f"Maven could not fetch it: {said}")


def main() -> None:
    """Fetch all of them; what cannot be fetched is told at the end."""
    missing = []
    for one in (KAFKA, MONGO_JAVA):
        try:
            sys.stdout.write(f"{fetch(one)}\n")
        except NoJarsError as error:
            missing.append(f"{one.name}: {error}")
    if missing:
        sys.exit("\n".join(missing))


if __name__ == "__main__":
    main()
