"""What the documentation shows is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from docpages import INSTALLS_ITSELF, Environment, Page, blocks, commands, matches
from repository import REPO

PAGES = [
    path
    for pattern in (
        "*.md",
        "benchmarks/*.md",
        "docs/**/*.md",
        "packages/*/README.md",
        "examples/*/README.md",
    )
    for path in sorted(REPO.glob(pattern))
    if not INSTALLS_ITSELF.search(path.read_text("utf-8"))  # tests/install runs those
]


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(REPO)) for path in PAGES])
def test_what_the_page_shows_is_what_happens(path, tmp_path):
    assert "\n".join(Page(path, tmp_path).problems()) == ""


def problems(tmp_path: Path, text: str, environment: Environment | None = None) -> list[str]:
    page = tmp_path / "page.md"
    page.write_text(text)
    (tmp_path / "folder").mkdir()
    return list(Page(page, tmp_path / "folder", environment).problems())


def fenced(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])


def test_a_file_is_written_and_used_by_the_commands_after_it(tmp_path):
    text = "`data/a.csv`:\n\n" + fenced("csv", "id", "1")
    text += fenced("console", "$ cat data/a.csv", "id", "1")
    assert problems(tmp_path, text) == []


def test_a_name_in_the_first_line_of_a_language_without_comments_is_a_problem(tmp_path):
    [problem] = problems(tmp_path, fenced("csv", "# data/a.csv", "id", "1"))
    assert problem == (
        "page.md:1: who copies the block gets this line with it; "
        "write '`data/a.csv`:' before the block"
    )
    assert not (tmp_path / "folder" / "data").exists()


def test_a_name_belongs_to_the_block_right_after_it():
    text = "`a.csv`:\n\n" + fenced("csv", "id") + fenced("csv", "name") + "Words.\n" + fenced("csv")
    assert [block.file_name for block in blocks(text)] == ["a.csv", None, None]


def test_a_file_of_a_language_with_comments_keeps_its_first_line(tmp_path):
    text = fenced("yaml", "# p.yaml", "a: 1") + fenced(
        "console", "$ cat p.yaml", "# p.yaml", "a: 1"
    )
    assert problems(tmp_path, text) == []


def test_output_that_differs_is_shown_beside_what_is_printed(tmp_path):
    [problem] = problems(tmp_path, "Words.\n" + fenced("console", "$ echo one", "two"))
    assert problem.startswith("page.md:3: the page shows\n    two\n")
    assert problem.endswith("what is printed is\n    one")


def test_a_command_that_fails_is_a_problem(tmp_path):
    [problem] = problems(tmp_path, fenced("console", "$ false"))
    assert problem == "page.md:2: 'false' ends with 1; if it should, show 'echo $?' after it"


def test_a_command_may_fail_when_the_page_shows_its_exit_code(tmp_path):
    assert problems(tmp_path, fenced("console", "$ (exit 3)", "$ echo $?", "3")) == []


def test_a_wrong_exit_code_is_a_problem(tmp_path):
    [problem] = problems(tmp_path, fenced("console", "$ (exit 3)", "$ echo $?", "4"))
    assert "    4\n" in problem


def test_what_is_exported_stays_for_the_next_command(tmp_path):
    assert problems(tmp_path, fenced("console", "$ export A=1", "$ echo $A", "1")) == []


def test_a_backslash_continues_a_command():
    [block] = blocks(fenced("console", "$ echo one \\", "    two", "one two"))
    [command] = commands(block)
    assert command.text == "echo one \\\n    two"
    assert command.output == ["one two"]


def test_a_program_prints_what_the_text_after_it_shows(tmp_path):
    right = fenced("python", "print(1 + 1)") + fenced("text", "2")
    assert problems(tmp_path, right) == []


def test_a_program_that_prints_something_else_is_a_problem(tmp_path):
    [problem] = problems(tmp_path, fenced("python", "print(1 + 1)") + fenced("text", "3"))
    assert "the page shows\n    3" in problem


def test_a_program_that_raises_is_a_problem(tmp_path):
    [problem] = problems(tmp_path, fenced("python", "raise ValueError('no')"))
    assert "ValueError: no" in problem


def test_a_block_may_be_left_out_with_a_reason(tmp_path):
    text = "<!-- not run: needs a server -->\n" + fenced("console", "$ false")
    assert problems(tmp_path, text) == []
    [problem] = blocks("<!-- not run: -->\n" + fenced("console", "$ false"))
    assert problem.run


@pytest.mark.parametrize(("language", "text"), [("yaml", "a: [1"), ("toml", "a ="), ("json", "")])
def test_a_piece_of_configuration_must_be_one(tmp_path, language, text):
    [problem] = problems(tmp_path, fenced(language, text))
    assert problem.startswith(f"page.md:1: is not {language}: ")


def test_a_block_that_nothing_tries_is_a_problem(tmp_path):
    assert problems(tmp_path, fenced("sh", "false")) == [
        "page.md:1: nothing tries a block of 'sh'; write commands as console"
    ]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("pip install penstock-nothing", "there is no package 'penstock-nothing'"),
        ("make nothing", "there is no 'make nothing'"),
        ("nox -s nothing", "there is no session 'nothing'"),
    ],
)
def test_a_command_that_is_not_run_names_what_there_is(tmp_path, command, problem):
    assert problems(tmp_path, fenced("console", f"$ {command}")) == [f"page.md:2: {problem}"]


@pytest.mark.parametrize("command", ["pip install penstock", "make demo", "nox -s lint tests"])
def test_a_command_that_is_not_run_may_name_what_there_is(tmp_path, command):
    assert problems(tmp_path, fenced("console", f"$ {command}")) == []


class FakeEnvironment:
    bin = Path("/bin")
    variables = {"PLACE": "here"}

    def __init__(self) -> None:
        self.installed: list[list[str]] = []

    def pip_install(self, words: list[str], folder: Path) -> None:
        assert (folder / "pyproject.toml").exists()
        self.installed.append(words)


def test_a_page_with_an_environment_of_its_own_installs_what_it_says(tmp_path):
    environment = FakeEnvironment()
    text = fenced("toml", "# pyproject.toml", "[project]") + fenced("console", "$ pip install .")
    assert problems(tmp_path, text, environment) == []
    assert environment.installed == [["."]]


def test_an_environment_has_variables_of_its_own(tmp_path):
    text = fenced("console", "$ echo $PLACE", "here")
    assert problems(tmp_path, text, FakeEnvironment()) == []


@pytest.mark.parametrize(
    ("command", "itself"),
    [
        ("pip install .", True),
        ("pip install --editable ./plugin", True),
        ("penstock lock orders.yaml", True),
        ("pip install penstock", False),
    ],
)
def test_a_page_that_needs_an_environment_is_recognised(command, itself):
    assert bool(INSTALLS_ITSELF.search(fenced("console", f"$ {command}"))) is itself


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a"], ["a"]),
        (["..."], []),
        (["a", "...", "d"], ["a", "b", "c", "d"]),
        (["took ... s"], ["took 0.25 s"]),
        (["a  1"], ["a     1"]),
    ],
)
def test_output_matches(shown, printed):
    assert matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a"], ["b"]),
        (["a"], ["a", "b"]),
        (["took ... s"], ["took 0.25", "s"]),
        (["a", "..."], ["b", "c"]),
        (["ab"], ["a b"]),
    ],
)
def test_output_does_not_match(shown, printed):
    assert not matches(shown, printed)
