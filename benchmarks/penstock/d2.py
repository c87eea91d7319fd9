"""D2 in Penstock: dicts in memory into a model, each epoch one transaction with its checkpoint."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from django_project import make, rows

from penstock import RecordInput, run


class ListInput(RecordInput):
    """Read the items of a list, which are data and not an option: nothing looks at each."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def records(self, skip: int) -> Iterable[Any]:
        return islice(self.items, skip, None)


def main(count: int) -> None:
    make()
    from penstock_django.output import DjangoOutput

    records = rows(count)
    run(ListInput([]), DjangoOutput(model="django_shop.Row"))  # imports what it needs
    started = time.perf_counter()
    report = run(ListInput(records), DjangoOutput(model="django_shop.Row"))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": report.balance.written}))


main(int(sys.argv[1]))
