"""An object that is inserted alone is what `bulk_create` would have made of it."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models.functions import Upper
from django.test.utils import CaptureQueriesContext
from newsroom.models import Bytes, Computed, Counted, Keyed, Kinds, Managed, Order, SourceItem

from penstock_django.inserting import create

WHOLE = {
    "word": "Würde 'x' %s",
    "price": Decimal("12.50"),
    "facts": {"a": [1, None, "ü"]},
    "lasts": datetime.timedelta(hours=1, microseconds=3),
    "day": datetime.date(2026, 2, 28),
    "mark": uuid.UUID(int=5),
}

OBJECTS = {
    "every kind of field": lambda: Kinds(**WHOLE),
    "fields left empty": lambda: Kinds(word=""),
    "an expression": lambda: Kinds(word=Upper(models.Value("loud"))),
    "a key that is given": lambda: Kinds(pk=77, word="x"),
    "a key of its own": lambda: Keyed(number=1),
    "a key of its own, taken away": lambda: Keyed(id=None, number=1),
    "fields that the database gives": lambda: Computed(number=4),
    "bytes": lambda: Bytes(content=b"\x00\xff"),
}


def row(one):
    values = type(one)._base_manager.filter(pk=one.pk).values().get()
    return {
        name: bytes(value) if isinstance(value, memoryview) else value
        for name, value in values.items()
        if name not in ("id", "made")
    }


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_row_is_the_one_that_bulk_create_makes(place, kind):
    ours, theirs = OBJECTS[kind](), OBJECTS[kind]()
    create("default", [ours])
    row_of_ours = row(ours)
    if ours.pk == theirs.pk:
        type(ours)._base_manager.all().delete()
    type(theirs)._base_manager.bulk_create([theirs])
    assert row_of_ours == row(theirs)
    assert not ours._state.adding
    assert ours._state.db == "default"
    assert ours.pk is not None
    assert {name for name in vars(ours) if name[0] != "_"} == set(vars(theirs)) - {"_state"}


def test_an_object_knows_what_was_written_of_it(place):
    one = Kinds(**WHOLE)
    create("default", [one])
    assert one.made == Kinds.objects.get().made


def test_a_relation_is_followed_and_one_to_an_unsaved_object_is_refused(place):
    source = SourceItem(number=1)
    one = Kinds(word="x", source=source)
    with pytest.raises(ValueError, match="unsaved related object 'source'"):
        create("default", [one])
    source.save()
    create("default", [one])
    assert Kinds.objects.get().source == source


def test_a_row_that_the_database_refuses_is_told_as_ever(place):
    create("default", [Order(code="a")])
    again = Order(code="a")
    with pytest.raises(IntegrityError), transaction.atomic():
        create("default", [again])
    assert (again.pk, again._state.adding) == (None, True)


def test_a_projects_own_way_of_creating_is_taken(db):
    before = Counted.calls
    create("default", [Managed(number=1)])
    assert Counted.calls == before + 1


def test_one_statement_is_enough(place):
    create("default", [Kinds(**WHOLE)])
    with CaptureQueriesContext(connection) as asked:
        create("default", [Kinds(**WHOLE)])
    assert [one["sql"].split()[0] for one in asked.captured_queries] == ["INSERT"]
