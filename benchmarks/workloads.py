"""The workloads: who takes part in each, and what must hold.

A later workload is one more function in `WORKLOADS` and, if its data is new, one in `gen.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import footprint
import gen
import kafkaserver
import mongoserver
import peers
from measure import Contender, Race, Result

HERE = Path(__file__).resolve().parent
DATA = HERE / ".data"
YARDSTICKS = HERE / "yardsticks"
OURS = HERE / "penstock"
PROGRAM = Path(sys.executable).with_name("penstock")
NAME = "Penstock"


@dataclass
class Results:
    """Results by title of race and name of contender; other figures by their name."""

    races: dict[str, dict[str, Result]] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What must hold. `figure` raises LookupError when something it needs was not measured."""

    text: str
    figure: Callable[[Results], float]
    least: float | None = None
    most: float | None = None

    def holds(self, figure: float) -> bool:
        return (self.least is None or figure >= self.least) and (
            self.most is None or figure <= self.most
        )


@dataclass(frozen=True)
class Workload:
    """`unit` is what its tables show for each contender, `ratio` what "x yardstick" compares."""

    title: str
    races: Sequence[Race]
    targets: Sequence[Target]
    unit: Literal["Mrows/s", "ns/record", "ms"]
    ratio: Literal["speed", "time"]
    figures: Callable[[], Mapping[str, float]] | None = None
    runs: int | None = None  # instead of the number asked for, where one run takes a moment


# ---- what must hold ---------------------------------------------------------------------------


def _measured(results: Results, race: str, name: str) -> Result:
    result = results.races[race].get(name)
    if result is None:
        raise LookupError(f"{name} took no part")
    if result.failure:
        raise LookupError(f"{name} {result.contender.missing or 'failed'}")
    return result


def faster(race: str, other: str, least: float) -> Target:
    """We are at least `least` times as fast as another contender."""

    def figure(results: Results) -> float:
        return _measured(results, race, other).wall / _measured(results, race, NAME).wall

    return Target(f"{race}: ≥ {least:g} x the speed of {other}", figure, least=least)


def _quickly(race: str, name: str, yardstick: str, most: float) -> Target:
    def figure(results: Results) -> float:
        return _measured(results, race, name).wall / _measured(results, race, yardstick).wall

    return Target(f"{name}: ≤ {most:g} x {yardstick}", figure, most=most)


def _footprint(text: str, name: str, most: float) -> Target:
    def figure(results: Results) -> float:
        if name not in results.figures:
            raise LookupError("the core could not be built and installed")
        return results.figures[name]

    return Target(text, figure, most=most)


# ---- W1, W6: from a CSV file to a JSON Lines file ----------------------------------------------


def w1a(rows: int, with_peers: bool) -> Workload:
    contenders = [
        _yardstick("hand loop", "w1a_loop.py", rows),
        _pipeline(NAME, "w1a.yaml", rows),
    ]
    if with_peers:
        contenders += [
            _peer("Bytewax", "bytewax", "bytewax_w1a.py", rows),
            _peer("Bytewax tuned", "bytewax", "bytewax_w1a.py", rows, "tuned"),
            _peer("petl", "petl", "petl_w1a.py", rows),
            _peer("petl with orjson", "petl", "petl_w1a.py", rows, "tuned"),
            _peer("Quix core", "quixstreams", "quixstreams_w1.py", rows),
            _peer("streamz", "streamz", "streamz_w1a.py", rows),
            _peer("DuckDB", "duckdb", "duckdb_w1a.py", rows),
            _peer("Polars", "polars", "polars_w1a.py", rows),
        ]
    targets = [
        faster("W1a", "hand loop", 0.90),
        faster("W1a", "Bytewax", 2.2),
        faster("W1a", "Bytewax tuned", 1.6),
        faster("W1a", "petl", 7),
        Target("W1a: peak ≤ 40 MB", lambda results: _measured(results, "W1a", NAME).peak, most=40),
    ]
    return Workload(
        "W1a: CSV to JSON Lines, declared: rename 3, cast 2, keep some, add 1",
        [Race("W1a", contenders, data("w1", rows))],
        targets,
        unit="Mrows/s",
        ratio="speed",
    )


