"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_inputs() -> Mapping[str, str]:
    return {"django": "penstock_django.input:DjangoInput"}


@hookimpl
def penstock_outputs() -> Mapping[str, str]:
    return {"django": "penstock_django.output:DjangoOutput"}


@hookimpl
def penstock_stores() -> Mapping[str, str]:
    return {"django": "penstock_django.store:DjangoStore"}
