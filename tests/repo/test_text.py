"""What holds for every file that is kept in the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

LONG_MODULES: dict[str, str] = {
    "packages/input-csv/tests/test_csv_input.py": "one promise after the other of one input",
    "packages/input-json/tests/test_input.py": "one promise after the other of one input",
    "packages/broker-file/tests/test_streams.py": "one promise after the other of one broker",
    "packages/broker-kafka/tests/test_kafka.py": "one promise after the other of one broker",
    "packages/core/tests/test_commit_order.py": "the order of every durable step, one after the other",
    "packages/core/tests/test_store.py": "one promise after the other of a store",
    "packages/files/tests/test_writing.py": "one promise after the other of one class",
    "packages/core/tests/test_runs.py": "one promise after the other of a run, on every engine",
    "packages/core/tests/test_run_protocol.py": "what a run does and in which order, step by step",
}
MOST_LINES = 600

# Written in pieces, or this file would be the first to be found.
FORBIDDEN = {
    "the host of a package registry": r"\b(files\.|test\.)?(pypi|python" + r"hosted)\.org\b",
    "a folder of somebody's machine": r"(?<![\w.])/(" + r"root|Users/\w+|home/\w+|work)/",
    "an unresolved merge": r"^(<{7}|>{7}) ",
    "a note to oneself": r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
}


@pytest.fixture(scope="module")
def files(repo: Path) -> list[Path]:
    """The files under version control, and those that will be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repo,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [repo / name for name in listed.split("\0") if name and (repo / name).is_file()]


def text_of(path: Path) -> str:
    """The text of a file; nothing for one that is not text, as some test data."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", "replace")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(files, repo, what):
    found = [
        f"{path.relative_to(repo)}: {match.group()!r}"
        for path in files
        for match in re.finditer(FORBIDDEN[what], text_of(path), flags=re.MULTILINE)
    ]
    assert found == []


def test_no_module_is_longer_than_a_reader_can_hold(files, repo):
    long = {
        path.relative_to(repo).as_posix(): text_of(path).count("\n")
        for path in files
        if path.suffix == ".py" and text_of(path).count("\n") > MOST_LINES
    }
    assert set(long) - set(LONG_MODULES) == set(), "split it by concept, or say why not"
    assert set(LONG_MODULES) - set(long) == set(), "it is short again: remove the entry"
    assert all(LONG_MODULES.values())


def test_no_large_file_is_kept(files, repo):
    large = [str(p.relative_to(repo)) for p in files if p.stat().st_size > 500_000]
    assert large == []


def test_text_files_have_no_blanks_at_line_ends_and_end_with_one_newline(files, repo):
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".sh"}
    untidy = []
    for path in files:
        text = text_of(path) if path.suffix in kinds else ""
        if text and (text.rstrip() + "\n" != text or re.search(r"[ \t]$", text, re.MULTILINE)):
            untidy.append(str(path.relative_to(repo)))
    assert untidy == []
