"""`penstock state`: where a pipeline stands, and moving it somewhere else."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..holder import alive
from ..store import Checkpoint, DeadLetter
from . import common_arguments
from .loading import Past, at_least_one, past_arguments, past_of
from .rewinding import leased, rewind
from .showing import confirm, print_json, table, when

HELP = "show or change where the next run begins"

VERBS = ("show", "rewind", "export", "import")

VERSION = 1
"""Of an exported file; one with a higher number is refused."""


def arguments(parser: argparse.ArgumentParser) -> None:
    past_arguments(parser)
    parser.add_argument(
        "verb",
        nargs="?",
        metavar="|".join(VERBS),
        help="what to do, behind the pipeline or before it (default: show)",
    )
    parser.add_argument("file", nargs="?", help="the file to export to or to import")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--to-start", action="store_true", help="rewind: the next run reads everything again"
    )
    where.add_argument(
        "--to",
        type=at_least_one("--to"),
        metavar="EPOCH",
        help="rewind: the next run goes on from there; `show` lists the epochs that are kept",
    )
    parser.add_argument(
        "--delete-after",
        action="store_true",
        help="rewind --to: delete what was written since, where the rows say which epoch they are "
        "of",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COMPONENT.OPTION=VALUE",
        help="rewind --to: replace an option of the file; may be repeated",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    _sort_out(options)
    past = past_of(options)
    try:
        if past.name is None:
            raise UsageError("whose state?", where="penstock state", hint="name the pipeline")
        return _VERBS[options.verb](past, past.name, options)
    finally:
        past.store.close()


def _sort_out(options: Any) -> None:
    """`state show orders.yaml` is `state orders.yaml show`."""
    words = [one for one in (options.pipeline, options.verb, options.file) if one is not None]
    at = next((n for n, word in enumerate(words[:2]) if word in VERBS), None)
    if at == 0 and len(words) > 1 and words[1] in VERBS:
        at = 1  # a pipeline may have such a name
    options.verb = words.pop(at) if at is not None else "show"
    if at is None and len(words) > 1:
        hint = f"what to do is one of {', '.join(VERBS)}"
        what = f"cannot tell what {words[1]!r} is for"
        raise UsageError(what, where="penstock state", hint=hint)
    options.pipeline, options.file = [*words, None, None][:2]


# ---- show ---------------------------------------------------------------------------------------


def _show(past: Past, name: str, options: Any) -> int:
    known = _known(past, name)
    if options.json:
        print_json(known)
    else:
        print("\n".join(_as_text(known)))
    return 0


def _known(past: Past, name: str) -> dict[str, Any]:
    store = past.store
    checkpoint, intent = store.checkpoint(name), store.intent(name)
    holder = store.holder(name)
    return {
        "pipeline": name,
        "state": str(store.path),
        "lease": {"holder": holder[0], "until": holder[1], "alive": _live(holder)}
        if holder is not None
        else None,
        "checkpoint": json.loads(checkpoint.to_json()) if checkpoint is not None else None,
        "history": [json.loads(one.to_json()) for one in store.history(name)],
        "intent": intent.epoch if intent is not None else None,
        "attempts": dict(store.attempts(name)),
        "letters": len(store.letters(name)),
    }


def _live(holder: tuple[str, float]) -> bool:
    return holder[1] > time.time() and alive(holder[0]) is not False


def _as_text(known: Mapping[str, Any]) -> Iterator[str]:
    checkpoint = known["checkpoint"]
    facts = {"pipeline": known["pipeline"], "state": known["state"], "lease": _lease(known)}
    if checkpoint is None:
        facts["checkpoint"] = "none: the next run begins at the start"
    else:
        facts["epoch"] = f"{checkpoint['epoch']}, of run {checkpoint['run_id']}"
        facts["status"] = _status(checkpoint)
    if known["intent"] is not None:
        facts["intent"] = f"epoch {known['intent']} is half committed; the next run completes it"
    for place, count in known["attempts"].items():
        facts[f"tried {count} times" if count != 1 else "tried once"] = place
    facts["letters"] = str(known["letters"])
    size = max(map(len, facts))
    yield from (f"{name.ljust(size)}  {value}" for name, value in facts.items())
    if checkpoint is not None:
        yield from _positions(checkpoint)
    if len(known["history"]) > 1:
        yield ""
        yield _history(known["history"])


def _history(kept: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [str(one["epoch"]), one["run_id"], str(sum(one["ordinals"].values())), _stands(one)]
        for one in kept
    ]
    return table(["epoch", "run", "records", "status"], rows, right={0, 2})


def _stands(checkpoint: Mapping[str, Any]) -> str:
    if checkpoint["by_hand"]:
        return "put there by hand"
    return "finished" if checkpoint["finished"] else "under way"


def _lease(known: Mapping[str, Any]) -> str:
    lease = known["lease"]
    if lease is None:
        return "free"
    if lease["alive"]:
        return f"held by {lease['holder']}, until {when(lease['until'])}"
    return f"left behind by {lease['holder']}"


def _status(checkpoint: Mapping[str, Any]) -> str:
    if checkpoint["by_hand"]:
        return "put there by hand"
    if checkpoint["finished"]:
        return "finished"
    return "ended, outputs not complete" if checkpoint["ended"] else "cut off; the next run resumes"


def _positions(checkpoint: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [source, str(checkpoint["ordinals"].get(source, "")), json.dumps(position)]
        for source, position in checkpoint["positions"].items()
    ]
    if rows:
        yield ""
        yield table(["source", "records", "position"], rows, right={1})
    kept = [
        [name, kind, f"{len(json.dumps(value)):,} bytes".replace(",", " ")]
        for kind in ("states", "marks")
        for name, value in checkpoint[kind].items()
    ]
    if kept:
        yield ""
        yield table(["node", "keeps", "size"], [[n, k[:-1], size] for n, k, size in kept], {2})


# ---- export and import --------------------------------------------------------------------------


def _export(past: Past, name: str, options: Any) -> int:
    checkpoint = past.store.checkpoint(name)
    kept = {
        "penstock_state": VERSION,
        "pipeline": name,
        "checkpoint": json.loads(checkpoint.to_json()) if checkpoint is not None else None,
        "letters": list(map(asdict, past.store.letters(name))),
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
    if options.file in (None, "-"):
        print(text, end="")
        return 0
    try:
        # "x": what somebody exported before is not thrown away.
        with Path(options.file).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=options.file, hint="choose another file"
        ) from error
    return 0


def _import(past: Past, name: str, options: Any) -> int:
    if options.file is None:
        raise UsageError("which file?", where="penstock state import", hint="name it")
    checkpoint, letters = _read(Path(options.file), name)
    question = f"replace where {name} stands by epoch {checkpoint.epoch} of {options.file}?"
    if not confirm(question, yes=options.yes):
        print("nothing was changed")
        return 0
    with leased(past, name) as generation:
        before = past.store.checkpoint(name)
        epoch = max(checkpoint.epoch, before.epoch if before is not None else 0)
        past.store.save(
            replace(checkpoint, epoch=epoch, generation=generation, by_hand=True), letters
        )
    print(f"the next run goes on from epoch {checkpoint.epoch} of {options.file}")
    return 0


def _read(file: Path, name: str) -> tuple[Checkpoint, list[DeadLetter]]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(file), hint="choose another file"
        ) from error
    except ValueError as error:
        raise _wrong(file, f"is not JSON: {error}") from error
    if not isinstance(kept, dict) or "penstock_state" not in kept:
        raise _wrong(file, "is no exported state")
    version = kept["penstock_state"]
    if version != VERSION:
        raise UsageError(
            f"was exported by another version of penstock (format {version}; this knows {VERSION})",
            where=str(file),
            hint="use that version",
        )
    if kept["pipeline"] != name:
        raise UsageError(
            f"is the state of {kept['pipeline']!r}, not of {name!r}",
            where=str(file),
            hint="choose another file",
        )
    if kept["checkpoint"] is None:
        raise _wrong(file, "holds no checkpoint")
    try:
        letters = [DeadLetter(**letter) for letter in kept["letters"]]
        return Checkpoint(**_only(kept["checkpoint"])), letters
    except (KeyError, TypeError) as error:
        raise _wrong(file, f"is not complete: {error}") from error


def _only(given: Mapping[str, Any]) -> dict[str, Any]:
    known = {one.name for one in fields(Checkpoint)}
    return {key: value for key, value in given.items() if key in known}


def _wrong(file: Path, what: str) -> UsageError:
    return UsageError(what, where=str(file), hint="`penstock state PIPELINE export FILE` makes one")


_VERBS = {"show": _show, "rewind": rewind, "export": _export, "import": _import}
