"""`penstock graph`: the same pipeline as a tree, as Mermaid and as JSON."""

from __future__ import annotations

import re

import pytest

PIPELINE = """
inputs:
  first: {use: "functions:count", key: n, description: the first ones}
  second: {use: "functions:count"}
  third: {use: "functions:count"}
inspectors:
  allowed: {use: "functions:not_three", on_error: skip, retry: 2}
transformers:
  doubled: {use: "functions:double"}
  kept: {use: "functions:even"}
outputs:
  all: {use: print, optional: true}
  some: {use: print}
pipes:
  main: [first, second, {mix: third}, allowed, doubled, all]
  side: [allowed, kept, some]
  again: [kept, all]
"""


@pytest.fixture
def pipeline(functions):
    functions.write("a.yaml", PIPELINE)
    return functions


def test_a_tree_shows_roles_settings_order_and_copies(cli, pipeline):
    assert cli("graph", "a.yaml").out.splitlines() == [
        "first: input functions:count (in turn with third; key: n)  the first ones",
        "└─ allowed: inspector functions:not_three (on_error: skip; retry: 2)",
        "   ├─ doubled: transformer functions:double (gets copies)",
        "   │  └─ all: output print (optional)",
        "   └─ kept: transformer functions:even",
        "      ├─ some: output print",
        "      └─ all (drawn above)",
        "second: input functions:count (after first)",
        "└─ allowed (drawn above)",
        "third: input functions:count (in turn with first)",
        "└─ allowed (drawn above)",
    ]
    assert cli("graph", "a.yaml", "--tree").out == cli("graph", "a.yaml").out


def test_mermaid(cli, pipeline):
    lines = cli("graph", "a.yaml", "--mermaid").out.splitlines()
    assert lines[0] == "flowchart LR"
    assert '    n1(["first<br/>functions:count<br/>key: n"]):::input' in lines
    names = dict(re.findall(r'(n\d+)\W+"([^<"]+)<br/>', "\n".join(lines)))
    edges = [line.split() for line in lines if "--> " in line or "-->|" in line]
    assert {(names[left], names[right]) for left, *_, right in edges} == {
        ("first", "allowed"),
        ("second", "allowed"),
        ("third", "allowed"),
        ("allowed", "doubled"),
        ("allowed", "kept"),
        ("doubled", "all"),
        ("kept", "all"),
        ("kept", "some"),
    }
    assert any("-->|copies|" in line for line in lines)
    assert any("-. then .->" in line for line in lines)


def test_mermaid_survives_any_name(cli, functions):
    functions.write(
        "a.yaml",
        """
        inputs: {'a"b<c>#1': {use: "functions:count"}}
        pipes: {main: ['a"b<c>#1']}
        """,
    )
    out = cli("graph", "a.yaml", "--mermaid").out
    assert '(["a#quot;b#lt;c#gt;#35;1<br/>functions:count"])' in out


def test_json(cli, pipeline):
    found = cli("graph", "a.yaml", "--json").json
    nodes = {node["name"]: node for node in found["nodes"]}
    assert found["engine"] == "inline"
    assert nodes["second"]["after"] == ["first"]
    assert nodes["third"]["in_turn_with"] == ["first"]
    assert nodes["allowed"]["on_error"] == "skip"
    assert {"from": "allowed", "to": "doubled", "copies": True} in found["edges"]


def test_only_one_way_at_a_time(cli, pipeline):
    assert cli("graph", "a.yaml", "--tree", "--mermaid").code == 2


def test_a_pipeline_that_cannot_be_built_is_not_drawn(cli, folder):
    folder.write("a.yaml", "inputs: {a: {use: nowhere}}\npipes: {p: [a]}\n")
    done = cli("graph", "a.yaml", "--no-plugins")
    assert done.code == 4
    assert done.out == ""
