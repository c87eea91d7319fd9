"""From pipes to nodes and edges."""

from __future__ import annotations

import pytest

from penstock import ConfigError, Inspector, Output, RecordInput, Stage
from penstock.graph import Graph, Node, plan
from penstock.spec import PipeStep

ROLES = {
    "a": "input",
    "b": "input",
    "c": "input",
    "t": "transformer",
    "u": "transformer",
    "i": "inspector",
    "o": "output",
    "p": "output",
}


def planned(**pipes: str) -> tuple[set[str], set[str], dict[str, set[str]]]:
    """Pipes as "a t +b o" (+ mixes an input in); nodes and edges as words."""
    steps = {
        pipe: [PipeStep(name.lstrip("+"), name.startswith("+")) for name in text.split()]
        for pipe, text in pipes.items()
    }
    made = plan(steps, ROLES)
    return set(made.instances), {"".join(edge) for edge in made.edges}, made.after


def test_a_pipe_is_a_chain() -> None:
    assert planned(main="a i t o") == (set("aito"), {"ai", "it", "to"}, {})


def test_an_output_in_mid_pipe_is_a_branch_beside_it() -> None:
    assert planned(main="a o t p") == (set("aotp"), {"ao", "at", "tp"}, {})


def test_an_input_in_mid_pipe_is_read_after_those_before_it() -> None:
    assert planned(main="a t b o") == (set("atbo"), {"at", "to", "bo"}, {"b": {"a"}})
    assert planned(main="a b c o")[2] == {"b": {"a"}, "c": {"a", "b"}}


def test_an_input_may_be_mixed_in() -> None:
    assert planned(main="a +b o") == (set("abo"), {"ao", "bo"}, {})


def test_a_pipe_that_begins_at_a_component_of_another_is_a_branch() -> None:
    assert planned(main="a t o", side="t p") == (set("atop"), {"at", "to", "tp"}, {})


def test_pipes_that_end_in_one_component_merge() -> None:
    assert planned(one="a o", two="b o") == (set("abo"), {"ao", "bo"}, {})
    assert planned(one="a t o", two="b t")[1] == {"at", "to", "bt"}


def test_a_stage_in_the_middle_of_two_pipes_is_a_node_in_each() -> None:
    nodes, edges, _ = planned(one="a t o", two="b t p")

    assert nodes == {"a", "b", "t@one", "t@two", "o", "p"}
    assert edges == {"at@one", "t@oneo", "bt@two", "t@twop"}


def test_a_branch_from_such_a_stage_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="cannot begin or end at 't', which stands in pipes one and two"
    ):
        planned(one="a t o", two="b t p", three="t u")


@pytest.mark.parametrize("pipes", [{"one": "a t t o"}, {"one": "a t u o", "two": "u t"}])
def test_a_circle_is_named(pipes: dict[str, str]) -> None:
    with pytest.raises(
        ConfigError, match=r"records would go round in a circle: (t -> t|t -> u -> t|u -> t -> u)"
    ):
        planned(**pipes)


class Looks(Inspector):
    pass


class Changes(Stage):
    pass


def graph(*edges: str) -> Graph:
    kinds = {"a": RecordInput, "t": Changes, "u": Changes, "i": Looks, "o": Output, "p": Output}
    names = dict.fromkeys("".join(edges))
    nodes = [Node(n, ROLES[n], kinds[n]()) for n in names]
    return Graph(nodes, [(edge[0], edge[1]) for edge in edges])


def test_nodes_stand_after_all_that_feed_them() -> None:
    order = list(graph("to", "at", "ui", "io", "tu").nodes)

    assert order == ["a", "t", "u", "i", "o"]


@pytest.mark.parametrize(
    ("edges", "copied"),
    [
        (("ao",), set()),
        (("at", "to"), set()),
        (("ao", "ap"), set()),
        (("at", "to", "ap"), {"at"}),
        (("at", "to", "au", "up"), {"at"}),
        (("ai", "io", "at", "tp"), {"at"}),
        (("ai", "it", "to", "ap"), {"ai"}),
    ],
)
def test_only_branches_that_may_change_records_get_copies(
    edges: tuple[str, ...], copied: set[str]
) -> None:
    assert {"".join(edge) for edge in graph(*edges).copied_edges()} == copied
