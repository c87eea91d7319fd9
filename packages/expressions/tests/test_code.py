"""What an expression may say, what it may not, and the sentences about that."""

from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal

import pytest

from penstock_expressions import Expression, ExpressionError, compile_expression

RECORD = {
    "qty": 3,
    "amount": 2.5,
    "name": "Ada",
    "tags": ["a", "b"],
    "user": {"name": "Bob", "age": None},
    "day": date(2024, 2, 29),
    "nothing": None,
    "unit price": 7,
    'it\'s "odd"\n': 1,
    "len": 5,
}

WORKS = [
    ("qty", 3),
    ("len", 5),
    ("  qty\n + 1 ", 4),
    ("amount * qty", 7.5),
    ("-qty + 2 ** 3 // 3 % 4", -1),
    ("+qty / 2", 1.5),
    ("2 ** -1", 0.5),
    ("'a' + name", "aAda"),
    ("name + name", "AdaAda"),
    ("tags + ['c']", ["a", "b", "c"]),
    ("0 < qty <= 3 != 4", True),
    ("qty in [1, 2, 3] and name not in {'Bob', 'Cy'}", True),
    ("'d' in name", True),
    ("nothing is None", True),
    ("nothing is not None or qty", 3),
    ("not qty", False),
    ("'big' if qty > 2 else 'small'", "big"),
    ("tags[-1]", "b"),
    ("name[:2] + name[::-1]", "AdadA"),
    ("user['name']", "Bob"),
    ("(qty, 1)", (3, 1)),
    ("()", ()),
    ("{'a': qty, 'b': [amount]}", {"a": 3, "b": [2.5]}),
    ('field("unit price") * 2', 14),
    ('field("it\'s \\"odd\\"\\n")', 1),
    ("has('qty') and not has('qqq')", True),
    ("abs(-qty) + round(2.5) + round(2.345, 2)", 3 + 2 + round(2.345, 2)),
    ("round(decimal('2.345'), 2)", Decimal("2.34")),
    ("round(2.5 + 1)", 4),
    ("min(qty, 2) + max(tags[:0] + [1, 2])", 4),
    ("int('12') + float('1.5')", 13.5),
    ("decimal('1.10')", Decimal("1.10")),
    ("bool('yes')", True),
    ("text(qty) + str(True)", "3true"),
    ("date('2024-02-29') == day", True),
    ("date('29.02.2024', '%d.%m.%Y') == day", True),
    ("date(name + '', '%d.%m.%Y') if False else 1", 1),
    ("hour(datetime('2024-01-01 10:30')) * 60 + minute(datetime('2024-01-01 10:30'))", 630),
    ("[year(day), month(day), day(day), weekday(day)]", [2024, 2, 29, 4]),
    ("days(day - date('2024-01-01'))", 59),
    ("lower(name) + upper(name)", "adaADA"),
    ("strip('  x ') + strip('xyx', 'x')", "xy"),
    ("replace(name, 'a', 'o')", "Ado"),
    ("split('a b  c')", ["a", "b", "c"]),
    ("split('a,b', ',')", ["a", "b"]),
    ("join(tags, '-')", "a-b"),
    ("startswith(name, 'A') and endswith(name, 'a') and contains(tags, 'a')", True),
    ("concat(name, nothing, qty, 1.5)", "Ada31.5"),
    ("len(name)", 3),
    (r"matches(name, '[A-Z]\w+')", True),
    ("matches(name, 'A')", False),
    ("search(name, 'd')", True),
    (r"extract(name, 'A(.)')", "d"),
    ("extract(name, 'd.')", "da"),
    ("extract(name, 'x')", None),
    ("coalesce(nothing, user['age'], qty)", 3),
    ("coalesce(nothing)", None),
    ("get(user, 'age', 1)", None),
    ("get(user, 'size', 1)", 1),
    ("get(nothing, 'size')", None),
    ("[get(tags, 1), get(tags, 2), get(tags, -3, 'x')]", ["b", None, "x"]),
    ("'é' + name", "éAda"),
]


@pytest.mark.parametrize(("text", "value"), WORKS, ids=[text for text, _ in WORKS])
def test_an_expression_has_the_value_that_python_gives_it(text, value):
    expression = compile_expression(text)
    for got in (expression(RECORD), expression.over(tuple(RECORD))(list(RECORD.values()))):
        assert got == value
        assert type(got) is type(value)


