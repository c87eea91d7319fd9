"""A shop whose orders are paid in chunks, and a press whose items are, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from penstock import Report, load_pipeline
from penstock.stores.sqlite import SqliteStore
from penstock.supervise import supervise
from penstock_celery.chunks import do_chunk
from penstock_celery.ledger import Ledger

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"

PIPELINE = """
engine:
  use: celery
  broker_url: "{broker}"
  ledger: sqlite:///ledger.db
  chunks: {chunks}
  lease: {lease}
  ring_again: {ring_again}
epoch: {{records: 5}}
inputs:
  orders: {{use: sql, url: "sqlite:///shop.db", table: orders, batch_size: 5}}
transformers:
  pay: {{use: "paying:pay", nap: {nap}}}
outputs:
  paid: {{use: sql, url: "sqlite:///shop.db", table: paid}}
pipes:
  orders: [orders, pay, paid]
"""

PAYING = """
import time

def pay(record, nap: float = 0.0):
    time.sleep(nap)
    if record["amount"] < 0:
        raise ValueError("nobody pays a negative amount")
    return {"id": record["id"], "amount": record["amount"]}
"""


class Shop:
    """The folder of a pipeline, and what it does there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "shop.yaml"
        self.ids: list[int] = []

    def make(
        self,
        records: int = 40,
        *,
        broker: str = "memory://",
        chunks: int = 4,
        lease: str = "30s",
        ring_again: str = "5s",
        nap: float = 0.0,
        wrong: tuple[int, ...] = (),
    ) -> Shop:
        text = PIPELINE.format(
            broker=broker, chunks=chunks, lease=lease, ring_again=ring_again, nap=nap
        )
        self.file.write_text(text, encoding="utf-8")
        (self.folder / "paying.py").write_text(PAYING, encoding="utf-8")
        self.ids = list(range(1, records + 1))
        with self.database() as there:
            there.execute("PRAGMA journal_mode=WAL")
            there.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER)")
            rows = [(one, -1 if one in wrong else one * 10) for one in self.ids]
            there.executemany("INSERT INTO orders VALUES (?, ?)", rows)
        return self

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.folder / "shop.db", timeout=30)) as there, there:
            yield there

    def paid(self) -> Counter[int]:
        """How often each order was paid."""
        with self.database() as there:
            try:
                return Counter(number for (number,) in there.execute("SELECT id FROM paid"))
            except sqlite3.OperationalError:  # nobody has written yet
                return Counter()

    def lost_and_repeated(self, times: int = 1) -> tuple[int, int]:
        paid = self.paid()
        lost = sum(max(0, times - paid[one]) for one in self.ids)
        return lost, sum(max(0, count - times) for count in paid.values())

    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.folder}/ledger.db")

    def pipeline(self, *settings: str) -> Any:
        return load_pipeline(self.file, settings=settings)

    def run(self, *settings: str, **how: Any) -> tuple[Any, Report]:
        """Run here; who does the chunks is somebody else's matter."""
        store = SqliteStore(self.folder / ".penstock")
        store.open()
        try:
            return supervise(self.pipeline(*settings), store, **how)
        finally:
            store.close()

    def letters(self) -> list[Any]:
        store = SqliteStore(self.folder / ".penstock")
        store.open()
        try:
            return store.letters("shop")
        finally:
            store.close()

    def inline(self, **how: Any) -> tuple[Any, Report]:
        """Run here with the engine that is used where none is named."""
        text = self.file.read_text()
        start, end = text.index("engine:"), text.index("epoch:")
        self.file.write_text(text[:start] + text[end:])
        try:
            return self.run(**how)
        finally:
            self.file.write_text(text)

    def hands(self) -> Hands:
        return Hands(self)

    def do(self, *numbers: int, opened: bool = True, settings: tuple[str, ...] = ()) -> list[str]:
        """Do these chunks of the run that is not over."""
        ledger = self.ledger()
        run = ledger.open_run("shop")
        assert run is not None
        if opened:
            ledger.set_state(run, "open")
        pipeline = self.pipeline(*settings)
        return [do_chunk(pipeline, ledger, run.name, number, 30.0) for number in numbers]

    def until(self, what: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds:g} s")

    def start_run(self, *arguments: str) -> Mortal:
        return self.penstock("run", "shop.yaml", *arguments)

    def penstock(self, *arguments: str) -> Mortal:
        return Mortal(
            [sys.executable, "-m", "penstock", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )


class Mortal(subprocess.Popen[str]):
    """A process that dies with the block that it was started for. One that waits for workers which
    a failing test has left dead would be waited for without an end."""

    def __exit__(self, *why: Any) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*why)


