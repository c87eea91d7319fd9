"""Writes the parts of the documentation that follow from the code.

    python docs/generate.py            write them
    python docs/generate.py --check    say which pages are out of date, and end with 1 if any is

A part stands between `<!-- generated: name -->` and `<!-- end -->`; what is around it is written by
hand. Every package of the repository must be installed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import penstock
from penstock import errors
from penstock.cli import COMMANDS
from penstock.hookspecs import PROVIDERS, Hooks
from penstock.native import EpochOptions, ReservedOptions, reserved_keys
from penstock.options import ByteSize, Option, options_of, type_name
from penstock.plugins import Plugins, Provided
from penstock.promises import PROMISES, SEVERAL
from penstock.spec import ROLES

REPO = Path(__file__).resolve().parents[1]
PAGES = [REPO / "README.md", *sorted(REPO.glob("docs/**/*.md"))]

PART = re.compile(
    r"(?<=<!-- generated: )(?P<name>[a-z ]+) -->\n(?P<text>.*?)(?=<!-- end -->)", re.S
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what follows from the code into the docs.")
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    check = parser.parse_args().check
    old = [path for path in PAGES if renewed(text := path.read_text(encoding="utf-8")) != text]
    for path in old:
        print(f"{path.relative_to(REPO)}: {'is out of date' if check else 'written'}")
        if not check:
            path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if check and old else 0


def renewed(page: str) -> str:
    """The page with every generated part as the code says it should be."""

    def part(found: re.Match[str]) -> str:
        if found["name"] not in PARTS:
            raise SystemExit(f"there is no part {found['name']!r}; there are {', '.join(PARTS)}")
        text = "\n".join(PARTS[found["name"]]()).strip()
        return f"{found['name']} -->\n\n{text}\n\n"

    return PART.sub(part, page)


# ---- components ---------------------------------------------------------------------------------


def ours(kind: str) -> list[Provided]:
    """Everything of a kind that the packages of this repository provide, by name."""
    distributions = {project(path)["name"] for path in REPO.glob("packages/*/pyproject.toml")}
    found = [one for ones in Plugins().names(kind).values() for one in ones]
    return sorted((one for one in found if one.plugin in distributions), key=lambda one: one.name)


def components(kind: str) -> Iterator[str]:
    for one in ours(kind):
        cls = one.load()
        yield f"### {one.name}"
        yield ""
        yield inspect.getdoc(cls) or ""
        yield ""
        yield f"Comes with `{one.plugin}`.{facts(kind, cls)}"
        yield ""
        yield from option_table(options_of(cls))
        yield ""


def facts(kind: str, cls: Any) -> str:
    if kind == "output":
        known = isinstance(cls.delivery, str)
        return f" Delivery: {f'`{cls.delivery}`' if known else 'depends on its options'}."
    return ""


def option_table(options: Mapping[str, Option]) -> Iterator[str]:
    if not options:
        yield "It takes no options."
        return
    yield "| option | value | default | |"
    yield "|---|---|---|---|"
    for option in options.values():
        about = option.help
        if option.example is not None:
            about += f" Example: `{as_written(option.example)}`"
        if option.secret:
            about += " Secret."
        cells = [f"`{option.name}`", type_name(option.type), default_of(option), about]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def default_of(option: Option) -> str:
    if option.required:
        return "required"
    if option.default is None:
        return ""
    if type_name(option.type) == type_name(ByteSize):
        return f"`{size(option.default)}`"
    return f"`{as_written(option.default)}`"


def size(count: int) -> str:
    """A number of bytes with the unit that leaves the least to read."""
    for unit, factor in (("MiB", 2**20), ("KiB", 2**10)):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def as_written(value: Any) -> str:
    """A value as it stands in a YAML file."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value):
        return value
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def kinds_without_options(*kinds: str) -> Iterator[str]:
    yield "| kind | name | comes with | |"
    yield "|---|---|---|---|"
    for kind in kinds:
        for one in ours(kind):
            yield f"| {kind} | `{one.name}` | `{one.plugin}` | {first_line(one.load())} |"


# ---- the native file ----------------------------------------------------------------------------


def reserved() -> Iterator[str]:
    yield "| key | value | default | in | |"
    yield "|---|---|---|---|---|"
    for name, option in options_of(ReservedOptions).items():
        roles = [ROLES[role] for role in ROLES if name in reserved_keys(role)]
        where = "all" if len(roles) == len(ROLES) else ", ".join(roles)
        cells = [f"`{name}`", type_name(option.type), default_of(option), where, option.help]
        yield f"| {' | '.join(cells)} |"


# ---- hooks --------------------------------------------------------------------------------------


def hooks(group: str) -> Iterator[str]:
    for name in [name for name in vars(Hooks) if name.startswith("penstock_")]:
        if (name in PROVIDERS.values()) != (group == "provide"):
            continue
        function = getattr(Hooks, name)
        signature = str(inspect.signature(function)).replace("(self, ", "(").replace("(self)", "()")
        yield f"### `{name}{signature.replace(chr(39), '')}`"
        yield ""
        yield inspect.getdoc(function) or ""
        yield ""


# ---- the command line ---------------------------------------------------------------------------


def commands() -> Iterator[str]:
    for name, about in COMMANDS.items():
        module = importlib.import_module(f"penstock.cli.{'list_' if name == 'list' else name}")
        parser = argparse.ArgumentParser(prog=f"penstock {name}")
        module.arguments(parser)
        yield f"### `penstock {name}`"
        yield ""
        yield f"{about[:1].upper()}{about[1:]}."
        yield ""
        yield from arguments(parser)


