"""Decisions are short, numbered and of one shape; what they decide about names and shapes holds."""

from __future__ import annotations

import re

import pytest
from repository import CORE, REPO

import penstock
from penstock.graph import plan
from penstock.spec import PipeStep

DECISIONS = sorted(REPO.glob("docs/explanation/decisions/*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_short_and_says_why_what_and_what_follows(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 40


def test_decisions_are_numbered_without_gaps():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_no_module_of_the_core_has_the_name_of_something_public():
    """0001: a submodule would hide the name as soon as somebody imports it."""
    modules = {name.split(".")[1] for name in (m.name for m in CORE.modules) if "." in name}
    assert modules & set(penstock.__all__) == set()


def test_an_output_in_mid_pipe_is_a_branch_and_a_shared_stage_a_node_in_each_pipe():
    """0005."""
    roles = {"a": "input", "b": "input", "copy": "output", "tidy": "transformer", "out": "output"}
    pipes = {"one": ["a", "copy", "tidy", "out"], "two": ["b", "tidy", "out"]}
    made = plan({name: [PipeStep(s) for s in steps] for name, steps in pipes.items()}, roles)
    assert sorted(made.edges) == [
        ("a", "copy"),
        ("a", "tidy@one"),
        ("b", "tidy@two"),
        ("tidy@one", "out"),
        ("tidy@two", "out"),
    ]
