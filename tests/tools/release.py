"""Makes a release of one package: version, changelog, archives, commit and tag.

    python tests/tools/release.py input-csv minor

Everything is checked before anything is written, and put back when a later check fails. Nothing is
pushed or uploaded: that is for a person to do, who has looked at it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from email import message_from_string
from pathlib import Path

PARTS = ("major", "minor", "patch")


class Refused(Exception):
    """The release cannot be made; the text says why and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make a release of one package.")
    parser.add_argument("package", help="its folder in packages/")
    parser.add_argument("part", help="major, minor or patch, or the whole version, as 0.1.0")
    parser.add_argument("--dist", default="dist", help="folder for the archives (default: dist)")
    parser.add_argument("--date", default=dt.date.today().isoformat(), help="(default: today)")
    options = parser.parse_args(argv)
    release = Release(Path.cwd(), options.package, options.date)
    try:
        release.make(options.part, Path(options.dist))
    except Refused as error:
        print(f"{options.package}: {error}", file=sys.stderr)
        return 1
    print(f"{release.tag}: committed and tagged; look at it, then push the commit and the tag")
    return 0


class Release:
    """The release of one package in a repository."""

    def __init__(self, repo: Path, folder: str, date: str) -> None:
        self.repo = repo
        self.folder = folder
        self.date = date
        self.path = repo / "packages" / folder
        self.distribution = "penstock" if folder == "core" else f"penstock-{folder}"
        self.version = ""

    @property
    def tag(self) -> str:
        return f"{self.distribution}-v{self.version}"

    def make(self, part: str, dist: Path) -> None:
        self.must_be_ready()
        self.version = self.next_version(part)
        if self.git("tag", "--list", self.tag):
            raise Refused(f"there is a tag {self.tag} already; choose a later version")
        changed = [*self.bumped(), self.dated()]
        try:
            for path, text in changed:
                path.write_text(text, encoding="utf-8")
            self.test()
            with tempfile.TemporaryDirectory() as scratch:
                archives = self.build(Path(scratch, "one"))
                for problem in problems(self, *archives):
                    raise Refused(problem)
                again = self.build(Path(scratch, "two"))
                for one, two in zip(archives, again, strict=True):
                    if one.read_bytes() != two.read_bytes():
                        raise Refused(f"{one.name} is not the same when it is built again")
                dist.mkdir(parents=True, exist_ok=True)
                for archive in archives:
                    (dist / archive.name).write_bytes(archive.read_bytes())
        except BaseException:
            self.git("checkout", "--", *[str(path) for path, _ in changed])
            raise
        self.git("add", "--", *[str(path) for path, _ in changed])
        self.git("commit", "--quiet", "--message", f"{self.folder}: release {self.version}")
        self.git("tag", "--annotate", "--message", f"{self.distribution} {self.version}", self.tag)

    def must_be_ready(self) -> None:
        if not (self.path / "pyproject.toml").is_file():
            here = sorted(path.parent.name for path in self.repo.glob("packages/*/pyproject.toml"))
            raise Refused(f"there is no such package; there are {', '.join(here)}")
        if changed := self.git("status", "--porcelain"):
            first = changed.splitlines()[0][3:]
            raise Refused(f"{first!r} is not committed; commit or put away what has changed")
        if not re.search(r"^- ", self.unreleased(), re.MULTILINE):
            raise Refused("nothing stands under Unreleased in its CHANGELOG.md; say what changed")

    def unreleased(self) -> str:
        """What the changelog says about the next version."""
        found = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", self.changelog(), re.M | re.S)
        if found is None:
            raise Refused("its CHANGELOG.md has no section '## [Unreleased]'; write one")
        return found[1]

    def changelog(self) -> str:
        return (self.path / "CHANGELOG.md").read_text("utf-8")

    def next_version(self, part: str) -> str:
        if re.fullmatch(r"\d+\.\d+\.\d+", part):
            return part
        if part not in PARTS:
            raise Refused(f"{part!r} is neither major, minor, patch nor a version as 1.2.3")
        numbers = [int(number) for number in self.current().split(".")]
        place = PARTS.index(part)
        kept = [*numbers[:place], numbers[place] + 1, 0, 0]
        return ".".join(map(str, kept[:3]))

    def current(self) -> str:
        text = (self.path / "pyproject.toml").read_text("utf-8")
        found = re.search(r'^version = "(\d+\.\d+\.\d+)"$', text, re.MULTILINE)
        if found is None:
            raise Refused("its pyproject.toml has no version of three numbers; write one")
        return found[1]

    def bumped(self) -> Iterator[tuple[Path, str]]:
        """The files that hold the version, with the next one."""
        project = self.path / "pyproject.toml"
        yield project, self.replaced(project, r'^version = ".*"$', f'version = "{self.version}"')
        for module in sorted(self.path.glob("src/*/__init__.py")):
            if "__version__ = " in module.read_text("utf-8"):
                line = f'__version__ = "{self.version}"'
                yield module, self.replaced(module, r'^__version__ = ".*"$', line)

    def replaced(self, path: Path, pattern: str, line: str) -> str:
        return re.sub(pattern, line, path.read_text("utf-8"), count=1, flags=re.MULTILINE)

    def dated(self) -> tuple[Path, str]:
        heading = f"## [Unreleased]\n\n## [{self.version}] - {self.date}\n"
        return self.path / "CHANGELOG.md", self.changelog().replace("## [Unreleased]\n", heading, 1)

    def test(self) -> None:
        command = [sys.executable, "-m", "pytest", "-q", str(self.path)]
        done = subprocess.run(command, cwd=self.repo, check=False)
        if done.returncode:
            raise Refused("its tests fail; mend them first")

    def build(self, folder: Path) -> list[Path]:
        """The source archive, and the wheel made from it. All times in them are the release's date,
        so that anybody can make the same bytes from the tag."""
        day = dt.datetime.fromisoformat(self.date).replace(tzinfo=dt.timezone.utc)
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(int(day.timestamp()))}
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
        done = subprocess.run(
            [*command, str(self.path)], env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Refused(f"cannot be built: {done.stdout[-500:]}{done.stderr[-500:]}")
        return sorted(folder.iterdir())

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.repo, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Refused(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip("\n")


def problems(release: Release, sdist: Path, wheel: Path) -> Iterator[str]:
    """What an index or a user would find wrong with the archives."""
    if sdist.suffix == ".whl":
        sdist, wheel = wheel, sdist
    with tarfile.open(sdist) as archive:
        sources = [name.partition("/")[2] for name in archive.getnames()]
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "PKG-INFO"):
        if name not in sources:
            yield f"its source archive lacks {name}"
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        [path] = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = packed.read(path).decode("utf-8")
    if not any(name.endswith("/py.typed") for name in names):
        yield "its wheel has no py.typed; put it beside __init__.py"
    about = message_from_string(text)
    expected = {
        "Name": release.distribution,
        "Version": release.version,
        "License-Expression": "Apache-2.0",
        "Requires-Python": ">=3.10",
        "Description-Content-Type": "text/markdown",
    }
    for field, value in expected.items():
        if about[field] != value:
            yield f"its metadata says {field}: {about[field]}, not {value}"
    if not about["Summary"] or len(about["Summary"]) > 512:
        yield "its description must be one line of at most 512 characters"
    yield from wrong_readme(str(about.get_payload()))


def wrong_readme(text: str) -> Iterator[str]:
    """What would not be shown, or lead nowhere, on the page of an index."""
    if len(text.strip().splitlines()) < 3:
        yield "its README.md says nothing; an index shows it as the package's page"
    if text.count("```") % 2:
        yield "its README.md has a fenced block that does not end"
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"https?://|#|mailto:", target):
            yield f"its README.md links to {target!r}, which leads nowhere on the page of an index"


if __name__ == "__main__":
    sys.exit(main())
