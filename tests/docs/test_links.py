"""Every link to a place in this repository leads there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docpages import blocks
from repository import REPO

PAGES = [
    path
    for pattern in ("*.md", "docs/**/*.md", "packages/*/README.md", "examples/*/README.md")
    for path in sorted(REPO.glob(pattern))
]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(path: Path) -> str:
    """A page without its blocks of code, in which brackets mean something else."""
    text = path.read_text(encoding="utf-8")
    for block in blocks(text):
        text = text.replace(block.text, "")
    return text


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken(path: Path) -> list[str]:
    found = []
    for link in LINK.findall(text_of(path)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(REPO)) for path in PAGES])
def test_no_link_leads_nowhere(path):
    assert broken(path) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title, here\n[a](other.md) [b](#a-title-here) [c](#else) [d](http://x)\n")
    assert broken(page) == ["other.md", "#else"]


def test_every_page_of_the_documentation_can_be_reached():
    reached: set[Path] = set()
    waiting = [REPO / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.findall(text_of(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                waiting.append(target)
            elif target.is_dir():
                waiting += target.glob("*.md")
    assert [path for path in sorted(REPO.glob("docs/**/*.md")) if path not in reached] == []