REFUSED = [
    ("", "the expression is empty"),
    ("   ", "the expression is empty"),
    ("x " * 1001, "the expression has 2002 characters; 2000 is most"),
    ("[" + "1, " * 300 + "]", "the expression has more than 300 parts"),
    ("[" * 60 + "]" * 60, "the expression has more than 40 levels at column 41"),
    ("-" * 500 + "1", "the expression has more than 40 levels at column 41"),
    ("a.b", "a dot after a value cannot be used at column 1; write a['b'], or field('a.b')"),
    ("name.upper()", "a dot after a value cannot be used at column 1; write upper(x)"),
    ("().__class__", "a dot after a value cannot be used at column 1"),
    ("''.__class__.__mro__", "a dot after a value cannot be used at column 1"),
    ("__import__('os')", "unknown function '__import__' at column 1; there are abs, round, min"),
    ("eval('1')", "unknown function 'eval' at column 1"),
    ("1 + len2(x)", "unknown function 'len2' at column 5; did you mean 'len'?"),
    ("é + len2(x)", "unknown function 'len2' at column 5; did you mean 'len'?"),
    ("  len2(x)", "unknown function 'len2' at column 3; did you mean 'len'?"),
    ("len()", "wrong number of arguments: len(x) at column 1"),
    ("round(x, 1, 2)", "wrong number of arguments: round(x, digits) at column 1"),
    ("round(x, ndigits=1)", "round() takes its arguments without names at column 1"),
    ("max(*x)", "'*' before an argument cannot be used at column 5"),
    ("(lambda: 1)()", "only functions can be called at column 1"),
    ("lambda: 1", "lambda cannot be used at column 1"),
    ("[x for x in y]", "'for' cannot be used at column 1"),
    ("{x: 1 for x in y}", "'for' cannot be used at column 1"),
    ("max(x for x in y)", "'for' cannot be used at column 4"),
    ("(x := 1)", "':=' cannot be used at column 2; write '=='"),
    ("f'{x}'", "f-strings cannot be used at column 1; write concat(a, b)"),
    ("await x", "await cannot be used at column 1"),
    ("(yield)", "yield cannot be used at column 2"),
    ("x & y", "'&' cannot be used at column 1; write 'and'"),
    ("x | y", "'|' cannot be used at column 1; write 'or'"),
    ("x ^ 2", "'^' cannot be used at column 1; the power of a number is x**2"),
    ("~x", "'~' cannot be used at column 1; write 'not'"),
    ("1 << 10", "'<<' cannot be used at column 1"),
    ("1 >> 10", "'>>' cannot be used at column 1"),
    ("x @ y", "'@' cannot be used at column 1"),
    ("x is y", "'is' only compares a field with None at column 1; write '=='"),
    ("5 is None", "'is' only compares a field with None at column 1; write '=='"),
    ("(1, 2) is not None", "'is' only compares a field with None at column 1; write '=='"),
    ("5[0]", "only fields and results have parts at column 1"),
    ("[a, b][0]", "only fields and results have parts at column 1"),
    ("{'a': b}['a']", "only fields and results have parts at column 1"),
    ("'\ud800'", "the expression has characters that are no text"),
    ("x[y]", "an index is a constant at column 3; a key that varies is read by get(mapping, key)"),
    ("x[1.5]", "an index is a constant at column 3"),
    ("x[y:]", "an index is a constant at column 3"),
    ("{x: 1}", "the keys of a mapping are constant texts at column 1"),
    ("{**x}", "the keys of a mapping are constant texts at column 1"),
    ("b'x'", "b'x' cannot be used at column 1"),
    ("1j", "1j cannot be used at column 1"),
    ("...", "Ellipsis cannot be used at column 1"),
    ("1e999", "inf cannot be used at column 1"),
    ("true", "unknown name 'true' at column 1; write True, or field('true') for a field"),
    ("x == null", "unknown name 'null' at column 6; write None, or field('null')"),
    ("a = 1", "is not an expression at column 3: invalid syntax; write '==' to compare"),
    ("a && b", "is not an expression at column 4: invalid syntax; write 'and', 'or', 'not'"),
    ("a == 1 AND b", "is not an expression at column 8: invalid syntax; write 'and', 'or', 'not'"),
    ("a IS NULL", "is not an expression at column 3: invalid syntax; write 'is None'"),
    (
        "unit price > 3",
        "is not an expression at column 6: invalid syntax; write field('unit price')",
    ),
    ("import os", "is not an expression at column"),
    ("1; 2", "is not an expression at column 2"),
    ("a) + (b", "is not an expression at column 2"),
    ("x\0", "the expression has characters that are no text"),
    ("field(x)", "field() takes the name of a field in quotes at column 1"),
    ("field('a', 'b')", "field() takes the name of a field in quotes at column 1"),
    ("has()", "has() takes the name of a field in quotes at column 1"),
    ("matches(x, y)", "the pattern of matches() is a constant text at column 1"),
    ("matches(x, '(a+)+')", "the pattern '(a+)+' could take forever: it has a repeat inside a"),
    ("matches(x, '(')", "'(' is no pattern: missing ), unterminated subpattern at position 0"),
    (
        r"matches(x, '\bA')",
        r"the pattern has a backspace in it; write r'\b' for the edge of a word",
    ),
    ("date('2024-13-01')", "cannot read '2024-13-01' as date at column 1"),
    ("date(x, y)", "the format of date() is a constant text at column 1"),
    ("date(x, 'd.m.Y')", "date() cannot be a format, got 'd.m.Y'; write one such as '%d.%m.%Y'"),
    (5, "must be an expression in quotes, got 5"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED, ids=[str(text)[:30] for text, _ in REFUSED])
def test_what_cannot_be_said_is_refused_with_its_place(text, sentence):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, where="set.total")
    assert str(caught.value).startswith(f"set.total: {sentence}")