def w1b(rows: int, with_peers: bool) -> Workload:
    contenders = [
        _yardstick("hand loop", "w1b_loop.py", rows),
        _pipeline(NAME, "w1b.yaml", rows),
    ]
    if with_peers:
        contenders += [
            _peer("Bytewax", "bytewax", "bytewax_w1b.py", rows),
            _peer("Bytewax tuned", "bytewax", "bytewax_w1b.py", rows, "tuned"),
            _peer("Quix core", "quixstreams", "quixstreams_w1.py", rows, "function"),
            _peer("Polars map_elements", "polars", "polars_w1b.py", rows),
        ]
    return Workload(
        "W1b: the same by a Python function per record",
        [Race("W1b", contenders, data("w1", rows))],
        [faster("W1b", "hand loop", 0.95), faster("W1b", "Bytewax", 2.2)],
        unit="Mrows/s",
        ratio="speed",
    )


def w6(rows: int, with_peers: bool) -> Workload:
    """A tenth of the rows, four times and sixteen times that."""
    small = rows // 10
    races = []
    for times in (1, 4, 16):
        count = small * times
        contenders = [
            _yardstick("hand loop", "w1a_loop.py", count),
            _pipeline(NAME, "w1a.yaml", count),
        ]
        races.append(Race(f"W6, {times}x", contenders, data("w1", count)))

    def growth(results: Results) -> float:
        return _measured(results, "W6, 16x", NAME).peak / _measured(results, "W6, 1x", NAME).peak

    return Workload(
        f"W6: peak memory of W1a at 1, 4 and 16 times {small} rows",
        races,
        [Target("W6: 16 x rows in ≤ 1.05 x the memory of 1x", growth, most=1.05)],
        unit="Mrows/s",
        ratio="speed",
    )


# ---- E1: what epochs cost -----------------------------------------------------------------------


def e1(rows: int, with_peers: bool) -> Workload:
    del with_peers

    def contender(name: str, epochs: str) -> Contender:
        command = (sys.executable, str(OURS / "e1.py"), epochs)
        return _if_installed(Contender(name, command, rows, files=[OURS / "w1a.yaml"], writes=True))

    return Workload(
        "E1: what epochs cost: W1a without any, at the default interval and at one second",
        [
            Race(
                "E1",
                [
                    contender("epochs off", "off"),
                    contender("epochs by default", "default"),
                    contender("epochs of 1 s", "short"),
                ],
                data("w1", rows),
            )
        ],
        [_quickly("E1", "epochs by default", "epochs off", 1.05)],
        unit="Mrows/s",
        ratio="time",
    )


# ---- W3: a join and a window ---------------------------------------------------------------------


def w3(rows: int, with_peers: bool) -> Workload:
    """`rows` in both streams together."""
    del with_peers

    def itself(name: str, script: Path) -> Contender:
        command = (sys.executable, str(script), str(rows))
        return Contender(name, command, rows, writes=True, times_itself=True)

    contenders = [
        itself("hand merge", YARDSTICKS / "w3_merge.py"),
        itself("hand merge, unique keys", YARDSTICKS / "w3_unique.py"),
        _if_installed(itself(NAME, OURS / "w3.py")),
    ]
    return Workload(
        "W3: a sorted inner join of two streams, half matching, then a tumbling aggregate",
        [Race("W3", contenders)],
        [faster("W3", "hand merge", 0.75)],
        unit="Mrows/s",
        ratio="speed",
    )


# ---- W4: into a database -----------------------------------------------------------------------


def w4(rows: int, with_peers: bool) -> Workload:
    del with_peers
    loop = (sys.executable, str(YARDSTICKS / "w4_loop.py"), "w1.csv", "out.db")
    contenders = [
        Contender("bare driver", loop, rows, writes=True, loads=True),
        replace(_pipeline(NAME, "w4.yaml", rows), loads=True),
    ]
    return Workload(
        "W4: CSV into a table of SQLite",
        [Race("W4", contenders, data("w1", rows))],
        [faster("W4", "bare driver", 0.85)],
        unit="Mrows/s",
        ratio="speed",
    )


