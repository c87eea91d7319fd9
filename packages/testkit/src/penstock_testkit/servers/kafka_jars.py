"""The jars of Apache Kafka, which Maven fetches once.

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

__all__ = ["VERSION", "NoJarsError", "fetch"]

VERSION = "4.1.1"
_NEEDS = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))
_PROJECT = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>penstock</groupId><artifactId>kafka</artifactId><version>0</version>
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


def fetch() -> Path:
    """The folder with the jars."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "penstock-testkit")
    folder = home / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoJarsError("needs Maven; .ci/services installs it on Debian and Ubuntu")
    home.mkdir(parents=True, exist_ok=True)
    # Several sessions may fetch at once: each into a folder of its own, the first one puts it up.
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        _fetch_into(Path(scratch), maven)
        with contextlib.suppress(OSError):  # somebody was faster
            Path(scratch, "jars").rename(folder)
    return folder


def _fetch_into(scratch: Path, maven: str) -> None:
    project = scratch / "pom.xml"
    needs = "".join(_DEPENDENCY.format(*one) for one in _NEEDS)
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


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{fetch()}\n")
    except NoJarsError as error:
        sys.exit(f"Kafka: {error}")
