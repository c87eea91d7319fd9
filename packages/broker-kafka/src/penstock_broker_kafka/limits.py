"""Time limits that an epoch must keep, compared before anything is read."""

from __future__ import annotations

from penstock import ConfigError, Context, Problem

__all__ = ["refuse_long_epochs"]


def refuse_long_epochs(context: Context, limit: float, option: str) -> None:
    """ConfigError when an epoch may last so long that nothing is left of `limit` to end it."""
    seconds = context.epoch_seconds
    longest = limit / 2
    if seconds is None or seconds <= longest:
        return
    lasts = "has no limit of seconds" if seconds == float("inf") else f"may last {seconds:g} s"
    raise ConfigError(
        [
            Problem(
                f"an epoch {lasts}, and must end within {longest:g} s, half of {option}",
                context.name,
                hint=f"set epoch.seconds to less, or {option} to more",
            )
        ]
    )
