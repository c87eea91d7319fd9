import os
import shutil
import subprocess
from pathlib import Path

import pytest

from penstock.errors import Place
from penstock.placeholders import UnavailableError, environment, expand, git, pipeline
from penstock.spec import Document

VARIABLES = {"X": "one", "Y_2": "two", "EMPTY": "", "ODD": "a: [${X}] $${X} }"}


def expanded(text, *resolvers):
    """What a text becomes, and what is wrong with it."""
    document = Document({"a": [{"b": text}]}, {("a", 0, "b"): Place("p", 3, 5)}, "p")
    data, problems, _ = expand(document, [environment(VARIABLES), *resolvers])
    assert all(problem.hint for problem in problems)
    return data["a"][0]["b"], [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${X}", "one"),
        ("<${X}/${Y_2}>", "<one/two>"),
        ("${env.X}", "one"),
        ("${EMPTY}", ""),
        ("${X:-other}", "one"),
        ("${X:?needed}", "one"),
        ("${NO:-other}", "other"),
        ("${NO:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${env.NO:-a: b\n'c' :-d}", "a: b\n'c' :-d"),
        ("$${X}", "${X}"),
        ("$${X} ${X} $${", "${X} one ${"),
        ("$$${X}", "$${X}"),
        ("$X $ 5$ {X}", "$X $ 5$ {X}"),
        ("}${X}}", "}one}"),
    ],
)
def test_a_placeholder_becomes_its_value(text, value):
    assert expanded(text) == (value, [])


def test_a_value_is_never_looked_at_again():
    assert expanded("${ODD}") == ("a: [${X}] $${X} }", [])


WHERE = "p:3:5: a.0.b: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NO}", "variable 'NO' is not set; set it, or write ${NO:-default}"),
        ("${env.NO}", "variable 'NO' is not set; set it, or write ${env.NO:-default}"),
        ("${NO:?name the shop}", "name the shop; set it"),
        ("${EMPTY:?}", "variable 'EMPTY' is empty; set it"),
        ("${X", "'${' is never closed; add '}', or write '$${' for the text '${'"),
        ("${X:-${Y_2}}", "'${X' holds another placeholder; give it a plain default"),
        (
            "${X-secret}",
            (
                "'${X' does not begin a placeholder; "
                "write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $${ for plain text"
            ),
        ),
        (
            "${}",
            (
                "'${' does not begin a placeholder; "
                "write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $${ for plain text"
            ),
        ),
        (
            "${gti.root}",
            "nothing provides the placeholder '${gti.root}'; did you mean ${git.root}?",
        ),
        (
            "${git.rot:-x}",
            "nothing provides the placeholder '${git.rot}'; did you mean ${git.root}?",
        ),
        (
            "${enw.HOME}",
            "nothing provides the placeholder '${enw.HOME}'; did you mean ${env.HOME}?",
        ),
        (
            "${git.commit}",
            (
                "nothing provides the placeholder '${git.commit}'; "
                "there are ${git.root}, ${git.branch}, ${git.rev}"
            ),
        ),
        (
            "${vault.x}",
            (
                "nothing provides the placeholder '${vault.x}'; there are ${git.root}, "
                "${git.branch}, ${git.rev}, ${pipeline.dir}, ${pipeline.name}, ${pipeline.file}"
            ),
        ),
    ],
)
def test_says_where_what_is_wrong_and_what_to_do(text, message):
    assert expanded(text)[1] == [WHERE + message]


def test_every_problem_is_told_in_file_order():
    _, problems = expanded("${NO} and ${git.x} and ${X-}")
    assert [problem.split("'")[1] for problem in problems] == ["NO", "${git.x}", "${X"]


def test_only_texts_change_and_the_document_stays_as_it_was():
    data = {"${X}": ["${X}", 1, None, True, {"k": "${Y_2}"}], "n": {}}
    document = Document(data, {}, "p")
    result, problems, outside = expand(document, [environment(VARIABLES)])
    assert result == {"${X}": ["one", 1, None, True, {"k": "two"}], "n": {}}
    assert document.data["${X}"][4] == {"k": "${Y_2}"}
    assert (problems, outside) == ([], {"one", "two"})


def test_values_from_outside_are_known_so_that_they_can_be_masked():
    def vault(name):
        return "hunter2" if name == "vault.shop/password" else None

    text = "${X} ${NO:-default} ${EMPTY} ${pipeline.name} ${vault.shop/password}"
    document = Document({"a": text}, {}, "p")
    resolvers = [environment(VARIABLES), pipeline(Path("orders.yaml")), vault]
    data, problems, outside = expand(document, resolvers)
    assert data == {"a": "one default  orders hunter2"}
    assert (problems, outside) == ([], {"one", "hunter2"})


def test_the_first_resolver_that_knows_a_name_gives_its_value():
    assert expanded("${X} ${Z}", lambda name: f"<{name}>") == ("one <Z>", [])


