"""Placeholders such as `${VAR:-default}`, replaced in text after the file has been parsed.

A placeholder becomes part of one text and is not looked at again, so no value from outside can
add keys, lists or further placeholders to a pipeline.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import Problem, nearest

if TYPE_CHECKING:
    from .spec import Document

__all__ = ["Resolver", "UnavailableError", "environment", "expand", "git", "pipeline"]

Resolver = Callable[[str], "str | None"]
"""Gets what stands in the braces, as in "VAR" or "git.root"; None when it does not know the name.

It may raise `UnavailableError` when it knows the name but there is no value for it now.
"""

_FIND = re.compile(r"\$\$\{|\$\{")
_PARTS = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[^\s:{}$]+)?)(?::([-?])(.*))?", re.DOTALL)
_HEAD = re.compile(r"[\w.]*")
_KNOWN = {"git": ("root", "branch", "rev"), "pipeline": ("dir", "name", "file")}
_PUBLIC = ("git.", "pipeline.")


class UnavailableError(LookupError):
    """Raised by a resolver: the name is right, but it has no value here; a default may stand in."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def expand(
    document: Document, resolvers: Sequence[Resolver]
) -> tuple[dict[str, Any], list[Problem], set[str]]:
    """A copy of the document's data with every placeholder in a text replaced.

    Also gives all problems, and the values that came from outside (neither defaults nor git or the
    pipeline's own name), so that they can be masked. Keys are left as they are.
    """
    expansion = _Expansion(document, resolvers)
    data = {key: expansion.value(value, (key,)) for key, value in document.data.items()}
    return data, expansion.problems, expansion.outside


class _Expansion:
    def __init__(self, document: Document, resolvers: Sequence[Resolver]) -> None:
        self.document = document
        self.resolvers = resolvers
        self.problems: list[Problem] = []
        self.outside: set[str] = set()

    def value(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            return self.text(value, path) if "$" in value else value
        if isinstance(value, dict):
            return {key: self.value(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*path, index)) for index, inner in enumerate(value)]
        return value

    def text(self, text: str, path: tuple[str | int, ...]) -> str:
        done: list[str] = []
        at = 0
        while found := _FIND.search(text, at):
            done.append(text[at : found.start()])
            at = found.end()
            if found.group() == "$${":
                done.append("${")
                continue
            end = text.find("}", at)
            if end < 0:
                what = "'${' is never closed"
                self.problem(what, path, "add '}', or write '$${' for the text '${'")
                return "".join(done)
            done.append(self.placeholder(text[at:end], path))
            at = end + 1
        return "".join([*done, text[at:]])

    def placeholder(self, inside: str, path: tuple[str | int, ...]) -> str:
        parts = _PARTS.fullmatch(inside)
        if parts is None or "${" in inside:
            shown = _HEAD.match(inside)  # only the name: the rest may hold a secret
            start = "${" + (shown.group() if shown else "")
            if "${" in inside:
                what, hint = f"{start!r} holds another placeholder", "give it a plain default"
            else:
                what = f"{start!r} does not begin a placeholder"
                hint = "write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $${ for plain text"
            self.problem(what, path, hint)
            return ""
        name, operator, rest = parts.groups()
        try:
            found = self.resolve(name)
        except UnavailableError as error:
            if operator != "-":
                self.problem(rest or error.what, path, error.hint)
            return rest or ""
        if found or (found is not None and not operator):
            return found
        if "." in name and found is None and not name.startswith("env."):
            self.unknown(name, path)
            return ""
        if operator != "-":
            state = "not set" if found is None else "empty"
            what = rest or f"variable {name.removeprefix('env.')!r} is {state}"
            hint = "set it" if operator else f"set it, or write ${{{name}:-default}}"
            self.problem(what, path, hint)
            return ""
        return str(rest)

    def resolve(self, name: str) -> str | None:
        for resolver in self.resolvers:
            found = resolver(name)
            if found is not None:
                if found and not name.startswith(_PUBLIC):
                    self.outside.add(found)
                return found
        return None

    def unknown(self, name: str, path: tuple[str | int, ...]) -> None:
        what = f"nothing provides the placeholder '${{{name}}}'"
        self.problem(what, path, _instead_of(*name.split(".", 1)))

    def problem(self, what: str, path: tuple[str | int, ...], hint: str) -> None:
        self.problems.append(self.document.problem(what, *path, hint=hint))


