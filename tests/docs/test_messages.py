"""Every message that users may see has a test, or a page that is run, which makes it appear."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from generated.messages import messages
from repository import PACKAGES, REPO


@pytest.fixture(scope="module")
def tried() -> str:
    """The text of every test and of every page that is run, with strings joined as Python does."""
    patterns = ("packages/*/tests/**/*.py", "tests/**/*.py", "packages/*/README.md", "docs/*/*.md")
    paths = [path for pattern in patterns for path in sorted(REPO.glob(pattern))]
    written = {"messages.md", "test_messages.py"}
    text = "\n".join(path.read_text("utf-8") for path in paths if path.name not in written)
    return re.sub(r'"\s*\n?\s*[rf]*"', "", text).replace("\\", "")


def looked_for(message: str) -> Iterator[str]:
    """Four words in a row of what is fixed in a message; all of a part that has fewer. A part of a
    few letters would be found anywhere."""
    for part in re.split(r"'?\{\w+\}'?|…", message):
        words = part.split(" ")
        found = [" ".join(words[start : start + 4]) for start in range(max(1, len(words) - 3))]
        yield from (one for text in found if len(one := text.strip(" :;,()")) > 5)


@pytest.mark.parametrize("folder", [package.folder for package in PACKAGES])
def test_every_message_appears_somewhere(folder, tried):
    untried = [
        message
        for (message, _), hints in messages(REPO / "packages" / folder).items()
        if len(message.split()) > 2  # shorter ones are worded again by who catches them
        and (parts := [part for text in (message, *hints) for part in looked_for(text)])
        and not any(part in tried for part in parts)
    ]
    assert untried == [], "make each of them appear in a test"


def test_a_message_that_no_test_knows_is_noticed(tried):
    parts = list(looked_for("nothing in the world says {this} to anybody"))
    assert parts == ["nothing in the world", "in the world says", "the world says", "to anybody"]
    assert not any(part in tried for part in parts[:2])
