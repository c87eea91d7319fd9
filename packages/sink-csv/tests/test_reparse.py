"""A file that is replaced as a whole takes part in a reparse; one that is added to cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import MemoryStore, UsageError
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.testing import ListInput
from penstock_sink_csv import CsvOutput


def reparse(target: Path, *records: dict[str, int], mode: str = "replace") -> None:
    output = CsvOutput(path=target, mode=mode)
    pipeline = pipeline_of([[ListInput(values=list(records)), output]], Plugins(discover=False))
    run = pipeline.start(store=MemoryStore(), reparse=True)
    run.execute()
    assert run.error is None


def test_it_has_what_the_reparse_wrote_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out"
    reparse(target, {"a": 1}, {"a": 2})
    reparse(target, {"a": 3})
    assert "3" in target.read_text()
    assert not {"1", "2"} & set(target.read_text())


@pytest.mark.parametrize(("path", "mode"), [("out", "append"), ("/dev/null", "replace")])
def test_one_that_takes_nothing_back_is_refused(tmp_path: Path, path: str, mode: str) -> None:
    with pytest.raises(UsageError, match="cannot take back what it wrote"):
        reparse(tmp_path / path, {"a": 1}, mode=mode)
    assert not (tmp_path / "out").exists()
