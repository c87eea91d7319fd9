"""Runs pipeline.yaml on a hundred thousand orders, some of them broken, and shows what happened.

Ends with 0 when all went as it should: the good orders are written, the broken ones are set aside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "orders.csv"
OUT = HERE / "out"
FINISHED_WITH_DEAD_LETTERS = 6

COLOR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
WIDTH = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 10_000


def main() -> int:
    pipeline = near(HERE / "pipeline.yaml")
    if not DATA.exists():
        subprocess.run([sys.executable, HERE / "make_data.py"], check=True)
    title("The orders of a shop, some of them broken")
    show_file(DATA, 4)

    title("A pipeline cleans them")
    ended = penstock("run", pipeline).returncode
    if ended != FINISHED_WITH_DEAD_LETTERS:
        print(f"the run ended with {ended}, not with {FINISHED_WITH_DEAD_LETTERS}", file=sys.stderr)
        return ended or 1

    title("What it wrote")
    show_file(OUT / "orders.jsonl", 3)
    show_file(OUT / "countries.csv", 4)

    report = json.loads(penstock("runs", pipeline, "last", "--json", quietly=True).stdout)
    title(f"{report['letters']} orders are among the dead letters; these are the reasons")
    reasons = penstock("errors", pipeline, quietly=True)
    show_lines(reasons.stdout.splitlines(), 14)
    return reasons.returncode


def penstock(*arguments: str, quietly: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command that is installed beside this Python, and show it as one would type it."""
    if not quietly or arguments[0] == "errors":
        print(emphasised(f"$ {command_name()} {' '.join(arguments)}"), flush=True)
    return subprocess.run(
        [sys.executable, "-m", "penstock", *arguments],
        stdout=subprocess.PIPE if quietly else None,
        encoding="utf-8",
        check=False,
    )


def command_name() -> str:
    """`penstock` where a shell finds it, otherwise where it is."""
    here = Path(sys.executable).with_name("penstock")
    return near(here) if here.exists() and shutil.which("penstock") != str(here) else "penstock"


def near(path: Path) -> str:
    """The path as it is typed in this folder."""
    return os.path.relpath(path)


def title(text: str) -> None:
    print(f"\n{emphasised(text)}\n", flush=True)


def emphasised(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOR else text


def show_file(path: Path, count: int) -> None:
    """The first lines of a file, and how many there are."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = list(islice(file, count))
        total = len(first) + sum(1 for _ in file)
    print(f"{near(path)}, {total} lines")
    show_lines([*first, "…"] if total > count else first, count + 1)
    print()


def show_lines(lines: list[str], count: int) -> None:
    """Lines that fit the terminal, indented."""
    for line in lines[:count]:
        text = line.rstrip("\n")
        print(f"  {text if len(text) < WIDTH - 2 else text[: WIDTH - 3] + '…'}")


if __name__ == "__main__":
    sys.exit(main())