def test_texts_without_a_dollar_ask_no_resolver():
    def angry(name):
        raise AssertionError(name)

    assert expand(Document({"a": "{X} b"}, {}, "p"), [angry])[0] == {"a": "{X} b"}


def test_a_default_stands_in_for_what_is_unavailable_but_not_for_a_mistake():
    def vault(name):
        raise UnavailableError("the vault is sealed", "unseal it")

    assert expanded("${vault.a:-b}", vault) == ("b", [])
    assert expanded("${vault.a}", vault)[1] == [f"{WHERE}the vault is sealed; unseal it"]
    assert expanded("${vault.a:?no vault}", vault)[1] == [f"{WHERE}no vault; unseal it"]


def test_the_pipeline_knows_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "${pipeline.dir}|${pipeline.name}|${pipeline.file}"
    value, problems = expanded(text, pipeline(Path("jobs/shop.orders.yaml")))
    assert value == f"{tmp_path / 'jobs'}|shop.orders|shop.orders.yaml"
    assert problems == []


def test_a_pipeline_without_a_file_says_so():
    assert expanded("${pipeline.dir}", pipeline(None))[1] == [
        f"{WHERE}this pipeline was not read from a file; write the value itself"
    ]
    assert expanded("${pipeline.dir:-.}", pipeline(None)) == (".", [])


# --- git


@pytest.fixture
def call_git(tmp_path, monkeypatch):
    """Runs git in a fresh folder, away from any configuration or repository of this machine."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def call(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return call


def test_git_tells_root_branch_and_revision(call_git, tmp_path):
    call_git("init", "-q")
    call_git("checkout", "-q", "-b", "feature/a")
    call_git("commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "jobs").mkdir()
    resolve = git(tmp_path / "jobs")
    assert Path(resolve("git.root")).samefile(tmp_path)
    assert resolve("git.branch") == "feature/a"
    assert resolve("git.rev") == call_git("rev-parse", "HEAD")
    assert resolve("git.other") is None
    assert resolve("X") is None


def test_git_answers_for_the_folder_of_the_pipeline_even_in_a_hook(call_git, tmp_path, monkeypatch):
    call_git("init", "-q")
    monkeypatch.setenv("GIT_DIR", os.devnull)
    assert Path(git(tmp_path)("git.root")).samefile(tmp_path)


DEFAULT = "or write a default, as in ${git.rev:-unknown}"


def test_no_commit_and_no_branch_are_told(call_git, tmp_path):
    call_git("init", "-q")
    expected = f"{WHERE}the git repository of {tmp_path} has no commit yet; commit first, {DEFAULT}"
    assert expanded("${git.rev}", git(tmp_path))[1] == [expected]
    call_git("commit", "-q", "--allow-empty", "-m", "first")
    call_git("checkout", "-q", "--detach")
    expected = f"{WHERE}no branch is checked out in {tmp_path}; check one out, {DEFAULT}"
    assert expanded("${git.branch}", git(tmp_path))[1] == [expected]


def test_a_folder_outside_a_repository_is_told(call_git, tmp_path):
    expected = f"{WHERE}{tmp_path} is not in a git repository; run it in a clone, {DEFAULT}"
    assert expanded("${git.root}", git(tmp_path))[1] == [expected]
    assert expanded("${git.rev:-unknown}", git(tmp_path)) == ("unknown", [])


def test_other_words_of_git_are_passed_on(call_git, tmp_path):
    expected = f"{WHERE}git cannot tell: cannot change to "
    (message,) = expanded("${git.root}", git(tmp_path / "missing"))[1]
    assert message.startswith(expected)
    assert message.endswith(f"; correct that, {DEFAULT}")


@pytest.fixture
def fake_run(monkeypatch):
    """Counts the calls of git, which ends as it is told to."""
    calls = []

    def use(outcome):
        def run(command, **_):
            calls.append(command[3:])
            if isinstance(outcome, BaseException):
                raise outcome
            return subprocess.CompletedProcess(command, 0, outcome, "")

        monkeypatch.setattr(subprocess, "run", run)
        return calls

    return use


def test_git_is_asked_only_when_needed_and_once_for_each_name(fake_run, tmp_path):
    calls = fake_run("abc\n")
    resolver = git(tmp_path)
    assert expanded("${X}", resolver) == ("one", [])
    assert calls == []
    assert expanded("${git.rev} ${git.rev}", resolver) == ("abc abc", [])
    assert len(calls) == 1


def test_a_machine_without_git_is_told(fake_run, tmp_path):
    fake_run(FileNotFoundError())
    expected = f"{WHERE}the git command is not installed; install it, {DEFAULT}"
    assert expanded("${git.rev}", git(tmp_path))[1] == [expected]


def test_git_that_hangs_is_told(fake_run, tmp_path):
    fake_run(subprocess.TimeoutExpired("git", 30))
    expected = f"{WHERE}git did not answer in 30 s; try again, {DEFAULT}"
    assert expanded("${git.rev}", git(tmp_path))[1] == [expected]
