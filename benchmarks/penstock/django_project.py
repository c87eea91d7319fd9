"""The Django project of D1 and D2: a new SQLite database in the current folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make(orders: int = 0) -> Any:
    """Set Django up with so many orders in `out.db`; the module of its models."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        SECRET_KEY="not-a-secret",
        INSTALLED_APPS=["django.contrib.contenttypes", "penstock_django", "django_shop"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path("out.db")}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0, run_syncdb=True)
    from django_shop import models

    models.Order.objects.bulk_create(
        (models.Order(amount=n % 97, customer=f"customer {n % 1000}") for n in range(orders)),
        batch_size=1000,
    )
    return models


def rows(count: int) -> list[dict[str, Any]]:
    """What D2 loads."""
    return [
        {"order": n, "customer": f"customer {n % 1000}", "total": n % 97, "paid": n % 3 == 0}
        for n in range(count)
    ]
