"""D1 in Penstock: a pipe over a queryset. Everything at its defaults: savepoints, errors, tracks of
what each item gave, report."""

from __future__ import annotations

import json
import sys
import time

from django_project import make


def main(orders: int, kind: str) -> None:
    models = make(orders)
    from penstock_django import Pipe, get_session

    get_session().run([1], pipe=Pipe)  # imports what it needs, as the yardstick has
    started = time.perf_counter()
    report = get_session().run(models.Order.objects.order_by("pk"), kind)
    seconds = time.perf_counter() - started
    assert report is not None
    print(json.dumps({"seconds": seconds, "records": report.balance.written}))


main(int(sys.argv[1]), sys.argv[2])
