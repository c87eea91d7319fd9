"""What the tests of Penstock plugins share: the rules as suites, fakes, and real servers.

    from penstock_testkit import InputSuite

    class TestWeather(InputSuite):
        @pytest.fixture
        def source(self): ...

Everything public is listed in `__all__`; each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fakes import FakeClock, Idle, LinesOutput, ListInput, ListOutput, Raise, lines_of
    from .memory import MemoryBroker
    from .rules import Suite, rules_of, waive
    from .suites.broker import BrokerInputSuite, BrokerOutputSuite, BrokerSuite
    from .suites.command import CommandSuite
    from .suites.dialect import DialectSuite, SyntaxSuite
    from .suites.engine import EngineSuite
    from .suites.input import InputSuite
    from .suites.output import OutputSuite
    from .suites.scheduler import SchedulerSuite
    from .suites.stage import StageSuite
    from .suites.store import StoreSuite

_HOMES = {
    "fakes": (
        "FakeClock",
        "Idle",
        "LinesOutput",
        "ListInput",
        "ListOutput",
        "Raise",
        "lines_of",
    ),
    "memory": ("MemoryBroker",),
    "rules": ("Suite", "rules_of", "waive"),
    "suites.broker": ("BrokerInputSuite", "BrokerOutputSuite", "BrokerSuite"),
    "suites.command": ("CommandSuite",),
    "suites.dialect": ("DialectSuite", "SyntaxSuite"),
    "suites.engine": ("EngineSuite",),
    "suites.input": ("InputSuite",),
    "suites.output": ("OutputSuite",),
    "suites.scheduler": ("SchedulerSuite",),
    "suites.stage": ("StageSuite",),
    "suites.store": ("StoreSuite",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BrokerInputSuite",
    "BrokerOutputSuite",
    "BrokerSuite",
    "CommandSuite",
    "DialectSuite",
    "EngineSuite",
    "FakeClock",
    "Idle",
    "InputSuite",
    "LinesOutput",
    "ListInput",
    "ListOutput",
    "MemoryBroker",
    "OutputSuite",
    "Raise",
    "SchedulerSuite",
    "StageSuite",
    "StoreSuite",
    "Suite",
    "SyntaxSuite",
    "lines_of",
    "rules_of",
    "waive",
]


def __getattr__(name: str) -> Any:
    # Processes that the suites start import this package too, and have no need of pytest.
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
