"""`penstock errors`: the dead letters of a pipeline."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from ..failures import shape_of
from ..store import DeadLetter, decode_record
from . import common_arguments
from .loading import Past, past_arguments, past_of
from .mending import letters_named, name_of, retry_letters
from .showing import confirm, fields_of, fitting, plain, print_json, table, when

HELP = "show records that were set aside"


VERBS = ("list", "show", "export", "retry", "drop")


def arguments(parser: argparse.ArgumentParser) -> None:
    past_arguments(parser)
    parser.add_argument(
        "verb",
        nargs="?",
        metavar="|".join(VERBS),
        help="what to do with them, behind the pipeline or before it (default: list)",
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="RECORD|FILE",
        help="the record to show, or the file to export to",
    )
    _which(parser.add_argument_group("which records"))
    _what(parser.add_argument_group("what to do with them").add_mutually_exclusive_group())
    _again(parser.add_argument_group("with --retry"))
    parser.add_argument("--yes", action="store_true", help="do not ask")
    common_arguments(parser, pipeline=False)


def _which(which: Any) -> None:
    which.add_argument("--node", metavar="NAME", help="only those that failed at this node")
    which.add_argument("--error", metavar="CLASS", help="only those with this error")
    which.add_argument("--source", metavar="NAME", help="only those read from this source")
    which.add_argument("--run", metavar="ID", help="only those of this run")
    which.add_argument(
        "--record",
        action="append",
        metavar="SOURCE:ORDINAL[@NODE]",
        help="only this one; may be repeated",
    )


def _what(what: Any) -> None:
    what.add_argument(
        "--all", action="store_true", help="list each; without it, like ones in groups"
    )
    what.add_argument(
        "--show", metavar="SOURCE:ORDINAL[@NODE]", help="show one with everything known"
    )
    what.add_argument(
        "--export", metavar="FILE", help="write them as JSON lines; - is standard output"
    )
    what.add_argument(
        "--retry", action="store_true", help="try them again where they failed, after the fix"
    )
    what.add_argument("--drop", action="store_true", help="forget them, after asking")


def _again(again: Any) -> None:
    edit = again.add_mutually_exclusive_group()
    edit.add_argument("--edit", action="store_true", help="mend them in $EDITOR before")
    edit.add_argument(
        "--edit-with",
        metavar="FILE",
        help="take the mended ones from here, written as --export does; - is standard input",
    )
    again.add_argument(
        "--max-attempts",
        type=int,
        default=10,
        metavar="N",
        help="leave those that have failed so often (default: 10)",
    )
    again.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COMPONENT.OPTION=VALUE",
        help="replace an option of the file; may be repeated",
    )


def run(options: Any) -> int:
    _sort_out(options)
    if (options.edit or options.edit_with) and not options.retry:
        raise UsageError("--edit is for --retry", where="penstock errors", hint="add --retry")
    past = past_of(options)
    try:
        letters = _chosen(past, options)
        if options.retry:
            return retry_letters(past, letters, options)
        if options.drop:
            return _drop(past, letters, yes=options.yes)
        if options.export:
            return _export(letters, options.export)
        if options.json:
            print_json(list(map(_as_json, letters)))
        elif options.show:
            print("\n\n".join(map(_whole, letters)))
        elif not letters:
            print("no dead letters")
        elif options.all:
            print(_each(letters))
        else:
            print(_groups(letters))
        return 0
    finally:
        past.store.close()


def _sort_out(options: Any) -> None:
    """`errors retry orders.yaml` and `errors orders.yaml retry`: as with `--retry`."""
    words = [one for one in (options.pipeline, options.verb, options.target) if one is not None]
    at = next((n for n, word in enumerate(words[:2]) if word in VERBS and not _is_file(word)), None)
    verb = words.pop(at) if at is not None else None
    alone = at == 0 and len(words) == 1 and _is_target(verb, words[0])
    options.pipeline = words.pop(0) if words and not alone else None
    target = words.pop(0) if words and verb in ("show", "export") else None
    if words:
        hint = f"what to do is one of {', '.join(VERBS)}"
        what = f"cannot tell what {words[0]!r} is for"
        raise UsageError(what, where="penstock errors", hint=hint)
    if verb is not None:
        _do(options, verb, target)


def _do(options: Any, verb: str, target: str | None) -> None:
    """Set the option that a verb stands for."""
    if options.all and verb != "list":
        asked = "--all"
    else:
        asked = next((f"--{one}" for one in VERBS if getattr(options, one, None)), "")
    if asked:
        hint = "leave one of them out"
        raise UsageError(f"{verb} goes with no {asked}", where="penstock errors", hint=hint)
    if verb == "show" and target is None:
        hint = "give its name, as in `penstock errors show orders:17`"
        raise UsageError("which one?", where="penstock errors", hint=hint)
    if verb != "list":
        setattr(options, verb, {"show": target, "export": target or "-"}.get(verb, True))


def _is_file(word: str) -> bool:
    return Path(word).is_file()


def _is_target(verb: str | None, word: str) -> bool:
    """Whether the only word behind a verb is what it is about, and not the pipeline."""
    if verb == "show":
        return ":" in word and not _is_file(word)
    return verb == "export" and (word == "-" or not _is_file(word))


# ---- which --------------------------------------------------------------------------------------


def _chosen(past: Past, options: Any) -> list[DeadLetter]:
    if options.node is not None:
        _must_have_letters(past, options.node)
    letters = [
        letter
        for letter in past.store.letters(past.name, options.run)
        if options.node in (None, letter.node)
        and options.error in (None, letter.error)
        and options.source in (None, letter.source)
    ]
    wanted = options.record or ([options.show] if options.show else None)
    if wanted is None:
        return letters
    return letters_named(letters, wanted)


def _must_have_letters(past: Past, node: str) -> None:
    """Refuse a node that no run knows; one whose letters were all mended is not a mistake."""
    nodes = list(dict.fromkeys(letter.node for letter in past.store.letters(past.name)))
    known = {one["name"] for report in past.store.reports(past.name) for one in report["nodes"]}
    if node in nodes or node in known:
        return
    near = nearest(node, nodes)
    if near:
        hint = f"did you mean {near!r}?"
    else:
        hint = f"there are some of {', '.join(nodes)}" if nodes else "there are none of any"
    raise UsageError(f"no dead letters of a node {node!r}", where="penstock errors", hint=hint)


# ---- what to show -------------------------------------------------------------------------------


def _groups(letters: Sequence[DeadLetter]) -> str:
    groups: dict[tuple[str, str, str], list[DeadLetter]] = {}
    for letter in letters:
        groups.setdefault((letter.node, letter.error, shape_of(letter.message)), []).append(letter)
    rows = [
        [str(len(group)), node, error, name_of(group[0]), group[0].message]
        for (node, error, _), group in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    text = fitting(table(["records", "node", "error", "as", "message"], rows, right={0}))
    total = f"{len(letters)} dead letters" if len(letters) > 1 else "1 dead letter"
    return f"{text}\n\n{total}; --all lists each, --show {name_of(letters[0])} shows one"


def _each(letters: Sequence[DeadLetter]) -> str:
    return fitting(table(["record", "message"], [[name_of(one), one.message] for one in letters]))


def _whole(letter: DeadLetter) -> str:
    plugin = f"{letter.plugin} {letter.version}".strip()
    facts = {
        "error": letter.message,
        "node": letter.node + (f" (of {plugin})" if plugin else ""),
        "pipeline": f"{letter.pipeline}, config {letter.config_hash}",
        "run": letter.run_id,
        "attempts": str(letter.attempts),
        "first": when(letter.first),
        "last": when(letter.last),
    }
    lines = [f"  {name.ljust(8)}  {value}" for name, value in facts.items()]
    record = (f"    {line}" for line in fields_of(decode_record(letter.record)))
    return "\n".join([name_of(letter), *lines, "  record", *record])


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": name_of(letter),
        "pipeline": letter.pipeline,
        "source": letter.source,
        "ordinal": letter.ordinal,
        "node": letter.node,
        "error": letter.error,
        "message": letter.message,
        "record": plain(decode_record(letter.record)),
        "run_id": letter.run_id,
        "plugin": letter.plugin,
        "version": letter.version,
        "config_hash": letter.config_hash,
        "attempts": letter.attempts,
        "first": letter.first,
        "last": letter.last,
    }


# ---- what to do ---------------------------------------------------------------------------------


def _export(letters: Sequence[DeadLetter], target: str) -> int:
    lines = [json.dumps(_as_json(letter), ensure_ascii=False) + "\n" for letter in letters]
    if target == "-":
        sys.stdout.writelines(lines)
        return 0
    try:
        # "x": what somebody exported before is not thrown away.
        with Path(target).open("x", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=target, hint="choose another file"
        ) from error
    what = f"{len(lines)} dead letters" if len(lines) != 1 else "1 dead letter"
    print(f"wrote {what} to {target}", file=sys.stderr)
    return 0


def _drop(past: Past, letters: Sequence[DeadLetter], *, yes: bool) -> int:
    what = f"{len(letters)} dead letters" if len(letters) != 1 else "1 dead letter"
    if not letters:
        print("no dead letters", file=sys.stderr)
    elif confirm(f"forget {what}?", yes=yes):
        past.store.drop_letters(letters)
        print(f"forgot {what}", file=sys.stderr)
    else:
        print("nothing was changed", file=sys.stderr)
    return 0
