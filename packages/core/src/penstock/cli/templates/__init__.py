"""The files that `penstock new` writes, as templates: `$name` in them is replaced."""

from __future__ import annotations

from importlib.resources import files
from string import Template

__all__ = ["filled", "template"]


def template(path: str) -> str:
    """The text of a template, by its path in this folder."""
    return files(__package__).joinpath(*f"{path}.txt".split("/")).read_text(encoding="utf-8")


def filled(path: str, /, **values: str) -> str:
    """A template with its names replaced."""
    return Template(template(path)).substitute(values)
