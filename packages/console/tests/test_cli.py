"""The real command on a real terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock import BATCH_SIZE
from penstock_console.text import number

pty = pytest.importorskip("pty", reason="there are no terminals of this kind here")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

SHOP = """
import time
from pathlib import Path

def orders():
    for number in range(1, BATCH + 1):
        yield {"id": number, "amount": "n/a" if number == 200 else "1.50"}
    while not Path("go").exists():
        time.sleep(0.01)
    yield {"id": BATCH + 1, "amount": "1.50"}

def total(order):
    return {**order, "amount": float(order["amount"])}

def store(order):
    pass
""".replace("BATCH", str(BATCH_SIZE))
FIRST_BATCH = f"{number(BATCH_SIZE)} read, {number(BATCH_SIZE - 1)} written"
PIPELINE = """
inputs:
  orders: {use: "shop:orders"}
transformers:
  total: {use: "shop:total"}
outputs:
  store: {use: "shop:store"}
pipes:
  shop: [orders, total, store]
engine: ENGINE
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "shop.yaml").write_text(PIPELINE.replace("ENGINE", "inline"))
    (tmp_path / "threads.yaml").write_text(PIPELINE.replace("ENGINE", "threads"))
    return tmp_path


class OnTerminal:
    """`penstock run` with a terminal of 100 × 30 as its standard streams."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.folder, self.text = folder, ""
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x1e\x00\x64\x00\x00\x00\x00\x00")
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "run", *arguments],
            cwd=folder,
            env={**kept, "TERM": "xterm", "PYTHONUTF8": "1", **environ},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self.modes = termios.tcgetattr(slave)
        self.slave = slave

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def until(self, pattern: str) -> None:
        """Read until this is there; a program that never writes it fails the test."""
        deadline = time.monotonic() + 60
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text!r}"
            if not self._read():
                assert self.process.poll() is None or self._read(), f"no {pattern!r}: {self.text!r}"

    def go(self) -> int:
        """Let the input end; what the program ends with."""
        (self.folder / "go").touch()
        return self.ended()

    def ended(self) -> int:
        while self.process.poll() is None:
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        try:
            read = os.read(self.master, 65536).decode()
        except BlockingIOError:
            time.sleep(0.005)
            return False
        self.text += read.replace("\r\n", "\n")
        return True


@pytest.mark.parametrize("pipeline", ["shop.yaml", "threads.yaml"])
def test_a_run_shows_its_nodes_and_then_its_report(folder, screen, pipeline):
    with OnTerminal(folder, pipeline) as run:
        name = pipeline.partition(".")[0]
        run.until(rf"{name}: {FIRST_BATCH}, 1 failed, .*\n.* (?s:.*)total")
        assert "\x1b[31m1\x1b[0m" in run.text, "failures are red"
        assert run.go() == 6
    shown = str(screen(run.text))
    assert re.match(r"node +use +in +out", shown), "the block is gone"
    assert len(re.findall("^ *total ", shown, re.MULTILINE)) == 1
    assert "1 × total: ValueError: could not convert" in shown
    assert f"{name}: finished, with dead letters, in " in shown
    assert "?25l" not in run.text, "the cursor is never hidden"


def test_no_color_is_honoured(folder):
    with OnTerminal(folder, "shop.yaml", NO_COLOR="1") as run:
        run.until(FIRST_BATCH)
        run.go()
    assert re.findall(r"\x1b\[[\d;]*m", run.text) == []
    assert "\x1b[J" in run.text, "a block needs no colours"


def test_a_dumb_terminal_gets_plain_text(folder):
    with OnTerminal(folder, "shop.yaml", TERM="dumb") as run:
        assert run.go() == 6
    assert "\x1b" not in run.text
    assert "shop: finished, with dead letters" in run.text


def test_a_quiet_run_shows_nothing(folder):
    with OnTerminal(folder, "--quiet", "shop.yaml") as run:
        assert run.go() == 6
    assert run.text == ""


def test_ctrl_c_leaves_a_report_and_a_sane_terminal(folder, screen):
    with OnTerminal(folder, "threads.yaml") as run:
        run.until(FIRST_BATCH)
        run.process.send_signal(signal.SIGINT)
        run.until("stopping")
        assert run.go() == 130
        assert termios.tcgetattr(run.slave) == run.modes
    shown = str(screen(run.text)).splitlines()
    said = shown.index("penstock: finishing what was read; once more to stop at once")
    assert shown[said + 1].startswith("node ")
    assert any(line.startswith("threads: interrupted in") for line in shown[said:])


def test_ctrl_c_twice_leaves_the_terminal_without_colours_and_at_a_new_line(folder, screen):
    with OnTerminal(folder, "threads.yaml") as run:
        run.until(FIRST_BATCH)
        run.process.send_signal(signal.SIGINT)
        run.until("once more")
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 130
        assert termios.tcgetattr(run.slave) == run.modes
    assert str(screen(run.text)).endswith("penstock: stopped at once\n")
    colours = re.findall(r"\x1b\[[\d;]*m", run.text)
    assert colours[-1] == "\x1b[0m"


def without_terminal(folder: Path, redirect: str) -> subprocess.CompletedProcess[str]:
    (folder / "go").touch()
    command = f'exec "$0" -m penstock run shop.yaml {redirect}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "TERM": "xterm", "PYTHONUTF8": "1"},
        check=False,
    )


def test_in_a_log_a_short_run_is_its_report_alone(folder):
    done = without_terminal(folder, "")
    assert done.returncode == 6
    assert "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("node ")
    assert " ".join(lines[1].split()).startswith(f"orders shop:orders {number(BATCH_SIZE + 1)} 0 ")
    assert lines[-2].startswith("shop: finished, with dead letters, in ")


def test_an_error_is_said_once(folder):
    (folder / "shop.py").write_text(SHOP.replace('"id": number', '"id": no_such_name'))
    done = without_terminal(folder, "")
    assert done.returncode == 1
    assert done.stderr.count("'no_such_name' is not defined") == 1


def test_what_is_wrong_with_a_pipeline_stands_in_its_report(folder):
    text = (folder / "shop.yaml").read_text()
    spare = '  store: {use: "shop:store"}\n  spare: {use: "shop:store"}'
    (folder / "shop.yaml").write_text(text.replace('  store: {use: "shop:store"}', spare))
    assert "warning: spare stands in no pipe\n" in without_terminal(folder, "").stderr


def test_json_is_alone_on_standard_output_and_no_report_on_standard_error(folder):
    done = without_terminal(folder, "--json")
    assert done.stdout.startswith("{\n")
    assert "node " not in done.stderr


def test_a_standard_error_that_is_closed_changes_no_result(folder):
    done = without_terminal(folder, "2>&-")
    assert (done.returncode, done.stdout) == (6, "")
