"""The pipelines that are broken, and what each must have written in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .oracle import (
    BAD_EVERY,
    Verdict,
    judge,
    judge_groups,
    judge_windows,
    make_rows,
    rows_in,
    set_aside,
)

if TYPE_CHECKING:
    from .documents import Documents
    from .tables import Tables

__all__ = ["FILES", "MONGODB", "PAIRS", "TABLES", "Pair"]

_SIZE = 7

Look = Callable[[Iterable[Any], int, set[int]], Verdict]


@dataclass(frozen=True)
class Pair:
    """Outputs and the pipes to them; each output's file or table, and how it is judged.

    `wrong` is the variant that a test of this pair must catch. `{first}`, `{second}` and `{table}`
    in `outputs` are those of `Tables`. `read` gives the records of a file.
    """

    outputs: str
    pipes: str
    wrong: str
    files: Mapping[str, Look] = field(default_factory=dict)
    tables: Mapping[str, Look] = field(default_factory=dict)
    transformers: str = ""
    before: str = ""
    read: Callable[[Path], Iterable[Any]] = rows_in

    def make(
        self,
        folder: Path,
        count: int,
        *,
        engine: str = "inline",
        epoch: int = 250,
        tables: Tables | Documents | None = None,
    ) -> None:
        """A folder with the pipeline and its rows; many small epochs give a fault many places."""
        folder.mkdir(parents=True)
        make_rows(folder / "in.csv", count)
        for name in self.files:
            if self.before:
                (folder / name).write_text(self.before)
        outputs = self.outputs
        for word, text in (tables.words() if tables else {}).items():
            outputs = outputs.replace(f"{{{word}}}", text)
        text = (
            f"name: {tables.name if tables else 'pipeline'}\n"
            f"inputs:\n  rows: {{use: csv, path: in.csv, batch_size: 50}}\n"
            f"{self.transformers}outputs:\n{outputs}"
            f"pipes:\n{self.pipes}engine: {engine}\nepoch: {{records: {epoch}}}\n"
        )
        (folder / "pipeline.yaml").write_text(text)

    def judge(self, folder: Path, count: int, tables: Tables | Documents | None = None) -> Verdict:
        """All outputs and the dead letters together; nothing else may be left in the folder.

        A record that a run was killed with again and again is set aside, as it may be the reason:
        it is among the dead letters, and so not lost.
        """
        letters, suspected = set_aside(folder / ".penstock")
        verdict = self.judge_outputs(folder, count, tables, suspected)
        wanted = set(range(BAD_EVERY, count + 1, BAD_EVERY))
        left = [one.name for one in folder.iterdir() if one.suffix in (".part", ".start")]
        lost = len(wanted - set(letters))
        repeated = len(letters) - len(set(letters))
        torn = len(set(letters) - wanted) + len(left)
        return verdict + Verdict(lost=lost, repeated=repeated, torn=torn)

    def judge_outputs(
        self, folder: Path, count: int, tables: Tables | Documents | None, suspected: set[int]
    ) -> Verdict:
        verdict = Verdict()
        for name, look in self.files.items():
            path = folder / name
            if self.before and path.exists():
                text = path.read_text()
                path.write_text(text.removeprefix(self.before))
                verdict += Verdict(torn=not text.startswith(self.before))
            verdict += look(self.read(path), count, suspected)
        for name, look in self.tables.items():
            assert tables is not None
            verdict += look(tables.records(name), count, suspected)
        return verdict


def _groups(records: Iterable[Any], count: int, suspected: set[int]) -> Verdict:
    return judge_groups(records, count, _SIZE, suspected)


def _windows(records: Iterable[Any], count: int, suspected: set[int]) -> Verdict:
    return judge_windows(records, count, _SIZE, suspected)


_WINDOW = (
    "transformers:\n  numbers: {use: fields, cast: {id: int}}\n"
    f"  windows: {{use: window, kind: tumbling, time: id, size: {_SIZE}}}\n"
)
_BATCH = f"transformers:\n  packs: {{use: batch, size: {_SIZE}}}\n"
_TABLE = '{use: sql, url: "{first}", table: "{table}"}'
_OTHER = '{use: sql, url: "{second}", table: "{table}"}'

FILES = {
    "csv to json lines": Pair(
        "  out: {use: json, path: out.jsonl}\n",
        "  rows: [rows, out]\n",
        "ignores the mark",
        files={"out.jsonl": judge},
    ),
    "csv to csv": Pair(
        "  out: {use: csv, path: out.csv}\n",
        "  rows: [rows, out]\n",
        "saves positions first",
        files={"out.csv": judge},
    ),
    "csv to a packed json array": Pair(
        "  out: {use: json, path: out.json.gz, format: array}\n",
        "  rows: [rows, out]\n",
        "ignores the mark",
        files={"out.json.gz": judge},
    ),
    "csv to the end of json lines": Pair(
        "  out: {use: json, path: out.jsonl, mode: append}\n",
        "  rows: [rows, out]\n",
        "ignores the mark",
        files={"out.jsonl": judge},
        before='{"id": "0", "payload": "of yesterday"}\n',
    ),
    "csv in groups to json lines": Pair(
        "  out: {use: json, path: out.jsonl}\n",
        "  rows: [rows, packs, out]\n",
        "forgets the states",
        files={"out.jsonl": _groups},
        transformers=_BATCH,
    ),
    "csv in windows to json lines": Pair(
        "  out: {use: json, path: out.jsonl}\n",
        "  rows: [rows, numbers, windows, out]\n",
        "forgets the states",
        files={"out.jsonl": _windows},
        transformers=_WINDOW,
    ),
    "csv to two files": Pair(
        "  out: {use: json, path: out.jsonl}\n  also: {use: csv, path: also.csv}\n",
        "  rows: [rows, out]\n  again: [rows, also]\n",
        "ignores the mark",
        files={"out.jsonl": judge, "also.csv": judge},
    ),
}

TABLES = {
    "csv to {system}": Pair(
        f"  out: {_TABLE}\n",
        "  rows: [rows, out]\n",
        "keeps the position apart",
        tables={"first": judge},
    ),
    "csv in groups to {system}": Pair(
        f"  out: {_TABLE}\n",
        "  rows: [rows, packs, out]\n",
        "forgets the states",
        tables={"first": _groups},
        transformers=_BATCH,
    ),
    "csv to two databases of {system}": Pair(
        f"  out: {_TABLE}\n  also: {_OTHER}\n",
        "  rows: [rows, out]\n  again: [rows, also]\n",
        "keeps the position apart",
        tables={"first": judge, "second": judge},
    ),
    "csv to {system} and json lines": Pair(
        f"  out: {_TABLE}\n  also: {{use: json, path: out.jsonl}}\n",
        "  rows: [rows, out]\n  again: [rows, also]\n",
        "ignores the mark",
        files={"out.jsonl": judge},
        tables={"first": judge},
    ),
}
"""Each with a table of SQLite, PostgreSQL or MariaDB."""

MONGODB = Pair(
    '  out: {use: mongodb, uri: "{first}", database: "{second}", collection: "{table}", '
    "server_timeout: 5s}\n",
    "  rows: [rows, out]\n",
    "inserts documents",
    tables={"first": judge},
)

PAIRS = {**FILES, **TABLES}