def _instead_of(namespace: str, rest: str) -> str:
    namespace = nearest(namespace, ("env", *_KNOWN)) or ""
    if namespace == "env":
        return f"did you mean ${{env.{rest}}}?"
    found = nearest(rest, _KNOWN.get(namespace, ()))
    if found:
        return f"did you mean ${{{namespace}.{found}}}?"
    names = [
        f"${{{one}.{name}}}" for one in _KNOWN for name in _KNOWN[one] if namespace in ("", one)
    ]
    return f"there are {', '.join(names)}"


def environment(environ: Mapping[str, str]) -> Resolver:
    """`${VAR}` and `${env.VAR}`."""

    def resolve(name: str) -> str | None:
        variable = name.removeprefix("env.")
        return None if "." in name and variable == name else environ.get(variable)

    return resolve


def pipeline(path: Path | None) -> Resolver:
    """`${pipeline.dir}`, `.name` and `.file`: the folder, the name without suffix, and with it."""

    def resolve(name: str) -> str | None:
        if name not in ("pipeline.dir", "pipeline.name", "pipeline.file"):
            return None
        if path is None:
            raise UnavailableError(
                "this pipeline was not read from a file", "write the value itself"
            )
        full = Path(os.path.abspath(path))
        return {"dir": str(full.parent), "name": full.stem, "file": full.name}[name[9:]]

    return resolve


def git(directory: Path) -> Resolver:
    """`${git.root}`, `${git.branch}` and `${git.rev}` of the repository around a folder.

    Asks the git command, at most once for each name and only when the name is used.
    """
    known: dict[str, str] = {}

    def resolve(name: str) -> str | None:
        if name not in _GIT:
            return None
        if name not in known:
            known[name] = _ask_git(directory, *_GIT[name])
        return known[name]

    return resolve


_GIT = {
    "git.root": ("rev-parse", "--show-toplevel"),
    "git.branch": ("symbolic-ref", "--short", "HEAD"),
    "git.rev": ("rev-parse", "--verify", "HEAD"),
}
_REASONS = (
    ("not a git repository", "{} is not in a git repository", "run it in a clone"),
    ("not a symbolic ref", "no branch is checked out in {}", "check one out"),
    ("single revision", "the git repository of {} has no commit yet", "commit first"),
)


def _ask_git(directory: Path, *arguments: str) -> str:
    import subprocess  # 3 ms, and few pipelines ask git

    # A git hook sets GIT_DIR and its like, which would answer for another folder than ours.
    environ = {key: text for key, text in os.environ.items() if not key.startswith("GIT_")}
    environ["LC_ALL"] = "C"
    command = ["git", "-C", str(directory), *arguments]
    default = "or write a default, as in ${git.rev:-unknown}"
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environ,
            timeout=30,
        )
    except FileNotFoundError:
        raise UnavailableError(
            "the git command is not installed", f"install it, {default}"
        ) from None
    except subprocess.TimeoutExpired:
        raise UnavailableError("git did not answer in 30 s", f"try again, {default}") from None
    if done.returncode == 0:
        return done.stdout.removesuffix("\n")
    said = done.stderr.strip().removeprefix("fatal: ").partition("\n")[0]
    for sign, what, hint in _REASONS:
        if sign in said:
            raise UnavailableError(what.format(directory), f"{hint}, {default}")
    raise UnavailableError(f"git cannot tell: {said}", f"correct that, {default}")
