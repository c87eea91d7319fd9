"""The kernel's own plugin: what `pip install penstock` brings."""

from __future__ import annotations

from .hookspecs import hookimpl

__all__: list[str] = []


@hookimpl
def penstock_outputs() -> dict[str, str]:
    return {"print": "penstock.printing:PrintOutput"}


@hookimpl
def penstock_engines() -> dict[str, str]:
    return {
        "inline": "penstock.engines.inline:InlineEngine",
        "threads": "penstock.engines.threads:ThreadsEngine",
    }


@hookimpl
def penstock_schedulers() -> dict[str, str]:
    return {"once": "penstock.schedule:Once"}


@hookimpl
def penstock_stores() -> dict[str, str]:
    return {"sqlite": "penstock.stores.sqlite:SqliteStore"}


@hookimpl
def penstock_dialects() -> dict[str, str]:
    return {"native": "penstock.native:NativeDialect"}


@hookimpl
def penstock_syntaxes() -> dict[str, str]:
    return {
        "yaml": "penstock.syntaxes.yaml:YamlSyntax",
        "yml": "penstock.syntaxes.yaml:YamlSyntax",
        "toml": "penstock.syntaxes.toml:TomlSyntax",
        "json": "penstock.syntaxes.json:JsonSyntax",
    }
