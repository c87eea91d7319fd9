"""`penstock errors --retry`: dead letters mended by hand, and tried again."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import EXIT_FAILED, EXIT_LETTERS, EXIT_OK, UsageError
from ..retries import Chosen, RetryRun, choose, complete, retry
from ..store import DeadLetter, decode_record
from .loading import Past, load
from .showing import plain, print_json
from .signals import Draining

__all__ = ["letters_named", "name_of", "retry_letters"]

Mended = Mapping[tuple[str, str, int, str, int], str]


def name_of(letter: DeadLetter) -> str:
    """What a person calls a letter: "orders:17@tidy"."""
    part = f"#{letter.part}" if letter.part else ""  # one of several results of one record
    return f"{letter.source}:{letter.ordinal}@{letter.node}{part}"


def letters_named(letters: Sequence[DeadLetter], names: Sequence[str]) -> list[DeadLetter]:
    """Those that are called so, as orders:17 or orders:17@tidy, each once. UsageError for a name
    that there is none of."""
    found: dict[tuple[str, str, int, str, int], DeadLetter] = {}
    for name in names:
        these = [one for one in letters if name in (name_of(one), f"{one.source}:{one.ordinal}")]
        if not these:
            raise UsageError(
                f"no dead letter {name!r}",
                where="penstock errors",
                hint="list them, and write one as it stands there",
            )
        found.update((one.identity, one) for one in these)
    return list(found.values())


def retry_letters(past: Past, letters: Sequence[DeadLetter], options: Any) -> int:
    """Let the chosen letters be mended if that was asked for, and try them again."""
    if past.file is None:
        raise UsageError(
            "the letters of one pipeline are tried again", where="penstock errors", hint="name it"
        )
    pipeline = load(options)
    mended: Mended | None = None
    if letters and options.edit_with is not None:
        mended = _mended(letters, *_read(options.edit_with))
    elif letters and options.edit:
        mended = _mended(letters, _edited(letters), "what was edited")
    if mended is not None:
        letters = [letter for letter in letters if letter.identity in mended]
    error = complete(pipeline, past.store)  # of a retry that died, too: it leaves no letters
    if error is not None:
        raise error
    graph = pipeline.graph()
    chosen = choose(
        letters,
        graph,
        past.store.checkpoint(pipeline.name),
        mended=mended,
        max_attempts=options.max_attempts,
    )
    if not chosen.letters:
        return _show(options, chosen, None)
    run = retry(pipeline, chosen.letters, past.store, graph=graph)
    with Draining(run) as signals:
        run.execute()
    code = _show(options, chosen, run)
    return code if signals.received is None else 128 + signals.received


# ---- what came of it ----------------------------------------------------------------------------


def _show(options: Any, chosen: Chosen, run: RetryRun | None) -> int:
    failed = run.failures.letters if run is not None else 0
    mended = run.mended if run is not None else 0
    error = run.error if run is not None else None
    if options.json:
        print_json(
            {
                "retried": len(chosen.letters),
                "mended": mended,
                "failed": failed,
                "left": [{"id": name_of(one), "why": why} for one, why in chosen.left],
                "error": str(error) if error is not None else None,
                "run_id": run.run_id if run is not None else None,
            }
        )
    else:
        for letter, why in chosen.left:
            print(f"{name_of(letter)}: {why}", file=sys.stderr)
        _tell(chosen, run, mended, failed)
    if error is not None:
        code: int = getattr(error, "exit_code", EXIT_FAILED)
        return code
    return EXIT_LETTERS if failed or chosen.left else EXIT_OK


def _tell(chosen: Chosen, run: RetryRun | None, mended: int, failed: int) -> None:
    if run is None:
        print("nothing to try again" if chosen.left else "no dead letters", file=sys.stderr)
        return
    for warning in run.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for group in run.failures.groups.values():
        print(f"{group.node}: {group.message} (as at {group.example})", file=sys.stderr)
    if run.error is not None:
        print(str(run.error), file=sys.stderr)
        print("nothing was tried again; the letters stay open", file=sys.stderr)
        return
    print(
        f"tried {_count(len(chosen.letters))} again: {mended} mended, {failed} failed",
        file=sys.stderr,
    )


def _count(number: int) -> str:
    return f"{number} dead letters" if number != 1 else "1 dead letter"


# ---- mending ------------------------------------------------------------------------------------


def _entries(letters: Sequence[DeadLetter]) -> list[dict[str, Any]]:
    """What a person edits: tagged as the store keeps it, so that a decimal stays one."""
    return [
        {"id": name_of(one), "error": one.message, "record": json.loads(one.record)}
        for one in letters
    ]


def _edited(letters: Sequence[DeadLetter]) -> list[Any]:
    """Open the letters in the person's editor."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageError(
            "no editor is set", where="penstock errors", hint="set EDITOR, or use --edit-with FILE"
        )
    text = json.dumps(_entries(letters), indent=2, ensure_ascii=False) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "letters.json"
        file.write_text(text, encoding="utf-8")
        try:
            code = subprocess.call([*shlex.split(editor), str(file)])
        except OSError as error:
            raise UsageError(
                f"the editor cannot be started: {error.strerror}", where=editor, hint="set EDITOR"
            ) from error
        if code:
            raise UsageError(
                f"the editor ended with code {code}", where=editor, hint="nothing was changed"
            )
        return _parsed(file.read_text(encoding="utf-8"), "what was edited")


def _read(given: str) -> tuple[list[Any], str]:
    if given == "-":
        return _parsed(sys.stdin.read(), "standard input"), "standard input"
    try:
        return _parsed(Path(given).read_text(encoding="utf-8"), given), given
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=given, hint="choose another file"
        ) from error


def _parsed(text: str, where: str) -> list[Any]:
    """A JSON array, one JSON value or JSON lines."""
    try:
        value = json.loads(text)
    except ValueError:
        return list(_lines(text, where))
    return value if isinstance(value, list) else [value]


def _lines(text: str, where: str) -> Iterator[Any]:
    # If it begins as an array does, it was not meant as lines.
    whole = text.lstrip().startswith("[")
    for number, line in [(1, text)] if whole else enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            at = f"{where}:{getattr(error, 'lineno', 1) if whole else number}"
            raise UsageError(
                f"is not JSON: {getattr(error, 'msg', error)}", where=at, hint="nothing was changed"
            ) from error


def _mended(letters: Sequence[DeadLetter], entries: Sequence[Any], where: str) -> Mended:
    """The records that stand in `entries`, by the identity of their letters. A single letter may
    stand there as its record alone."""
    by_name: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        by_name.setdefault(name_of(letter), []).append(letter)
    if len(letters) == 1 and len(entries) == 1 and not _is_entry(entries[0]):
        return {letters[0].identity: _text(letters[0], entries[0])}
    mended = {}
    for entry in entries:
        if not _is_entry(entry):
            raise UsageError(
                'every entry needs an "id" and a "record"', where=where, hint="as --export writes"
            )
        found = by_name.get(entry["id"], [])
        if not found:
            raise UsageError(
                f"no dead letter {entry['id']!r} among those chosen",
                where=where,
                hint="--all lists those that there are",
            )
        mended.update({one.identity: _text(one, entry["record"]) for one in found})
    return mended


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and "id" in entry and "record" in entry


def _text(letter: DeadLetter, record: Any) -> str:
    """The record as the store keeps one. What stands there as --export wrote it is not changed:
    that form does not tell a date from its text."""
    if record == plain(decode_record(letter.record)):
        return letter.record
    return json.dumps(record, ensure_ascii=False)
