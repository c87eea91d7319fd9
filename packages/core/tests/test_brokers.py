"""What a run and a pipeline file promise to brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from penstock import (
    EPOCH_END,
    Batch,
    Broker,
    ConfigError,
    Duration,
    Input,
    Output,
    Plugins,
    component,
    hookimpl,
    load_pipeline,
    option,
)
from penstock.runs import Run
from penstock.testing import ListInput, ListOutput

EngineRun = Callable[..., Run]


class LosesAPartition(Input):
    """Gives three records, then has to give the partition back, then gives two of another one."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.committed = Event()

    def commit(self, positions: Mapping[str, Any]) -> None:
        self.told.append(dict(positions))
        self.committed.set()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        name = self.context.name
        yield Batch([1, 2, 3], f"{name}/0", resume=3)
        yield EPOCH_END
        assert self.committed.wait(10)
        yield Batch([4, 5], f"{name}/1", resume=2)


def test_an_input_can_have_a_checkpoint_made_before_it_goes_on(start: EngineRun) -> None:
    reads, out = LosesAPartition(), ListOutput()
    report = start(reads, out).execute()

    assert reads.told == [{"loses_a_partition/0": 3}, report.positions]
    assert report.positions == {"loses_a_partition/0": 3, "loses_a_partition/1": 2}
    assert (report.epochs, out.values) == (2, [1, 2, 3, 4, 5])


@component
class Listens(Input):
    """What can be set of a stream that is read."""

    stream: str = option(help="Its name.")
    patience: Duration = option(default=1.0, help="How long to wait.")


class Bus(Broker):
    """A broker of lists."""

    def stream_class(self, role: str) -> type | None:
        return Listens if role == "input" else None

    def input(self, stream: str, **options: Any) -> Input:
        return ListInput(values=[stream, options])

    def output(self, stream: str, **options: Any) -> Output:
        return ListOutput()


component(Bus)


class Hooks:
    @staticmethod
    @hookimpl
    def penstock_brokers() -> Mapping[str, str]:
        return {"bus": f"{__name__}:Bus"}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[Bus.__module__])
    plugins = Plugins(discover=True)
    plugins.register(Hooks(), "bus")

    def make(options: str) -> Any:
        path = tmp_path / "pipeline.yaml"
        path.write_text(
            "brokers: {b: {use: bus}}\n"
            f"inputs: {{i: {{use: stream, broker: b, stream: s{options}}}}}\n"
            "pipes: {main: [i]}\n"
        )
        return load_pipeline(path, plugins)

    return make


def test_options_of_a_stream_are_read_as_all_others_are(load: Any) -> None:
    made = load(", patience: 2m").made["i"].component()
    assert made.values == ["s", {"patience": 120.0}]


def test_an_unknown_option_of_a_stream_is_a_problem_with_its_place(load: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        load(", patence: 2m")
    assert str(caught.value).endswith(
        "pipeline.yaml:2:49: inputs.i.patence: no such option; did you mean 'patience'?"
    )


def test_a_pipeline_has_changed_when_its_broker_has(load: Any) -> None:
    one = load("").config_hash
    other = load("")
    other.made["i"].broker.spec.use = "another"
    assert other.config_hash != one


@component
class Guarded(Broker):
    """A broker with a password."""

    password: str = option(help="The password.", secret=True)


class Tells(Input):
    """Says more than it should."""

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        raise RuntimeError(f"cannot log in with {self.broker.password}")  # type: ignore[attr-defined]


def test_the_secrets_of_a_broker_are_in_no_message_of_its_streams(start: EngineRun) -> None:
    tells = Tells()
    tells.broker = Guarded(password="hunter2")  # type: ignore[attr-defined]
    report = start(tells, ListOutput()).execute()

    assert report.error == "tells: RuntimeError: cannot log in with ***"
