"""A glance at the text tells whether a file is a pipeline with tests."""

from __future__ import annotations

import pytest

from penstock_pipeline_tests.finding import find, has_tests, is_test_file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "pipes: {}\ntests: {}\n"),
        ("a.yml", "'tests':\n  a: {}\n\"pipes\" : {}\n"),
        ("a.toml", "[pipes]\na = []\n[tests.one]\n"),
        ("a.toml", "pipes.a = []\ntests.a.feed = {}\n"),
        ("a.json", '{"tests": {}, "pipes": {}}'),
        ("a.json", '{\n  "pipes": {},\n  "tests": {}\n}'),
    ],
)
def test_it_is(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    assert has_tests(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "pipes: {}\n"),
        ("a.yaml", "tests: {}\n"),
        ("a.yaml", "pipes: {}\nx:\n  tests: {}\n"),
        ("a.yaml", "pipes: {}\n# tests: {}\n"),
        ("a.yaml", "pipes: {}\ntestsuite: {}\n"),
        ("a.toml", "[pipes]\n[testsuite]\n"),
        ("a.json", '{"pipes": {}}'),
        ("a.txt", "pipes: {}\ntests: {}\n"),
        ("a.yaml", "\xff"),
    ],
)
def test_it_is_not(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="latin-1")
    assert not has_tests(file)


def test_a_test_file_is_known_by_its_name(tmp_path):
    for name in ("a.test.yaml", "a.test.yml", "a.test.toml", "a.b.test.json"):
        assert is_test_file(tmp_path / name)
    for name in ("a.yaml", "test.yaml", "a.test", "a.test.txt", "a_test.yaml"):
        assert not is_test_file(tmp_path / name)


def test_what_is_named_is_found_once_and_in_order(tmp_path):
    for name in ("b/two.test.yaml", "a/one.yaml", "a/one.test.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("pipes: {}\ntests: {}\n")
    found = find([tmp_path / "b", tmp_path / "a/one.yaml", tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "b/two.test.yaml",
        "a/one.yaml",
        "a/one.test.json",
    ]
