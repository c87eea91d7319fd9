"""The engine `celery`: what is configured. The work is in `coordinator` and `worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock import Duration, component, option
from penstock_sql.urls import Url, check_url

if TYPE_CHECKING:
    from penstock.runs import Run

__all__ = ["CeleryEngine", "is_redis"]


def _positive(value: float) -> None:
    if value <= 0:
        raise ValueError("must be above 0")


def _optionally_positive(value: float | None) -> None:
    if value is not None:
        _positive(value)


@component
class CeleryEngine:
    """Split the inputs into chunks and run each on a Celery worker."""

    ledger: Url = option(
        help="Database that keeps the chunks, reached from every worker, as in "
        "'postgresql://user:password@host/database'; its tables are made.",
        secret=True,
        check=check_url,
        example="postgresql://shop@localhost/shop",
    )
    broker_url: str = option(
        default="",
        help="Broker of Celery, as in 'amqp://host//' or 'redis://host/0'.",
        secret=True,
        example="amqp://localhost//",
    )
    app: str = option(
        default="",
        help="Application of Celery to use instead, as 'module:name'; its workers call serve.",
        example="shop.celery:app",
    )
    chunks: int = option(default=32, help="Chunks to split each input into.", check=_positive)
    queue: str = option(default="penstock", help="Queue of the broker to ring in.")
    lease: Duration = option(
        default=60.0,
        help="How long a chunk is its worker's without a word from it. A worker that is seen to "
        "be dead is not waited for.",
        example="1m",
        check=_positive,
    )
    ring_again: Duration = option(
        default=10.0,
        help="How long nothing may move before it is rung again for chunks that wait; doubled "
        "with each time.",
        example="10s",
        check=_positive,
    )
    time_limit: Duration | None = option(
        default=None,
        help="How long a chunk may take before its process is killed; no limit if left out.",
        example="30m",
        check=_optionally_positive,
    )
    visibility_timeout: Duration = option(
        default=3600.0,
        help="After how long Redis gives a message again that nobody has confirmed.",
        example="1h",
        check=_positive,
    )

    own_positions = True  # which chunks were added up

    def check(self) -> None:
        if bool(self.broker_url) == bool(self.app):
            raise ValueError("give either broker_url or app")
        limit, visible = self.time_limit, self.visibility_timeout
        if limit is not None and is_redis(self.broker_url) and limit >= visible:
            raise ValueError(
                f"time_limit of {limit:g} s is not below visibility_timeout of {visible:g} s; "
                "a message would come again while its chunk is run: raise visibility_timeout"
            )

    def execute(self, run: Run) -> None:
        from .coordinator import Coordinator

        Coordinator(self, run).execute()


def is_redis(url: str) -> bool:
    return url.startswith(("redis", "sentinel", "unix"))
