"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["PenstockConfig"]


class PenstockConfig(AppConfig):
    """Put "penstock_django" into INSTALLED_APPS."""

    name = "penstock_django"
    verbose_name = "Penstock"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import register

        from .checks import check_triggers

        register(check_triggers)
