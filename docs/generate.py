"""Writes the parts of the documentation that follow from the code.

    python docs/generate.py            write them
    python docs/generate.py --check    say which pages are out of date, and end with 1 if any is

A part stands between `<!-- generated: name -->` and `<!-- end -->`; what is around it is written by
hand. Some files follow from the code as a whole. What writes parts and files is in `generated/`.
Every package of the repository must be installed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from generated import FILES, PARTS
from generated.packages import missing

REPO = Path(__file__).resolve().parents[1]
PAGES = [
    REPO / "README.md",
    *sorted(REPO.glob("docs/**/*.md")),
    *sorted(REPO.glob("packages/*/README.md")),
]

PART = re.compile(
    r"(?<=<!-- generated: )(?P<name>[a-z ]+) -->\n(?P<text>.*?)(?=<!-- end -->)", re.S
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what follows from the code into the docs.")
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    check = parser.parse_args().check
    if absent := missing():
        raise SystemExit(
            f"docs/generate.py: {', '.join(absent)}: not installed, and the pages are written from "
            f"what is; pip install --editable {' --editable '.join(absent.values())}"
        )
    old = {path: text for path, text in current() if not path.exists() or text_of(path) != text}
    for path, text in old.items():
        print(f"{path.relative_to(REPO)}: {'is out of date' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and old else 0


def current() -> Iterator[tuple[Path, str]]:
    """Every page and file as the code says it should be."""
    for path in PAGES:
        yield path, renewed(text_of(path))
    for path, write in FILES.items():
        yield path, write()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def renewed(page: str) -> str:
    """The page with every generated part as the code says it should be."""

    def part(found: re.Match[str]) -> str:
        if found["name"] not in PARTS:
            raise SystemExit(f"there is no part {found['name']!r}; there are {', '.join(PARTS)}")
        text = "\n".join(PARTS[found["name"]]()).strip()
        return f"{found['name']} -->\n\n{text}\n\n"

    return PART.sub(part, page)


if __name__ == "__main__":
    sys.exit(main())
