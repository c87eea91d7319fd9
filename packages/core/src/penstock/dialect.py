"""From a file to a `PipelineSpec`: choose the syntax by suffix and the dialect by content."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from . import placeholders
from .errors import ConfigError, Problem
from .plugins import Plugins, Provided
from .spec import Document, PipelineSpec

__all__ = [
    "Dialect",
    "Syntax",
    "dialect_of",
    "fill_in",
    "parse",
    "read_document",
    "read_spec",
    "resolvers_for",
]


class Syntax(Protocol):
    """Parses text to a document."""

    def parse(self, text: str, name: str) -> Document:
        """`name` is what messages call the file. Raises ConfigError with places."""


class Dialect(Protocol):
    """Speaks the vocabulary of one kind of pipeline file."""

    def recognises(self, document: Document) -> bool:
        """Whether the document is written in this dialect; looks at keys only."""

    def read(self, document: Document) -> PipelineSpec:
        """The pipeline; what is wrong goes into `document.problems` and is reported at the end."""


def read_document(
    path: Path, plugins: Plugins, environ: Mapping[str, str] | None = None
) -> Document:
    """Read and parse a file; the suffix decides how. `environ` replaces the variables around us."""
    from .syntaxes import read_text

    document = parse(read_text(path), path.suffix.lstrip("."), str(path), plugins)
    document.path = path.absolute()
    fill_in(document, plugins, environ)
    return document


def fill_in(document: Document, plugins: Plugins, environ: Mapping[str, str] | None = None) -> None:
    """Replace the placeholders of a document; those without a value become its `problems`."""
    resolvers = [
        *resolvers_for(document, environ),
        lambda name: plugins.hooks.penstock_resolve(name=name),
    ]
    document.data, problems, _ = placeholders.expand(document, resolvers)
    document.problems.extend(problems)


def resolvers_for(
    document: Document, environ: Mapping[str, str] | None = None
) -> list[placeholders.Resolver]:
    """Those who know placeholders in this document, without plugins."""
    directory = document.path.parent if document.path else Path.cwd()
    return [
        placeholders.environment(os.environ if environ is None else environ),
        placeholders.pipeline(document.path),
        placeholders.git(directory),
    ]


def parse(text: str, suffix: str, name: str, plugins: Plugins) -> Document:
    """Parse text in the syntax of a suffix such as "yaml"."""
    known = plugins.names("syntax")
    if suffix.lower() not in known:
        shown = ", ".join(f".{one}" for one in sorted(known))
        raise ConfigError(
            [Problem(f"{name}: no syntax for the suffix {suffix!r}", hint=f"there are {shown}")]
        )
    syntax: Syntax = plugins.find("syntax", suffix.lower()).load()()
    return syntax.parse(text, name)


def read_spec(document: Document, plugins: Plugins) -> PipelineSpec:
    """Let the first dialect that recognises a document read it, the native one last."""
    return dialect_of(document, plugins)[1].read(document)


def dialect_of(document: Document, plugins: Plugins) -> tuple[Provided, Dialect]:
    """The dialect that a document is written in, and who provides it."""
    names = sorted(plugins.names("dialect"), key=lambda name: name == "native")
    for name in names:
        provided = plugins.find("dialect", name)
        dialect: Dialect = provided.load()()
        if dialect.recognises(document):
            return provided, dialect
    raise ConfigError(
        [
            document.problem(
                "no dialect knows these keys", hint="a pipeline declares inputs and pipes"
            )
        ]
    )
