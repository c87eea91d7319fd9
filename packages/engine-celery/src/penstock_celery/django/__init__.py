"""Items of a Django project in chunks on Celery workers: what `Session.run_in_celery` does.

The ledger is a table in the project's own database, so that a chunk is done in the transaction that
saves what came of it. Django is imported by whoever calls, never when this package is listed.
"""

from __future__ import annotations

from .progress import states_of
from .running import do_items, ring_again, run_in_celery, serve_items

__all__ = ["do_items", "ring_again", "run_in_celery", "serve_items", "states_of"]
