"""Reads Markdown pages into blocks and runs them as a reader would, top to bottom.

CONTRIBUTING.md, "Examples in the documentation", says what authors may write.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPO = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*$")
NOT_RUN = re.compile(r"<!-- not run: \S.*-->")
FILE_NAME = re.compile(r"^# (?P<name>[\w./-]+\.\w+)$")
NAME_BEFORE = re.compile(r"^`(?P<name>[\w./-]+\.\w+)`:$")
WITHOUT_COMMENTS = {"csv", "json", "jsonl", "text", "tsv"}
SHOWN = {"", "yaml", "toml", *WITHOUT_COMMENTS}
"""What may stand for itself: it is to be looked at, or read as what it says it is."""

INSTALLS_ITSELF = re.compile(
    r"^\$ (pip install (--editable |-e )?\.|penstock (lock|image) )", re.MULTILINE
)
"""Pages that install what they have written, or lock what is installed: not what is here in place."""

# Commands that would change the reader's machine: looked at, but not run.
ONLY_CHECKED = re.compile(r"^(cd |git |make |nox|pip install |python3? -m (pip|venv) |uv |source )")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its lines, the line of the page that it begins on."""

    language: str
    lines: tuple[str, ...]
    line: int
    run: bool = True
    name_before: str | None = None
    """The file that the line before the block names, "`orders.csv`:"."""

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def file_name(self) -> str | None:
        """The file that the block is the content of: the line before says so, or the first one, as
        `# pipeline.yaml`, where that is a comment. Whoever copies the block gets what works."""
        if self.name_before or self.language in WITHOUT_COMMENTS:
            return self.name_before
        match = FILE_NAME.match(self.lines[0]) if self.lines else None
        return match["name"] if match and self.language != "console" else None

    @property
    def misnamed(self) -> str | None:
        """The name of a file in a first line that would be a part of the file."""
        in_file = self.language in WITHOUT_COMMENTS and self.lines
        match = FILE_NAME.match(self.lines[0]) if in_file else None
        return match["name"] if match else None


@dataclass
class Command:
    """A `$` line of a console block with the output that stands under it."""

    text: str
    line: int
    output: list[str]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    found: list[Block] = []
    lines = text.splitlines()
    index, run, before = 0, True, ""
    while index < len(lines):
        fence = FENCE.match(lines[index])
        if fence:
            start = index + 1
            index = start
            while index < len(lines) and lines[index].strip() != "```":
                index += 1
            indent = len(fence["indent"])
            body = tuple(line[indent:] for line in lines[start:index])
            name = NAME_BEFORE.match(before)
            found.append(Block(fence["language"], body, start, run, name and name["name"]))
            run, before = True, ""
        elif before := lines[index].strip() or before:
            run = not NOT_RUN.match(before)
        index += 1
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a backslash at the end of one continues it."""
    found: list[Command] = []
    continued = False
    for number, line in enumerate(block.lines, block.line + 1):
        if continued:
            found[-1].text += f"\n{line.removeprefix('> ')}"
        elif line.startswith("$ "):
            found.append(Command(line[2:], number, []))
        elif found:
            found[-1].output.append(line.rstrip())
            continue
        continued = bool(found) and found[-1].text.endswith("\\")
    return found


def matches(expected: list[str], printed: list[str]) -> bool:
    """Whether the output is the one shown: a line `...` stands for any lines, `...` in a line for
    any text, and a run of spaces for any other."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pieces = [re.escape(piece) for piece in re.sub(r" +", " ", line.rstrip()).split("...")]
            pattern += ".*?".join(pieces) + r"\n"
    text = "".join(re.sub(r" +", " ", line.rstrip()) + "\n" for line in printed)
    return re.fullmatch(pattern, text) is not None


class Environment(Protocol):
    """A virtual environment of a page's own: `pip install` on the page is `install` here."""

    @property
    def bin(self) -> Path: ...

    @property
    def variables(self) -> dict[str, str]:
        """What commands find in their environment besides."""

    def pip_install(self, words: list[str], folder: Path) -> None: ...


class Shell:
    """Runs commands one by one in a folder; `$?` and what was exported are there for the next."""

    def __init__(self, folder: Path, bin: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.status = 0
        self.exports: list[str] = []
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "TMPDIR") if name in os.environ}
        self.environment = {
            **kept,
            "PATH": f"{bin}{os.pathsep}{os.defpath}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            **(variables or {}),
        }

    def __call__(self, command: str) -> list[str]:
        """The lines that the command prints, on stdout and stderr together."""
        if command.startswith("export "):
            self.exports.append(command)
        return self._run(
            ["bash", "-c", "\n".join([*self.exports, f"(exit {self.status})", command])]
        )

    def python(self, program: str) -> list[str]:
        return self._run(["python", "-c", program])

    def _run(self, command: list[str]) -> list[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=100,
            check=False,
        )
        self.status = done.returncode
        return done.stdout.splitlines()