def w4m(rows: int, with_peers: bool) -> Workload:
    """A tenth of the rows, in memory; what the server does is part of both."""
    del with_peers
    count = rows // 10
    races = []
    for kind in ("plain", "transactions"):
        where, missing = "", ""
        try:
            where = mongoserver.served(kind == "transactions")
        except RuntimeError as error:
            missing = f"has no MongoDB: {error}"

        def contender(
            name: str, script: Path, kind: str = kind, where: str = where, missing: str = missing
        ) -> Contender:
            command = (sys.executable, str(script), where, str(count), kind)
            return Contender(name, command, count, times_itself=True, missing=missing)

        contenders = [
            contender("bare bulk_write", YARDSTICKS / "w4m_loop.py"),
            _if_installed(contender(NAME, OURS / "w4m.py")),
        ]
        races.append(Race(f"W4m, {kind}", contenders))
    return Workload(
        "W4m: records into a collection of MongoDB, without transactions and in such",
        races,
        [faster(f"W4m, {kind}", "bare bulk_write", 0.8) for kind in ("plain", "transactions")],
        unit="ns/record",
        ratio="speed",
    )


# ---- W8: from a topic to a topic ----------------------------------------------------------------


def w8(rows: int, with_peers: bool) -> Workload:
    """A tenth of the rows: the client library needs ten microseconds for each."""
    del with_peers
    count = rows // 10
    missing = ""
    where: tuple[str, ...] = ("", "")
    try:
        where = kafkaserver.filled(count)
    except RuntimeError as error:
        missing = f"has no Kafka: {error}"
    races = []
    for kind in ("plain", "transactions"):

        def contender(name: str, script: Path, kind: str = kind) -> Contender:
            command = (sys.executable, str(script), *where, str(count), kind)
            return Contender(name, command, count, times_itself=True, missing=missing)

        contenders = [
            contender("bare loop", YARDSTICKS / "w8_loop.py"),
            _if_installed(contender(NAME, OURS / "w8.py")),
        ]
        races.append(Race(f"W8, {kind}", contenders))
    return Workload(
        f"W8: {kafkaserver.MESSAGE}-byte messages from a topic of Kafka to another, at least once "
        "and in transactions",
        races,
        [faster("W8, plain", "bare loop", 0.8), faster("W8, transactions", "bare loop", 0.8)],
        unit="ns/record",
        ratio="speed",
    )


# ---- D1, D2: inside Django -----------------------------------------------------------------------


def d1(rows: int, with_peers: bool) -> Workload:
    """A fiftieth of the rows: an item with queries of its own takes a fifth of a millisecond."""
    del with_peers
    count = rows // 50
    titles = {"ask": "D1, items that ask", "compute": "D1, items that compute"}
    races = [
        Race(
            title,
            [
                _in_django("plain loop", YARDSTICKS / "d1_loop.py", count, kind),
                _in_django(NAME, OURS / "d1.py", count, kind),
            ],
        )
        for kind, title in titles.items()
    ]
    return Workload(
        "D1: a pipe over the objects of a Django model, a result of each; some ask the database",
        races,
        [faster(title, "plain loop", 0.9) for title in titles.values()],
        unit="ns/record",
        ratio="speed",
    )


def d2(rows: int, with_peers: bool) -> Workload:
    """A tenth of the rows."""
    del with_peers
    count = rows // 10
    contenders = [
        _in_django("bulk_create", YARDSTICKS / "d2_bulk.py", count),
        _in_django(NAME, OURS / "d2.py", count),
    ]
    return Workload(
        "D2: records in memory into a Django model",
        [Race("D2", contenders)],
        [faster("D2", "bulk_create", 0.8)],
        unit="ns/record",
        ratio="speed",
    )


def _in_django(name: str, script: Path, count: int, *more: str) -> Contender:
    command = (sys.executable, str(script), str(count), *more)
    missing = "" if find_spec("penstock_django") else "not installed"  # it has the tables of both
    return Contender(
        name, command, count, writes=True, loads=True, times_itself=True, missing=missing
    )


# ---- W2: what a stage costs --------------------------------------------------------------------

W2_LIMITS = {1: 100, 5: 210, 10: 350}
W2_SLOPE = 32


