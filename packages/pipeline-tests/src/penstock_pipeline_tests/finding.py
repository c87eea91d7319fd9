"""Which files hold tests: `*.test.yaml` and its like, and pipelines with a `tests` section.

Looking costs a glance at the text of each file; nothing is parsed that has no tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from penstock import UsageError

__all__ = ["SUFFIXES", "find", "has_tests", "is_test_file", "tested_by"]

SUFFIXES = (".yaml", ".yml", ".toml", ".json")

_LARGEST = 1024 * 1024  # no pipeline is as large; data may be, and pytest looks at every file
_SKIPPED = ("node_modules", "site-packages", "__pycache__")
_TESTS = re.compile(r"""^(?:tests|"tests"|'tests')\s*[:=.]|^\[\s*tests\b""", re.M)
_PIPES = re.compile(r"""^(?:pipes|"pipes"|'pipes')\s*[:=.]|^\[\s*pipes\b""", re.M)
_JSON = re.compile(r'[{,]\s*"(tests|pipes)"\s*:')


def is_test_file(path: Path) -> bool:
    """Whether a file is named as one that holds tests only."""
    return path.suffix in SUFFIXES and path.stem.endswith(".test")


def has_tests(path: Path) -> bool:
    """Whether a file seems to be a pipeline with tests in it."""
    if path.suffix not in SUFFIXES:
        return False
    try:
        if path.stat().st_size > _LARGEST:
            return False
        content = path.read_bytes()
    except OSError:
        return False  # what cannot be read is no test; a run of the pipeline says what is wrong
    if b"tests" not in content or b"pipes" not in content:
        return False
    text = content.decode("utf-8", "replace")
    if path.suffix == ".json":
        return {"tests", "pipes"} <= set(_JSON.findall(text))
    return bool(_TESTS.search(text) and _PIPES.search(text))


def tested_by(pipeline: Path) -> list[Path]:
    """The files with tests of a pipeline: itself, and those of its name beside it."""
    found = [pipeline] if has_tests(pipeline) else []
    beside = (pipeline.with_name(f"{pipeline.stem}.test{suffix}") for suffix in SUFFIXES)
    return found + [path for path in beside if path.is_file()]


def find(paths: Iterable[Path]) -> list[Path]:
    """Every file with tests among files and in folders; each once, in order."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_within(path)))
        elif path.is_file():
            several = [path] if is_test_file(path) else tested_by(path)
            found.update(dict.fromkeys(several))
        else:
            raise UsageError(
                "no such file or folder", where=str(path), hint="name a pipeline, or a folder"
            )
    return list(found)


def _within(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _SKIPPED:
            continue
        if path.is_dir() and not path.is_symlink():
            if not (path / "pyvenv.cfg").exists():
                yield from _within(path)
        elif path.is_file() and (is_test_file(path) or has_tests(path)):
            yield path