class Page:
    """A page of documentation, run in a folder of its own.

    The folder of a README under examples/ begins as a copy of that example. In an `environment`,
    `pip install` is run too; without one, commands are those that are installed here.
    """

    def __init__(self, path: Path, folder: Path, environment: Environment | None = None) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8")
        self.installs_itself = INSTALLS_ITSELF.search(text) is not None
        self.blocks = blocks(text)
        self.environment = environment
        if environment is None:
            self.shell = Shell(folder, Path(sys.executable).parent)
        else:
            self.shell = Shell(folder, environment.bin, environment.variables)
        self.folder = folder
        if path.parent.parent == REPO / "examples":
            left_behind = shutil.ignore_patterns(".penstock", "out")
            shutil.copytree(path.parent, folder, ignore=left_behind, dirs_exist_ok=True)

    def problems(self) -> Iterator[str]:
        """Everything on the page that is not as it says, as sentences."""
        for position, block in enumerate(self.blocks):
            following = self.blocks[position + 1] if position + 1 < len(self.blocks) else None
            for line, problem in self._run(block, following):
                yield f"{self.path.name}:{line}: {problem}"

    def _run(self, block: Block, following: Block | None) -> Iterator[tuple[int, str]]:
        if not block.run:
            return
        if block.misnamed:
            yield (
                block.line,
                f"who copies the block gets this line with it; write '`{block.misnamed}`:' "
                "before the block",
            )
        elif block.file_name:
            target = self.folder / block.file_name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            yield from self._run_console(block)
        elif block.language == "python":
            printed = self.shell.python(block.text)
            shown = following if following and following.language == "text" else None
            if self.shell.status:
                yield block.line, "\n".join(["the program fails", *printed])
            elif shown and not shown.file_name and not matches(list(shown.lines), printed):
                yield shown.line, difference(list(shown.lines), printed)
        elif problem := unreadable(block):
            yield block.line, problem

    def _run_console(self, block: Block) -> Iterator[tuple[int, str]]:
        todo = commands(block)
        if not todo:
            yield block.line, "a console block without a command; begin one with '$ '"
        for command, following in zip(todo, [*todo[1:], None], strict=True):
            if ONLY_CHECKED.match(command.text):
                yield from ((command.line, p) for p in unknown_names(command.text))
                if self.environment and command.text.startswith("pip install "):
                    words = shlex.split(command.text, comments=True)[2:]
                    self.environment.pip_install(words, self.folder)
                continue
            printed = self.shell(command.text)
            looked_at = following is not None and following.text == "echo $?"
            if self.shell.status and not looked_at:
                status = f"{command.text!r} ends with {self.shell.status}"
                what = f"{status}; if it should, show 'echo $?' after it"
                yield command.line, "\n".join([what, *printed])
            elif command.output and not matches(command.output, printed):
                yield command.line, difference(command.output, printed)


def difference(expected: list[str], printed: list[str]) -> str:
    shown = "".join(f"\n    {line}" for line in expected)
    real = "".join(f"\n    {line}" for line in printed)
    return f"the page shows{shown}\n  and what is printed is{real}"


def unreadable(block: Block) -> str | None:
    """A piece of configuration that stands for itself must at least be one."""
    try:
        if block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
    except (ValueError, yaml.YAMLError) as error:
        return f"is not {block.language}: {error}"
    if block.language not in SHOWN:
        return f"nothing tries a block of {block.language!r}; write commands as console"
    return None


def unknown_names(command: str) -> Iterator[str]:
    """What a command that is not run names, and this repository does not have."""
    distributions = {
        "penstock" if path.parent.name == "core" else f"penstock-{path.parent.name}"
        for path in REPO.glob("packages/*/pyproject.toml")
    }
    words = shlex.split(command, comments=True)
    if "install" in words:
        for word in words[words.index("install") + 1 :]:
            name = re.split(r"[\[=<>~!]", word)[0]
            if re.match(r"penstock\b", name) and name not in distributions:
                yield f"there is no package {name!r}"
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
        names = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        yield from (f"there is no 'make {name}'" for name in names if name not in targets)
    if words[0] == "nox" and len(words) > 2:
        source = (REPO / "noxfile.py").read_text(encoding="utf-8")
        own = words[: words.index("--")] if "--" in words else words  # the rest is the session's
        for name in own[own.index("-s") + 1 :] if "-s" in own else []:
            session = re.split(r"[-(]", name)[0]
            if not re.search(rf"^def {session}_?\(session", source, re.MULTILINE):
                yield f"there is no session {name!r}"
