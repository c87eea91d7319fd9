from __future__ import annotations

import pytest

from penstock_console.text import Span, clean, columns, cut, duration, number, width_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines\tand more", "two lines and more"),
        ("bell\x07", r"bell\x07"),
        ("right\u202eleft", r"right\u202eleft"),
        ("bad \udcff byte", r"bad \udcff byte"),
        ("größer", "größer"),
    ],
)
def test_what_could_steer_a_terminal_is_made_visible(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ｆ", 2), ("", 0)]
)
def test_width_is_counted_in_columns(text, width):
    assert width_of(text) == width


@pytest.mark.parametrize(
    ("width", "shown"), [(8, "日本語の"), (7, "日本語…"), (6, "日本…"), (1, "…"), (0, "")]
)
def test_a_wide_character_is_never_cut_in_half(width, shown):
    assert cut("日本語の", width) == shown
    assert width_of(shown) <= width


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (7, "7"),
        (1234567, "1 234 567"),
        (0.54, "0.5"),
        (9.0, "9"),
        (12.7, "13"),
        (98400.3, "98 400"),
    ],
)
def test_numbers_are_grouped_and_slow_rates_keep_a_digit(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (5.9, "0:05"), (760, "12:40"), (10800, "3:00:00")]
)
def test_durations_look_like_a_clock(seconds, shown):
    assert duration(seconds) == shown


def shown(rows, **options):
    lines = columns([[Span(cell) for cell in row] for row in rows], left=1, **options)
    return ["".join(span.text for span in line) for line in lines]


def test_columns_are_aligned_by_what_is_seen():
    assert shown([["node", "out"], ["日本", "1"], ["a", "1 000"]]) == [
        "node    out",
        "日本      1",
        "a     1 000",
    ]


def test_names_are_cut_before_numbers():
    assert shown([["a_name_without_end", "1 000"]], width=17) == ["a_name_wi…  1 000"]


def test_a_name_keeps_eight_columns_however_narrow_the_terminal():
    assert shown([["a_name_without_end", "1 000"]], width=3) == ["a_name_…  1 000"]