@pytest.mark.parametrize(
    "text", ["(" * 1000 + ")" * 1000, "-" * 2000, "not " * 500 + "x", "[" * 2000]
)
def test_what_is_nested_too_deeply_is_refused(text):
    with pytest.raises(ExpressionError):
        compile_expression(text)


def test_what_is_nested_as_deeply_as_allowed_can_be_compiled():
    deep = "round(0 - (" * 13 + "qty" + "))" * 13
    assert compile_expression(deep)({"qty": 3}) == -3
    assert compile_expression("[" * 39 + "qty" + "]" * 39)({"qty": 3})


FAILS = [
    ("10 ** 10 ** 10", "the result would have 40000000000 bits; 100000 is most"),
    ("qty ** 1000000", "the result would have 2000000 bits; 100000 is most"),
    ("(10 ** 20000) * (10 ** 20000)", "the result would have 132878 bits; 100000 is most"),
    ("(0 - 8) ** 0.5", "-8 has no real power 0.5"),
    ("name ** 2", "'**' takes numbers, got 'Ada'"),
    ("name * 5", "'*' takes numbers, got 'Ada'"),
    ("qty * tags", "'*' takes numbers, got ['a', 'b']"),
    ("'a' * 1000000000", "'*' takes numbers, got 'a'"),
    ("'%0999999999d' % qty", "'%' takes numbers, got '%0999999999d'"),
    ("replace(replace(huge, '', huge), 'a', huge)", "the result would have"),
    ("huge + huge + huge", "the result would have"),
    ("concat(huge, huge, huge)", "the result would have"),
    ("join([huge, huge], huge)", "the result would have"),
    ("round(decimal('1e999999999'))", "Decimal('1E+999999999') is too large to be rounded"),
    ("int(decimal('1e999999999'))", "cannot read Decimal('1E+999999999') as int"),
    ("round(qty, 10 ** 9)", "round() takes at most 30 digits, got 1000000000"),
    ("round(name)", "round() takes a number, got 'Ada'"),
    ("lower(qty)", "lower() takes text, got 3"),
    ("join(name, ',')", "join() takes a list and a separator, got 'Ada'"),
    ("join([1], ',')", "join() takes text, got 1"),
    ("year(name)", "year() takes a date, got 'Ada'"),
    ("hour(day)", "hour() takes a time, got datetime.date(2024, 2, 29)"),
    ("days(qty)", "days() takes the difference of two dates, got 3"),
    ("get(qty, 1)", "get() takes a mapping and a key, or a list and an index, got 3"),
    ("int(name)", "cannot read 'Ada' as int"),
    ("date(name, '%Y')", "cannot read 'Ada' as date in the format '%Y'"),
    ("matches(qty, 'x')", "a pattern is tried on text, got 3"),
    (
        "search(huge, 'a+b+c')",
        "the text has 6000000 characters, and the pattern 'a+b+c' is tried on",
    ),
    ("qty / 0", "division by zero"),
    ("user['x']", "no key 'x'"),
]


