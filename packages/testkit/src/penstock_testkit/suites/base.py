"""What the suites of components share: other processes to run them in, and two rules for all."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock import ConfigError

from ..canary import leaks, with_canary
from ..child import Job
from ..driving import fresh
from ..lives import Lives
from ..rules import Suite, not_applicable

__all__ = ["ComponentSuite", "Process", "shown"]

Process = Callable[..., Lives]
"""`process(job, name)`: processes that do a job in a folder of that name."""


class ComponentSuite(Suite):
    """What holds for whatever takes part in a pipeline."""

    @pytest.fixture
    def process(self, tmp_path: Path) -> Process:
        """Other processes, in a folder of their own."""

        def process(job: Job, name: str = "process") -> Lives:
            return Lives(tmp_path / name, job)

        return process

    @pytest.fixture
    def any_component(self) -> Any:
        """The component; each suite has its own name for it."""
        raise NotImplementedError

    def in_a_pipe(self, component: Any) -> Sequence[Any]:
        """A pipe in which it stands."""
        raise NotImplementedError

    def test_constructors_only_keep_options(
        self, any_component: Any, record_property: Callable[[str, object], None]
    ) -> None:
        """A component that nobody has opened is its options: it can be printed, copied and pickled,
        its copies are equal to it, and it can be closed.

        Connections, files and threads begin in `open`.
        """
        cls = type(any_component)
        record_property("component", f"{cls.__module__}:{cls.__qualname__}")
        promises = [getattr(any_component, name, "") for name in ("capability", "delivery")]
        record_property("promises", "".join(filter(None, promises)))
        again = pickle.loads(pickle.dumps(any_component))  # noqa: S301 - our own
        assert type(again) is type(any_component)
        if dataclasses.is_dataclass(any_component):
            assert repr(again) == repr(any_component), "pickled, it has other options"
            assert again == any_component, "pickled, it is no longer equal"
        again.close()  # as `open` may have failed
        fresh(any_component).close()

    def test_secrets_are_shown_nowhere(self, any_component: Any) -> None:
        """The value of a secret option is in no repr, message, log, dead letter or report.

        A password in a URL is a secret whatever its option says.
        """
        try:
            made = with_canary(any_component)
        except (ConfigError, ValueError) as error:
            not_applicable(f"its secret must have a certain form: {error}")
        if made is None:
            not_applicable("it has no secret option")
        found = next(leaks(made, lambda: self.in_a_pipe(made)), None)
        assert found is None, f"the secret is in {found}"


def shown(records: Sequence[Any]) -> str:
    """Some of many records, for a message."""
    few = ", ".join(repr(record) for record in records[:4])
    return f"{few}, … ({len(records)} in all)" if len(records) > 4 else few or "none"
