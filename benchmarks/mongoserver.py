"""The MongoDB of W4m: the one of `PENSTOCK_TEST_MONGODB_URI`, or doubles of our own."""

from __future__ import annotations

import atexit
from functools import lru_cache

__all__ = ["served"]


@lru_cache
def served(replica_set: bool) -> str:
    """The address of one, with transactions or without; raises RuntimeError with the reason when
    there can be none."""
    try:
        from _pytest.outcomes import OutcomeException

        from penstock_testkit.servers import MongoDB
        from penstock_testkit.servers.mongodb import Standalone
    except ImportError as error:
        raise RuntimeError(f"needs penstock-testkit: {error}") from None
    try:
        server = MongoDB() if replica_set else Standalone()
        server.make()
        server.start()
    except OutcomeException as error:
        raise RuntimeError(str(error)) from None
    atexit.register(server.remove)
    return server.url()
