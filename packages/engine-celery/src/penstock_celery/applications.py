"""The Celery application: one made for us, or somebody's own, and whether its settings will do."""

from __future__ import annotations

from typing import Any

from celery import Celery

from penstock import ConfigError, PluginError, Problem
from penstock.options import mask, secrets_of
from penstock.plugins import load

from .engine import CeleryEngine, is_redis

__all__ = ["application", "broker_of", "refuse_unsafe", "task_name"]

_VISIBILITY = 3600.0  # seconds; what kombu takes for Redis where nobody says


def task_name(pipeline: str) -> str:
    """Each pipeline has a task of its own: a worker knows only those that it serves."""
    return f"penstock.chunk.{pipeline}"


def application(engine: CeleryEngine) -> Celery:
    """The application that an engine's options mean. ConfigError when its settings would break
    what the engine promises."""
    app = _somebodys(engine.app) if engine.app else _ours(engine)
    refuse_unsafe(app, "engine.")
    return app


def refuse_unsafe(app: Celery, prefix: str = "") -> None:
    """ConfigError with all that is wrong in the settings of an application; the paths of its
    problems begin so."""
    problems = [Problem(what, f"{prefix}{path}", hint=hint) for path, what, hint in _wrong(app)]
    if problems:
        raise ConfigError(problems)


def broker_of(engine: CeleryEngine, app: Celery) -> str:
    """The broker for messages, without its password."""
    shown: str = app.connection_for_write().as_uri()
    return mask(shown, secrets_of(engine)) if "@" in engine.broker_url else shown


def _ours(engine: CeleryEngine) -> Celery:
    app = Celery("penstock", broker=engine.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue=engine.queue,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,  # as when RabbitMQ has waited for too long
        broker_transport_options=_transport_options(engine),
        task_time_limit=engine.time_limit,
    )
    return app


def _transport_options(engine: CeleryEngine) -> dict[str, Any]:
    if is_redis(engine.broker_url):
        # Otherwise what was lost is looked for only every 100 s.
        return {"visibility_timeout": engine.visibility_timeout, "unacked_restore_throttle": 1}
    return {"confirm_publish": True} if engine.broker_url.startswith("amqp") else {}


def _somebodys(use: str) -> Celery:
    found = load(use)
    if not isinstance(found, Celery):
        raise PluginError(f"{use!r} is not an application of Celery", where="engine.app")
    return found


def _wrong(app: Celery) -> list[tuple[str, str, str]]:
    """Which option is wrong, in what, and what to do."""
    found = []
    conf = app.conf
    unsafe = sorted(set(conf.accept_content) - {"json", "application/json"})
    if unsafe:
        found.append(
            ("app", f"accepts {unsafe[0]!r}, not only JSON", "set accept_content to ['json']")
        )
    if conf.task_protocol != 2:
        found.append(("app", f"has task_protocol {conf.task_protocol}, not 2", "leave it out"))
    limit = conf.task_time_limit
    options = conf.broker_transport_options or {}
    visible = float(options.get("visibility_timeout", _VISIBILITY))
    if limit is not None and is_redis(conf.broker_url or "") and limit >= visible:
        found.append(
            (
                "time_limit",
                f"{limit:g} s is not below the broker's visibility_timeout of {visible:g} s",
                "a message would come again while its chunk is run: raise visibility_timeout",
            )
        )
    return found
