"""The rules for dialects and syntaxes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from penstock import ConfigError, Document, PipelineSpec
from penstock.dialect import Dialect, Syntax
from penstock.spec import ROLES

from ..rules import Suite

__all__ = ["DialectSuite", "SyntaxSuite"]

FOREIGN: Sequence[Mapping[str, Any]] = (
    {},
    {"version": 3, "services": {"web": {"image": "nginx"}}},
    {"name": "tests", "on": ["push"], "jobs": {}},
)


def document_of(data: Mapping[str, Any]) -> Document:
    return Document(copy.deepcopy(dict(data)), {}, "pipeline")


class DialectSuite(Suite):
    """An author gives the fixture `dialect`, and `documents`: some documents that are written in
    it and describe pipelines that could run."""

    @pytest.fixture
    def dialect(self) -> Dialect:
        raise NotImplementedError("give the fixture `dialect`")

    @pytest.fixture
    def documents(self) -> Sequence[Mapping[str, Any]]:
        raise NotImplementedError("give the fixture `documents`")

    def test_it_recognises_its_own_and_nothing_else(
        self, dialect: Dialect, documents: Sequence[Mapping[str, Any]]
    ) -> None:
        """A dialect recognises what is written in it, by keys alone, and nothing that is not: not
        an empty file and no file of another tool."""
        for data in documents:
            assert dialect.recognises(document_of(data)), f"it does not recognise {list(data)}"
        for data in FOREIGN:
            assert not dialect.recognises(document_of(data)), f"it recognises {list(data)}"

    def test_it_leaves_the_document_as_it_is(
        self, dialect: Dialect, documents: Sequence[Mapping[str, Any]]
    ) -> None:
        """Neither recognising nor reading changes the document."""
        for data in documents:
            document = document_of(data)
            dialect.recognises(document)
            dialect.read(document)
            assert document.data == data, f"{list(data)} was changed"

    def test_it_reads_pipelines(
        self, dialect: Dialect, documents: Sequence[Mapping[str, Any]]
    ) -> None:
        """What is read is a pipeline without problems: every step of a pipe is a component, every
        component has a role and says what it uses."""
        for data in documents:
            document = document_of(data)
            spec = dialect.read(document)
            assert isinstance(spec, PipelineSpec)
            assert document.problems == [], f"it found problems: {document.problems[0]}"
            assert spec.pipes, "there is no pipe"
            for pipe in spec.pipes.values():
                for step in pipe:
                    assert step.name in spec.components, f"{step.name!r} is no component"
            for one in spec.components.values():
                assert one.role in ROLES, f"{one.name} has the role {one.role!r}"
                assert one.use, f"{one.name} uses nothing"

    def test_an_unknown_key_is_a_problem_and_no_exception(
        self, dialect: Dialect, documents: Sequence[Mapping[str, Any]]
    ) -> None:
        """What is wrong with a document is noted in its `problems`, all of it and with its place;
        a key that means nothing is."""
        for data in documents:
            document = document_of({**data, "zzz_unknown": 1})
            dialect.read(document)
            assert any("zzz_unknown" in str(one) for one in document.problems), (
                f"the key 'zzz_unknown' was passed over; problems: {document.problems}"
            )


class SyntaxSuite(Suite):
    """An author gives the fixture `syntax`, and `write`: a function that gives the text of a
    mapping, each key of a nested mapping on a line of its own."""

    @pytest.fixture
    def syntax(self) -> Syntax:
        raise NotImplementedError("give the fixture `syntax`")

    @pytest.fixture
    def write(self) -> Callable[[Mapping[str, Any]], str]:
        raise NotImplementedError("give the fixture `write`")

    def test_values_come_back(
        self, syntax: Syntax, write: Callable[[Mapping[str, Any]], str]
    ) -> None:
        """Text, numbers, truth, lists and mappings come back as they were written."""
        data = {
            "inputs": {"a": {"use": "csv", "path": "x.csv", "retry": 3, "ratio": 1.5, "on": True}},
            "pipes": {"main": ["a", "b"], "none": []},
            "text": {"odd": "a: #b \"'\\é😀", "empty": "", "number": "12", "no": "no"},
            "big": 2**70,
        }
        assert syntax.parse(write(data), "file").data == data

    def test_every_key_has_its_place(
        self, syntax: Syntax, write: Callable[[Mapping[str, Any]], str]
    ) -> None:
        """Of every key it is known in which line of which file it stands."""
        text = write({"inputs": {"first": {"use": "csv"}, "second": {"use": "json"}}})
        document = syntax.parse(text, "pipeline.txt")
        for name in ("first", "second"):
            place = document.place("inputs", name, "use")
            lines = text.splitlines()
            expected = next(n for n, line in enumerate(lines, 1) if name in line)
            assert place.file == "pipeline.txt"
            assert expected <= place.line <= expected + 1, (
                f"inputs.{name}.use stands at line {place.line}, not {expected}"
            )

    def test_broken_text_is_a_sentence_with_its_place(
        self, syntax: Syntax, write: Callable[[Mapping[str, Any]], str]
    ) -> None:
        """Text that cannot be parsed raises ConfigError, which names the file, and never anything
        else."""
        whole = write({"inputs": {"a": {"use": "csv"}}})
        for text in ("\x00", "{" * 10_000, "[" * 10_000, "&a *a", whole + "\x01", "}", "- : ["):
            try:
                syntax.parse(text, "pipeline.txt")
            except ConfigError as error:
                assert "pipeline.txt" in str(error), f"{text[:10]!r}: {error}"
            except Exception as error:
                raise AssertionError(f"{text[:10]!r}: {type(error).__name__}: {error}") from error
