"""The client library, loaded when the first connection is opened."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["load"]


def load() -> Any:
    """The module `kafka`, with `kafka.errors`. Loading it warns of what only its authors can
    change, and where warnings are errors it could not be loaded at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import kafka
        import kafka.errors
    return kafka
