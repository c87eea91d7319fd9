"""Parts of inputs, as the ledger keeps them."""

from __future__ import annotations

import copy
from decimal import Decimal

import pytest

from penstock import Context, RunError
from penstock.testing import ListInput
from penstock_celery.parts import Nothing, Part, part_of, text_of


def part(whole: ListInput, **differs: object) -> ListInput:
    made = copy.copy(whole)
    for name, value in differs.items():
        setattr(made, name, value)
    return made


def read(one: object, positions: dict[str, object]) -> list[tuple[str, list[int]]]:
    one.open(Context("numbers"))
    return [(batch.source, list(batch.records)) for batch in one.read(positions)]


def test_what_differs_is_kept_and_made_again():
    whole = ListInput(values=[1, 2, 3], batch_size=2)
    text = text_of(part(whole, values=[2, 3], _range=(Decimal("1.5"), None)), whole)
    again = part_of(ListInput(values=[1, 2, 3], batch_size=2), text)
    assert again.values == [2, 3]
    assert again._range == (Decimal("1.5"), None)
    assert again.batch_size == 2
    assert "batch_size" not in text


def test_a_part_that_json_cannot_hold_is_refused():
    whole = ListInput(values=[])
    with pytest.raises(RunError) as caught:
        text_of(part(whole, values=[object()]), whole)
    assert str(caught.value) == (
        "a part of ListInput cannot be kept in the ledger; "
        "its split must give copies that differ in plain values"
    )


def test_a_part_names_its_records_after_its_chunk_and_goes_on_where_it_stood():
    values = [1, 2, 3, 4]
    assert read(Part(ListInput(values=values, batch_size=2), 7), {}) == [
        ("numbers/7", [1, 2]),
        ("numbers/7", [3, 4]),
    ]
    again = read(Part(ListInput(values=values), 7), {"numbers/7": 2, "numbers": 4})
    assert again == [("numbers/7", [3, 4])]


def test_other_inputs_have_nothing():
    assert read(Nothing(), {}) == []


def test_a_part_is_not_split_again():
    one = Part(ListInput(values=[1]), 1)
    assert one.split(3) == [one]