def w2(records: int, with_peers: bool) -> Workload:
    def itself(
        name: str, python: Path, script: Path, *more: str, count: int = records
    ) -> Contender:
        command = (str(python), str(script), str(count), *more)
        return Contender(name, command, count, times_itself=True, missing=_missing(python))

    races, targets = [], []
    for stages, most in W2_LIMITS.items():
        number = str(stages)
        title = _w2_title(stages)
        ours = itself(NAME, Path(sys.executable), OURS / "w2.py", number)
        contenders = [
            itself("nested calls", Path(sys.executable), YARDSTICKS / "w2_nested.py", number),
            _if_installed(ours),
            itself("generators", Path(sys.executable), YARDSTICKS / "w2_generators.py", number),
        ]
        if with_peers:
            for name, peer, extra in (
                ("Bytewax", "bytewax", ()),
                ("Bytewax tuned", "bytewax", ("tuned",)),
                ("Quix core", "quixstreams", ()),
            ):
                script = HERE / "peers" / f"{peer}_w2.py"
                contenders.append(itself(name, peers.program(peer), script, number, *extra))
            script = HERE / "peers" / "streamz_w2.py"
            # A tenth of the records: it needs 20 s for all of them.
            slow = itself("streamz", peers.program("streamz"), script, number, count=records // 10)
            contenders.append(slow)
        races.append(Race(title, contenders))
        targets.append(_per_record(title, most))

    def slope(results: Results) -> float:
        first, last = min(W2_LIMITS), max(W2_LIMITS)
        more = _measured(results, _w2_title(last), NAME).per_record
        return (more - _measured(results, _w2_title(first), NAME).per_record) / (last - first)

    targets.append(Target(f"W2: ≤ {W2_SLOPE} ns for one more stage", slope, most=W2_SLOPE))
    return Workload(
        "W2: records in memory through stages that do nothing",
        races,
        targets,
        unit="ns/record",
        ratio="speed",
    )


def _w2_title(stages: int) -> str:
    return f"W2, {stages} stage{'s' if stages > 1 else ''}"


def _per_record(race: str, most: float) -> Target:
    return Target(
        f"{race}: ≤ {most:g} ns per record",
        lambda results: _measured(results, race, NAME).per_record,
        most=most,
    )


# ---- W5: starting and installing ---------------------------------------------------------------


def w5(rows: int, with_peers: bool) -> Workload:
    del rows  # one is enough: it is the start that counts
    python = "python -c pass"
    smallest = _pipeline("smallest pipeline", "w5.yaml", 1)
    contenders = [
        Contender(python, (sys.executable, "-c", "pass")),
        _if_installed(Contender("import penstock", (sys.executable, "-c", "import penstock"))),
        _if_installed(Contender("penstock --help", (str(PROGRAM), "--help"))),
        smallest,
    ]
    if with_peers:
        contenders += [
            Contender(
                f"{peer} --help",
                (str(peers.program(peer, peer)), "--help"),
                missing=_missing(peers.program(peer, peer)),
            )
            for peer in ("hatch", "llm", "dlt", "meltano")
        ]
    return Workload(
        "W5: starting, and what the core alone brings",
        [Race("W5", contenders, data("w1", 1))],
        [
            _quickly("W5", "penstock --help", python, 5),
            _quickly("W5", "smallest pipeline", python, 10),
            _footprint("core: 2 dependencies", "dependencies", 2),
            _footprint("core: ≤ 5 MB", "MB", 5),
        ],
        unit="ms",
        ratio="time",
        figures=footprint.measure,
        runs=25,
    )


WORKLOADS: Mapping[str, Callable[[int, bool], Workload]] = {
    "W1a": w1a,
    "W1b": w1b,
    "W2": w2,
    "W3": w3,
    "W4": w4,
    "W4m": w4m,
    "W5": w5,
    "W6": w6,
    "W8": w8,
    "E1": e1,
    "D1": d1,
    "D2": d2,
}


# ---- contenders --------------------------------------------------------------------------------


def data(name: str, rows: int) -> Path:
    """The data of a workload, made if it is not there yet."""
    path = DATA / f"{name}-{rows}.csv"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        gen.GENERATORS[name](rows, path)
    return path


def _yardstick(name: str, script: str, rows: int) -> Contender:
    command = (sys.executable, str(YARDSTICKS / script), "w1.csv", "out.jsonl")
    return Contender(name, command, rows, writes=True)


def _pipeline(name: str, file: str, rows: int) -> Contender:
    command = (str(PROGRAM), "run", file)
    return _if_installed(Contender(name, command, rows, files=[OURS / file], writes=True))


def _peer(name: str, peer: str, script: str, rows: int, *more: str) -> Contender:
    python = peers.program(peer)
    command = (str(python), str(HERE / "peers" / script), "w1.csv", "out.jsonl", *more)
    return Contender(name, command, rows, writes=True, missing=_missing(python))


def _if_installed(contender: Contender) -> Contender:
    return contender if PROGRAM.exists() else replace(contender, missing="not installed")


def _missing(program: Path) -> str:
    return "" if program.exists() else "not installed"