class Hands:
    """Does the chunks of a shop on a thread, as workers would that are always rung in time."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def __enter__(self) -> Hands:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _work(self) -> None:
        pipeline = self.shop.pipeline()
        while not self.over.wait(0.05):
            if not (self.shop.folder / "ledger.db").exists():
                continue
            ledger = self.shop.ledger()
            ledger.make()
            run = ledger.open_run("shop")
            for chunk in ledger.summaries(run) if run else ():
                do_chunk(pipeline, ledger, run.name, chunk.number, 30.0)
            ledger.close()


class Worker:
    """A worker of Celery in a session of its own, started again whenever it ends: Celery's leaves
    when one of its processes dies while it starts."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.command, self.folder = command, folder
        self.starts = 0
        self._lock, self._over = threading.Lock(), False
        self._start()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    def _start(self) -> None:
        self.starts += 1
        with open(self.folder / "worker.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )

    def _keep(self) -> None:
        while True:
            self.process.wait()
            self.kill()  # those of its processes that it has left behind
            with self._lock:
                if self._over:
                    return
                self._start()

    def end(self) -> None:
        with self._lock:
            self._over = True
            self.kill()
        self._keeper.join()

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def kill_child(self, index: int) -> bool:
        """Kill one of its processes; whether there was one."""
        children = self.children()
        if not children:
            return False
        try:
            os.kill(children[index % len(children)], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """Kill it with all its processes, as when its machine is switched off."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def log(self) -> str:
        return (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")


FILES = {
    "press_settings.py": """
import os
SECRET_KEY = "a-secret-key-of-the-tests"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "penstock_django", "press"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(os.path.dirname(__file__), "press.db"),
        "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
""",
    "press/__init__.py": "",
    "press/models.py": """
import uuid
from django.db import models

class Item(models.Model):
    number = models.IntegerField()

class Result(models.Model):
    number = models.IntegerField()

class Ticket(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    number = models.IntegerField()
""",
    "press/pipes.py": """
import time
from penstock_django import Pipe, pipeline
from .models import Result

@pipeline("double")
class Double(Pipe):
    def process(self):
        item = super().process()
        time.sleep(0.02)
        if item.number == 13:
            raise LookupError("nobody likes thirteen")
        self.add_to_save(Result(number=item.number))
        return item

@pipeline("counts")
class Counts(Pipe):
    def process(self):
        self.context["count"] = self.context.get("count", 0) + 1
        assert "not" not in self.context
        self.add_to_save(Result(number=self.context["count"]))
        return super().process()

@pipeline("stops")
class Stops(Pipe):
    def process(self):
        item = super().process()
        self.add_to_save(Result(number=item.number))
        if item.number == 2:
            raise self.Error("all of it")
        return item
""",
    "bells.py": """
import os
import django
django.setup()
from celery import Celery
from penstock_celery.django import serve_items
app = Celery("press", broker=os.environ["PRESS_BROKER"])
app.conf.update(
    accept_content=["json"], worker_prefetch_multiplier=1, task_default_queue=os.environ["PRESS_QUEUE"]
)
serve_items(app)
""",
}


class Press:
    """The folder of a project of Django with forty items."""

    RUN = (
        "from penstock_django import get_session",
        "from press.models import Item",
    )
    RINGS = "from penstock_celery.django import ring_again; print(ring_again(after=0))"
    ALL = "get_session(debug=False).run_in_celery(Item.objects.all(), 'double', celery_chunksize=4)"

    def __init__(self, folder: Path, broker: str = "memory://", queue: str = "press") -> None:
        self.folder = folder
        self.environ = {"PRESS_BROKER": broker, "PRESS_QUEUE": queue}
        self.environ["DJANGO_SETTINGS_MODULE"] = "press_settings"

    def make(self) -> None:
        for name, text in FILES.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        self.python(
            "from django.core.management import call_command",
            "call_command('migrate', verbosity=0, run_syncdb=True)",
            "from press.models import Item",
            "Item.objects.bulk_create(Item(number=n) for n in range(1, 41))",
            "from penstock_celery.django import ring_again; ring_again()",  # makes the table
        )

    def python(self, *lines: str, expect: int = 0) -> str:
        """Run lines in the project; what they print."""
        done = subprocess.run(
            self._command(*lines),
            cwd=self.folder,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout

    def _command(self, *lines: str) -> list[str]:
        return [sys.executable, "-W", "ignore", "-c", "\n".join(["import bells", *lines])]

    @contextmanager
    def ringing(self) -> Iterator[None]:
        """Ring again every second, as a periodic task would."""
        lines = ["import time", "from penstock_celery.django import ring_again"]
        lines += ["while True: time.sleep(1), ring_again(after=2)"]
        environ = {**os.environ, **self.environ}
        command = self._command(*lines)
        with subprocess.Popen(command, cwd=self.folder, env=environ) as bell:
            try:
                yield
            finally:
                bell.kill()

    def _asked(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "press.db", timeout=60)) as there:
            return [value for (value,) in there.execute(query)]

    def results(self) -> list[int]:
        return self._asked("SELECT number FROM press_result ORDER BY number")

    def errors(self) -> list[str]:
        return self._asked("SELECT error_type FROM penstock_django_pipelineerror")

    def states(self) -> set[str]:
        return set(self._asked("SELECT DISTINCT state FROM penstock_celery_items"))


@pytest.fixture(autouse=True)
def _no_project_of_django(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery would look for the project of whoever has named one before."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)


@pytest.fixture
def blocked() -> Callable[[Any], AbstractContextManager[None]]:
    """While entered, a RabbitMQ or Redis takes no messages, as it has no memory for them."""

    @contextmanager
    def blocked(server: Any) -> Iterator[None]:
        _give_memory(server, 1)
        try:
            yield
        finally:
            _give_memory(server, 512_000_000)

    return blocked


def _give_memory(server: Any, size: int) -> None:
    if server.title == "Redis":
        server.call("redis-cli", "-p", str(server.port), "config", "set", "maxmemory", str(size))
        return
    control = Path(server.executable).with_name("rabbitmqctl")
    node = server.environment()["RABBITMQ_NODENAME"]
    server.call(control, "-n", node, "set_vm_memory_high_watermark", "absolute", str(size))


@pytest.fixture
def certify(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Say what was tried and found, as (lost, repeated); the long form keeps it for the reference.
    Called when all is right."""

    def found(
        fault: str,
        of: str,
        tried: int,
        right: tuple[int, int],
        does: str,
        tried_there: int,
        wrong: tuple[int, int],
    ) -> None:
        print(f"\n{fault}: {of}: lost, repeated {right}, of {tried}")
        print(f"{does}: {wrong}, of {tried_there}")
        if LONG:
            from faults.certificates import Wrong, put, row  # of the repository, not of the package
            from faults.oracle import Verdict

            test, other = request.node.nodeid.partition("[")[0], Verdict(*wrong)
            beside = Wrong(does, tried_there, other)
            put(row(test, fault, of, "celery", tried, Verdict(*right), beside))

    return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers, which end with the test."""
    started: list[Worker] = []

    def start(*command: str, folder: Path = tmp_path) -> Worker:
        own = ["-m", "penstock", "celery", "shop.yaml", "--concurrency", "2"]
        started.append(Worker([sys.executable, *(command or own)], folder))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="session")
def made_press(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "press"
    folder.mkdir()
    Press(folder).make()
    return folder


@pytest.fixture
def press(made_press, tmp_path):
    shutil.copytree(made_press, tmp_path, dirs_exist_ok=True)
    return Press(tmp_path)


@pytest.fixture
def start(press, worker, rabbitmq_server, request, monkeypatch):
    press.environ["PRESS_BROKER"] = rabbitmq_server.url()
    press.environ["PRESS_QUEUE"] = f"press{abs(hash(request.node.name))}"
    for name, value in press.environ.items():
        monkeypatch.setenv(name, value)

    def start():
        return worker("-m", "celery", "-A", "bells", "worker", "-c", "2", "-l", "INFO")

    return start
