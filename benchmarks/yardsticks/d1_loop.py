"""D1 by hand: a loop over a queryset, with a savepoint for each item. It notes nothing."""

import json
import sys
import time

from django_project import make


def main(orders: int, kind: str) -> None:
    models = make(orders)
    from django.db import transaction

    done = 0
    started = time.perf_counter()
    with transaction.atomic():
        for order in models.Order.objects.order_by("pk").iterator(chunk_size=2000):
            with transaction.atomic():
                if kind == "ask":
                    models.Order.objects.filter(pk=order.pk).update(amount=order.amount + 1)
                models.Row(order=order.pk, customer=order.customer, total=order.amount * 2).save()
            done += 1
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": done}))


main(int(sys.argv[1]), sys.argv[2])