def arguments(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    nested: list[tuple[str, argparse.ArgumentParser]] = []
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            nested.extend(action.choices.items())
        elif not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
            rows.append(f"| {shown(action)} | {(action.help or '').replace('|', chr(92) + '|')} |")
    if rows:
        yield from ["| argument | |", "|---|---|", *rows, ""]
    for name, inner in nested:
        yield from [f"`{parser.prog} {name}`", ""]
        yield from arguments(inner)


def shown(action: argparse.Action) -> str:
    """An argument as it is typed."""
    metavar = action.metavar
    if metavar is None:
        choices = "\\|".join(map(str, action.choices)) if action.choices else None
        metavar = choices or (action.dest if not action.option_strings else action.dest.upper())
    if not action.option_strings:
        return f"`{metavar}`" if action.required else f"`[{metavar}]`"
    value = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


# ---- errors -------------------------------------------------------------------------------------


def exit_codes() -> Iterator[str]:
    yield "| class | exit code | |"
    yield "|---|---|---|"
    for name in errors.__all__:
        one = getattr(errors, name)
        if isinstance(one, type) and issubclass(one, errors.PenstockError):
            about = " ".join((inspect.getdoc(one) or "").split())
            yield f"| `{name}` | {one.exit_code} | {about} |"


def for_authors() -> Iterator[str]:
    yield "| class | |"
    yield "|---|---|"
    for one in (errors.RecordError, errors.TransientError, errors.Skip):
        about = " ".join((inspect.getdoc(one) or "").split())
        yield f"| `{one.__name__}` | {about} |"


# ---- Python -------------------------------------------------------------------------------------


def names() -> Iterator[str]:
    yield "| name | |"
    yield "|---|---|"
    for name in penstock.__all__:
        one = getattr(penstock, name)
        about = first_line(one) if callable(one) and inspect.getdoc(one) else ALIASES[name]
        yield f"| `{name}` | {about} |"


ALIASES = {
    "BATCH_SIZE": "Records in a batch, where an input has no reason for another number.",
    "ByteSize": "The type of an option in bytes; in a file also text such as `64KiB`.",
    "Duration": "The type of an option in seconds; in a file also text such as `30s`.",
    "hookimpl": "Marks a function as the implementation of the hook of the same name.",
}
"""Names that cannot have a docstring of their own."""


# ---- packages -----------------------------------------------------------------------------------


def packages() -> Iterator[str]:
    provided: dict[str, list[str]] = {}
    for kind in PROVIDERS:
        for one in ours(kind):
            if kind in ROLES:
                provided.setdefault(one.plugin, []).append(f"`{one.name}`")
    yield "| package | what it is for | provides |"
    yield "|---|---|---|"
    folders = sorted(path.parent for path in REPO.glob("packages/*/pyproject.toml"))
    for folder in sorted(folders, key=lambda folder: folder.name != "core"):
        about = project(folder / "pyproject.toml")
        brings = provided.get(about["name"], [])
        link = f"[{about['name']}](packages/{folder.name}/README.md)"
        yield f"| {link} | {about['description']} | {' '.join(brings)} |"


def project(path: Path) -> Mapping[str, str]:
    """The name and the description in a pyproject.toml."""
    text = path.read_text(encoding="utf-8")
    return dict(re.findall(r'^(name|description) = "(.*)"$', text, re.MULTILINE))


def first_line(documented: Any) -> str:
    """The first sentence of a docstring, in one line."""
    paragraph = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def promises() -> Iterator[str]:
    yield "| input | output | after a kill | after a power cut | after a lost reply | rests on |"
    yield "|---|---|---|---|---|---|"
    rows = {**PROMISES, ("replayable", "several transactional"): SEVERAL}
    for (capability, delivery), one in rows.items():
        sentences = (one.kill, one.power_cut, one.lost_reply, one.needs)
        yield f"| {capability} | {delivery} | {' | '.join(sentences)} |"


def proofs() -> Iterator[str]:
    """The tests that are marked with `pytest.mark.holds`, by what they hold."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted(
        [*REPO.glob("tests/**/test_*.py"), *REPO.glob("packages/*/tests/**/test_*.py")]
    ):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for held in _held(node):
                name = f"{path.relative_to(REPO).as_posix()}::{getattr(node, 'name', '')}"
                found.setdefault(held, set()).add(name)
    known = {
        *PROMISES,
        ("replayable", "several transactional"),
        ("ephemeral with spool", "rewindable"),
    }
    if found.keys() != known:
        raise SystemExit(f"promised and not tested, or the reverse: {found.keys() ^ known}")
    yield "| input | output | tests |"
    yield "|---|---|---|"
    for (capability, delivery), tests in sorted(found.items()):
        listed = "<br>".join(f"`{name}`" for name in sorted(tests))
        yield f"| {capability} | {delivery} | {listed} |"


def _held(node: ast.stmt) -> Iterator[tuple[str, str]]:
    for mark in getattr(node, "decorator_list", ()):
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.holds":
            capability, delivery = (ast.literal_eval(argument) for argument in mark.args)
            yield capability, delivery


PARTS: dict[str, Callable[[], Iterable[str]]] = {
    **{section: partial(components, role) for role, section in ROLES.items()},
    "engines": partial(components, "engine"),
    "others": partial(kinds_without_options, "scheduler", "store", "dialect", "syntax", "command"),
    "reserved keys": reserved,
    "epoch": lambda: option_table(options_of(EpochOptions)),
    "provide hooks": partial(hooks, "provide"),
    "event hooks": partial(hooks, "events"),
    "commands": commands,
    "exit codes": exit_codes,
    "errors for authors": for_authors,
    "names": names,
    "packages": packages,
    "promises": promises,
    "proofs": proofs,
}


if __name__ == "__main__":
    sys.exit(main())