@pytest.mark.parametrize(("text", "sentence"), FAILS, ids=[text for text, _ in FAILS])
def test_what_goes_out_of_bounds_fails_with_a_sentence(text, sentence):
    record = {**RECORD, "huge": "a" * 6_000_000}
    expression = compile_expression(text, where="set.x")
    with pytest.raises((ValueError, TypeError, ArithmeticError, KeyError)) as caught:
        expression(record)
    assert expression.explain(record, caught.value).startswith(f"set.x: {sentence}")


@pytest.mark.parametrize("text", ["qty + 1", "amount * 2", "qty / amount", "qty % 2", "name + '!'"])
def test_an_operator_that_cannot_do_harm_has_no_guard(text):
    assert "g_" not in compile_expression(text).source(_Typed()).text


class _Typed:
    """A scope in which casts have said what the fields are."""

    def field(self, name):
        from penstock_expressions import Code

        return Code(name, {"qty": "int", "amount": "float"}.get(name, "text"))

    def has(self, name):
        raise AssertionError

    def constant(self, value):
        raise AssertionError


def test_a_product_of_cast_numbers_is_a_bare_multiplication():
    assert compile_expression("amount * qty").source(_Typed()).text == "(amount * qty)"
    assert compile_expression("qty * qty").source(_Typed()).text == "(qty * qty)"


def test_numbers_that_have_grown_are_guarded():
    assert "g_multiply" in compile_expression("qty * qty * qty").source(_Typed()).text


@pytest.mark.parametrize(
    ("text", "record", "sentence"),
    [
        ("qyt > 1", {"qty": 1}, "the record has no field 'qyt'; did you mean 'qty'?"),
        ("a > 1", {"qty": 1, "x": 2}, "the record has no field 'a'; there are qty, x"),
        ("a > 1", {}, "the record has no field 'a'; it has no fields"),
        (
            "a > b",
            {"a": "5", "b": 1},
            "'>' not supported between instances of 'str' and 'int', with a='5', b=1; "
            "is 'a' meant to be a number?",
        ),
        (
            "a > 1",
            {"a": None},
            "'>' not supported between instances of 'NoneType' and 'int', with a=None",
        ),
    ],
)
def test_a_failure_is_explained(text, record, sentence):
    expression = compile_expression(text, where="where")
    with pytest.raises((KeyError, TypeError)) as caught:
        expression(record)
    assert expression.explain(record, caught.value) == f"where: {sentence}"


def test_a_row_without_the_field_fails_as_a_record_does():
    expression = compile_expression("a + 1")
    with pytest.raises(KeyError) as caught:
        expression.over(["b"])([1])
    assert expression.explain({"b": 1}, caught.value) == (
        "expression: the record has no field 'a'; there are b"
    )


def test_only_what_is_reached_can_fail():
    assert compile_expression("1 if has('a') and a > 5 else 2")({}) == 2


def test_an_expression_can_be_compared_printed_and_pickled():
    expression = compile_expression("a + has('b')", where="set.x")
    assert expression.fields == ("a",)
    assert expression.asked == ("b",)
    again = pickle.loads(pickle.dumps(expression))
    assert again == expression
    assert hash(again) == hash(expression)
    assert expression != Expression("a", "set.x")
    assert expression != "a"
    assert repr(expression) == "<Expression set.x: a + has('b')>"
    assert again({"a": 1, "b": 0}) == 2


def test_many_fields_are_not_all_listed():
    expression = compile_expression("zz", where="where")
    record = {f"field{number}": 1 for number in range(30)}
    assert expression.explain(record, KeyError("zz")).endswith("field18, field19, …")
