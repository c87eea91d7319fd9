"""Rules for single values, and conditions for whole records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock import Context, RecordError, component, option

from .judging import Action, RecordJudge, no_fields, record_action
from .rules import Rule, Test, tests_of

__all__ = ["Check", "Condition"]


def _is_expression(text: str) -> None:
    from penstock_expressions import compile_expression

    try:
        compile_expression(text)
    except ValueError as error:
        what = str(error).removeprefix("expression: ")
        raise ValueError(f"{what}, got {text!r}") from error


def _are_expressions(where: str | list[str | Condition]) -> None:
    for text in [where] if isinstance(where, str) else where:
        if isinstance(text, str):
            _is_expression(text)


@component
class Condition:
    """A condition with the message for the records that do not meet it."""

    test: str = option(
        help="The expression that must be true.", check=_is_expression, example="paid <= amount"
    )
    message: str = option(
        default="", help="What to say of a record for which it is not; the expression if empty."
    )


@component
class Check(RecordJudge):
    """Object to records whose values break a rule, or that do not meet a condition.

    A field with a rule must be there and not be null, unless the rule says `optional: true`.
    """

    fields: dict[str, Rule] = option(
        default={}, help="Rules by field.", example={"amount": {"type": "number", "min": 0}}
    )
    where: str | list[str | Condition] = option(
        default=[],
        help="Conditions that every record must meet.",
        check=_are_expressions,
        example=["paid <= amount"],
    )
    action: Action = record_action()

    def check(self) -> None:
        if not self.fields and not self.where:
            raise ValueError("give fields or where, or both")

    def _conditions(self) -> list[Condition]:
        given = [self.where] if isinstance(self.where, str) else self.where
        return [Condition(test=one) if isinstance(one, str) else one for one in given]

    def open(self, context: Context) -> None:
        super().open(context)
        tests = {name: list(tests_of(rule)) for name, rule in self.fields.items()}
        optional = {name for name, rule in self.fields.items() if rule.optional}
        self.inspect = _compiled(tests, optional, self._conditions())  # type: ignore[assignment, method-assign]


def _compiled(
    tests: dict[str, list[Test]], optional: set[str], conditions: list[Condition]
) -> Callable[[Any], None]:
    """One function for all rules: a record that meets them is done with after one expression.

    A record for which the expression is false, or cannot be worked out, is looked at again by
    `objections`, which alone decides.
    """
    from penstock_expressions import compile_expression, make_function

    expressions = [
        (compile_expression(condition.test, where="where"), condition) for condition in conditions
    ]

    def objections(record: Any) -> Iterator[str]:
        if not isinstance(record, Mapping):
            raise no_fields(record)
        for name, listed in tests.items():
            yield from _objections(name, listed, name in optional, record)
        for expression, condition in expressions:
            try:
                if not expression(record):
                    yield condition.message or f"{condition.test} does not hold"
            except Exception as error:
                yield expression.explain(record, error)

    def object_to(record: Any) -> None:
        found = list(objections(record))
        if found:
            raise RecordError("; ".join(found))

    constants: dict[str, Any] = {"object_to": object_to, "Exception": Exception}
    constants.update(len=len, type=type)
    parts = [_source(name, listed, name in optional, constants) for name, listed in tests.items()]
    for expression, _ in expressions:
        constants[f"k{len(constants)}"] = expression.function
        parts.append(f"k{len(constants) - 1}(r)")
    source = f"""
def inspect(r):
    try:
        if {" and ".join(parts)}:
            return
    except Exception:
        pass  # `object_to` says what is wrong with it
    object_to(r)
"""
    return make_function(source, "inspect", constants)


def _source(name: str, tests: list[Test], optional: bool, constants: dict[str, Any]) -> str:
    conditions = []
    for test in tests:
        constant = f"k{len(constants)}"
        constants[constant] = test.constant
        conditions.append(test.source.format(v="v", k=constant))
    if optional:
        return f"((v := r.get({name!r})) is None or ({' and '.join(conditions) or True}))"
    return f"((v := r[{name!r}]) is not None and {' and '.join(conditions) or True})"


def _objections(
    name: str, tests: list[Test], optional: bool, record: Mapping[str, Any]
) -> Iterator[str]:
    value = record.get(name)
    if value is None:
        if not optional:
            yield f"{name} is {'null' if name in record else 'missing'}"
        return
    for test in tests:
        try:
            if test.holds(value):
                continue
        except Exception:  # such as a text compared with a number: the test does not hold
            pass
        yield f"{name}: {test.sentence}, got {_shown(value)}"
        return


def _shown(value: Any) -> str:
    from penstock_expressions import shown  # 20 ms, and rarely needed

    return shown(value)
