"""One test, every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.runs import Run

EngineRun = Callable[..., Run]


@pytest.fixture(params=["inline", "threads"])
def start(request: pytest.FixtureRequest) -> EngineRun:
    """`start(a, b, c)` or `start([a, b], [a, c])`: a run of these components, on each engine."""

    def make(*what: Any, **options: Any) -> Run:
        pipes = what if isinstance(what[0], list) else [list(what)]
        pipeline = pipeline_of(
            pipes, options.pop("plugins", None) or Plugins(discover=False), engine=request.param
        )
        for name, settings in options.pop("settings", {}).items():
            for key, value in settings.items():
                setattr(pipeline.spec.components[name].settings, key, value)
        pipeline.spec.epoch = options.pop("epoch", {})
        return pipeline.start(**options)

    return make
