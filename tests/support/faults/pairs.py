"""The pipelines that are broken, and what each must have written in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .oracle import BAD_EVERY, Verdict, judge, judge_groups, make_rows, set_aside

__all__ = ["PAIRS", "Pair"]

_SIZE = 7


@dataclass(frozen=True)
class Pair:
    """Outputs and the pipes to them; each output's file, and how it is judged."""

    outputs: str
    pipes: str
    files: dict[str, Callable[[Path, int, set[int]], Verdict]]
    transformers: str = ""
    before: str = ""

    def make(self, folder: Path, count: int, *, engine: str = "inline", epoch: int = 250) -> None:
        """A folder with the pipeline and its rows."""
        folder.mkdir()
        make_rows(folder / "in.csv", count)
        for name in self.files:
            if self.before:
                (folder / name).write_text(self.before)
        text = (
            f"inputs:\n  rows: {{use: csv, path: in.csv, batch_size: 50}}\n"
            f"{self.transformers}outputs:\n{self.outputs}"
            f"pipes:\n{self.pipes}engine: {engine}\nepoch: {{records: {epoch}}}\n"
        )
        (folder / "pipeline.yaml").write_text(text)

    def judge(self, folder: Path, count: int) -> Verdict:
        """All outputs and the dead letters together; nothing else may be left in the folder.

        A record that a run was killed with again and again is set aside, as it may be the reason:
        it is among the dead letters, and so not lost.
        """
        verdict = Verdict()
        letters, suspected = set_aside(folder / ".penstock")
        wanted = set(range(BAD_EVERY, count + 1, BAD_EVERY))
        for name, look in self.files.items():
            path = folder / name
            if self.before and path.exists():
                text = path.read_text()
                path.write_text(text.removeprefix(self.before))
                verdict += Verdict(torn=not text.startswith(self.before))
            verdict += look(path, count, suspected)
        left = [one.name for one in folder.iterdir() if one.suffix in (".part", ".start")]
        lost = len(wanted - set(letters))
        repeated = len(letters) - len(set(letters))
        torn = len(set(letters) - wanted) + len(left)
        return verdict + Verdict(lost=lost, repeated=repeated, torn=torn)


def _groups(path: Path, count: int, suspected: set[int]) -> Verdict:
    return judge_groups(path, count, _SIZE, suspected)


_BATCH = f"transformers:\n  packs: {{use: batch, size: {_SIZE}}}\n"

PAIRS = {
    "csv to json lines": Pair(
        "  out: {use: json, path: out.jsonl}\n",
        "  rows: [rows, out]\n",
        {"out.jsonl": judge},
    ),
    "csv to csv": Pair(
        "  out: {use: csv, path: out.csv}\n",
        "  rows: [rows, out]\n",
        {"out.csv": judge},
    ),
    "csv to a packed json array": Pair(
        "  out: {use: json, path: out.json.gz, format: array}\n",
        "  rows: [rows, out]\n",
        {"out.json.gz": judge},
    ),
    "csv to the end of json lines": Pair(
        "  out: {use: json, path: out.jsonl, mode: append}\n",
        "  rows: [rows, out]\n",
        {"out.jsonl": judge},
        before='{"id": "0", "payload": "of yesterday"}\n',
    ),
    "csv in groups to json lines": Pair(
        "  out: {use: json, path: out.jsonl}\n",
        "  rows: [rows, packs, out]\n",
        {"out.jsonl": _groups},
        transformers=_BATCH,
    ),
    "csv to two outputs": Pair(
        "  out: {use: json, path: out.jsonl}\n  also: {use: csv, path: also.csv}\n",
        "  rows: [rows, out]\n  again: [rows, also]\n",
        {"out.jsonl": judge, "also.csv": judge},
    ),
}
