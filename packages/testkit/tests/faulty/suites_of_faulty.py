"""A suite around every faulty component, made here and not written forty times."""

from __future__ import annotations

import itertools
import os
from typing import Any

import faulty_inputs
import faulty_outputs
import faulty_stages
import pytest

from penstock_testkit import InputSuite, OutputSuite, StageSuite


class _Inputs(InputSuite):
    made: type

    @pytest.fixture
    def source(self, tmp_path, monkeypatch):
        monkeypatch.setattr(faulty_inputs, "LIMIT", 1000)
        numbers = itertools.count()

        def source(count: int) -> tuple[Any, list[Any]]:
            path = tmp_path / f"in{next(numbers)}"
            return self.made(path=path), faulty_inputs.make(path, count)

        return source


class _Stages(StageSuite):
    made: type

    @pytest.fixture
    def stage(self, tmp_path):
        if issubclass(self.made, faulty_stages.Good):
            return self.made(folder=tmp_path)
        return self.made()


class _Outputs(OutputSuite):
    made: type

    @pytest.fixture
    def destination(self, tmp_path):
        numbers = itertools.count()

        def destination() -> tuple[Any, Any]:
            path = tmp_path / f"out{next(numbers)}"
            return self.made(path=path), lambda: self.made.there(path)

        return destination


SLOW = {
    "a_killed_run_is_resumed",
    "a_run_that_was_asked_to_stop_is_resumed",
    "it_reads_the_same_in_another_process",
    "it_writes_the_same_in_another_process",
    "memory_does_not_grow_with_the_records",
}
LONG = os.environ.get("PENSTOCK_FAULTS") == "long"


def suite_of(base: type, made: type) -> type:
    """A faulty component is held to the slow rules that its fault is of, the good ones are held to
    all of them. In the long form everything is held to everything."""
    left_out = set() if LONG or not hasattr(made, "breaks") else SLOW
    left_out = left_out - {getattr(made, "breaks", "")} - getattr(made, "also", set())
    rules = {f"test_{name}": None for name in left_out}
    return type(f"Test{base.__name__[1:]}{made.__name__}", (base,), {"made": made, **rules})


for _base, _module in (
    (_Inputs, faulty_inputs),
    (_Stages, faulty_stages),
    (_Outputs, faulty_outputs),
):
    for _made in _module.FAULTY:
        _suite = suite_of(_base, _made)
        vars()[_suite.__name__] = _suite

TestGoodInput = suite_of(_Inputs, faulty_inputs.Good)
TestGoodStage = suite_of(_Stages, faulty_stages.Good)
TestGoodFile = suite_of(_Outputs, faulty_outputs.File)
TestGoodLog = suite_of(_Outputs, faulty_outputs.Log)
TestGoodKeyed = suite_of(_Outputs, faulty_outputs.Keyed)
TestGoodTable = suite_of(_Outputs, faulty_outputs.Table)
