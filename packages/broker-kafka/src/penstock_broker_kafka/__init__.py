"""Topics of Apache Kafka as streams, in transactions where they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .broker import KafkaBroker

__all__ = ["KafkaBroker"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "KafkaBroker":
        from .broker import KafkaBroker

        return KafkaBroker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
