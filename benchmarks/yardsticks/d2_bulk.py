"""D2 by hand: `bulk_create` of 1000 objects at a time, in one transaction."""

import json
import sys
import time

from django_project import make, rows


def main(count: int) -> None:
    models = make()
    from django.db import transaction

    records = rows(count)
    started = time.perf_counter()
    with transaction.atomic():
        for first in range(0, count, 1000):
            part = records[first : first + 1000]
            models.Row.objects.bulk_create(models.Row(**record) for record in part)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": count}))


main(int(sys.argv[1]))
