"""Penstock inside another program: no global state, no logging set up, no signals taken."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock import MemoryStore, PenstockError, RecordError, RunError, Transformer, UsageError
from penstock.testing import ListInput, ListOutput


class Half(Transformer):
    def transform(self, record: int) -> int:
        if record % 2:
            raise RecordError("is odd")
        return record // 2


def test_components_run_as_a_pipe() -> None:
    out = ListOutput()
    report = penstock.run(ListInput(values=[2, 3, 4]), Half(), out)

    assert out.values == [1, 2]
    assert (report.status, report.letters, report.exit_code) == ("letters", 1, 6)


def test_lists_of_components_run_as_pipes() -> None:
    source, one, two = ListInput(values=[1, 2]), ListOutput(), ListOutput()
    penstock.run([source, one], [source, two], engine="threads")

    assert one.values == two.values == [1, 2]


@pytest.mark.parametrize("what", [[], [[]], [()], [[ListOutput()], []]])
def test_nothing_to_run(what: list[Any]) -> None:
    with pytest.raises(UsageError) as raised:
        penstock.run(*what)
    assert str(raised.value) == (
        "penstock.run: nothing to run; give a pipeline file, components, or lists of components"
    )


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ([[{"a": 1}], ListOutput()], "[{'a': 1}]"),
        ([[{"a": 1}], [ListOutput()]], "{'a': 1}"),
        ([ListInput(values=[1]), [ListOutput()]], "[ListOutput()]"),
        ([ListInput(values=[1]), Half], f"{Half!r}"),
        (["a.yaml", "b.yaml"], "'a.yaml'"),
        ([None], "None"),
    ],
)
def test_what_is_no_component(what: list[Any], shown: str) -> None:
    with pytest.raises(UsageError) as raised:
        penstock.run(*what)
    assert str(raised.value) == (
        f"{shown} is not a component; give inputs, inspectors, transformers and outputs"
    )


def test_a_file_runs_and_its_state_stays_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "inputs: {a: {use: 'penstock.testing:ListInput', values: [1, 2]}}\n"
        "outputs: {o: 'penstock.testing:ListOutput'}\npipes: {m: [a, o]}\n"
    )
    report = penstock.run(file)

    assert report.pipeline == "pipeline"
    assert report.balance.written == 2
    assert (tmp_path / ".penstock" / "state.db").is_file()


def test_a_failed_run_raises_with_the_node(tmp_path: Path) -> None:
    with pytest.raises(RunError) as raised:
        penstock.run(ListInput(values=[1]), ListOutput(fail=OSError("full")))

    assert raised.value.node == "list2"
    assert str(raised.value) == "list2 at list:1: OSError: full"


def test_what_is_not_a_component_is_refused() -> None:
    with pytest.raises(PenstockError, match="5 is not a component; give inputs, inspectors"):
        penstock.run(ListInput(values=[1]), 5)  # type: ignore[arg-type]
    with pytest.raises(PenstockError, match="a pipe must begin with an input, 'list' is an output"):
        penstock.run(ListOutput())


def test_a_report_shows_itself() -> None:
    report = penstock.run(ListInput(values=[2, 3]), Half(), ListOutput())

    assert repr(report).startswith("<Report pipeline ")
    assert repr(report).endswith("letters, read 2 = written 1 + filtered 0 + dead 1>")
    html = report._repr_html_()
    assert html.startswith("<table><thead><tr><th>node</th>")
    assert "is odd" in html
    assert "is odd" in report.table()
    assert type(report).from_dict(report.to_dict()) == report


def test_runs_leave_the_program_as_it_was() -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before = (list(logging.root.handlers), logging.root.level, list(sys.path))
    penstock.run(ListInput(values=[1]), ListOutput(), store=MemoryStore())

    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert before == (list(logging.root.handlers), logging.root.level, list(sys.path))


def test_two_runs_share_nothing() -> None:
    one = penstock.run(ListInput(values=[3]), Half(), ListOutput())
    two = penstock.run(ListInput(values=[2]), Half(), ListOutput())

    assert (one.letters, two.letters) == (1, 0)
    assert one.run_id != two.run_id


def test_importing_is_cheap_and_silent() -> None:
    code = "import sys, penstock; print(sorted(m for m in sys.modules if 'penstock' in m)); print('pluggy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout == "['penstock']\nFalse\n"


def test_public_names_all_resolve_and_no_module_hides_one() -> None:
    folder = Path(penstock.__file__).parent
    modules = {path.stem for path in folder.iterdir()}

    assert modules.isdisjoint(penstock.__all__)
    for name in penstock.__all__:
        assert getattr(penstock, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = penstock.nothing
