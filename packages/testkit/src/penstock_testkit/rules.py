"""Rules and waivers: what a suite holds, and what an author has told it to leave out.

A rule is a test of a suite; its docstring says what must be so. A waiver is a decorator with a
reason, and is listed wherever the suite's outcome is shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

__all__ = ["Rule", "Suite", "not_applicable", "rules_of", "waive"]

WAIVED = "waived: "
NOT_APPLICABLE = "does not apply: "


class Rule:
    """One rule of a suite: the test's name and, as its docstring has it, what must be so."""

    def __init__(self, name: str, text: str, waived: str | None = None) -> None:
        self.name = name
        self.text = text
        self.waived = waived

    @property
    def sentence(self) -> str:
        """The first paragraph on one line, without its full stop."""
        return " ".join(self.text.split("\n\n")[0].split()).rstrip(".")


class Suite:
    """What all suites share. An author inherits from one, names the class `Test…` and gives the
    fixtures that the suite asks for."""

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        for name, value in vars(cls).items():
            if getattr(value, "waived", None) is None:
                continue
            rules = [getattr(base, name) for base in cls.__mro__[1:] if hasattr(base, name)]
            if not rules:
                raise TypeError(f"{cls.__name__}: there is no rule {name!r} to waive")
            value.__doc__ = rules[0].__doc__


def waive(reason: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Leave out a rule, by overriding its test:

    @waive("sorting needs every record before it can give the first")
    def test_memory_does_not_grow_with_the_records(self): ...
    """
    if not reason.strip():
        raise TypeError("a waiver needs a reason")

    def decorate(rule: Callable[..., Any]) -> Callable[..., Any]:
        def waived(self: Suite) -> None:
            _skip(f"{WAIVED}{reason}")

        waived.__name__ = rule.__name__
        waived.waived = reason  # type: ignore[attr-defined]
        return waived

    return decorate


def not_applicable(why: str) -> NoReturn:
    """End a rule that says nothing of this component."""
    _skip(f"{NOT_APPLICABLE}{why}")


def _skip(why: str) -> NoReturn:
    import pytest  # which `penstock list` comes by here without

    pytest.skip(why)


def rules_of(suite: type[Suite]) -> Iterator[Rule]:
    """The rules of a suite, those of its bases first, in the order in which they stand there."""
    found: dict[str, Any] = {}
    for cls in reversed(suite.__mro__):
        found |= {name: value for name, value in vars(cls).items() if name.startswith("test_")}
    for name, value in found.items():
        yield Rule(name, inspect.getdoc(value) or "", getattr(value, "waived", None))
