"""Small wheels, an index on this machine, and pipelines that need them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock_deploy.installed import closure

PIPELINE = """
inputs:
  orders: {use: csv, path: orders.csv}
outputs:
  clean: {use: json, path: clean.jsonl}
pipes:
  orders: [orders, clean]
"""
NEEDED = ["penstock", "penstock-input-csv", "penstock-sink-json"]


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    needs: Any = (),
    module: str = "",
    license: str = "",
    summary: str = "",
    entry: str = "",
    about: str = "",
) -> Path:
    """A wheel with one module; whoever resolves reads only what it says of itself."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    if not about:
        about = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
        about += f"License-Expression: {license}\n" if license else ""
        about += f"Summary: {summary}\n" if summary else ""
        about += "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{stem}.py": module,
        f"{info}/METADATA": about,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry:
        files[f"{info}/entry_points.txt"] = f"[penstock.plugins.v1]\n{entry}\n"
    record = ""
    for path, text in files.items():
        digest = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    wheel = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


@dataclass
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


class Place:
    """A folder with a pipeline, and with wheels as if its needs had been built."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wheels = path / "wheels"
        self.environment: dict[str, str] = {}
        (path / "pipeline.yaml").write_text(PIPELINE)
        for one in closure(NEEDED).values():
            make_wheel(self.wheels, one.name, one.version, one.needs)

    def make_wheel(self, name: str, version: str, needs: Any = (), **more: str) -> Path:
        return make_wheel(self.wheels, name, version, needs, **more)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def penstock(self, *arguments: str, **environment: str) -> Done:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK", "PIP_FIND"))}
        done = subprocess.run(
            [sys.executable, "-m", "penstock", *arguments],
            cwd=self.path,
            env={**kept, "PYTHONUTF8": "1", **self.environment, **environment},
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=100,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def lock(self, *arguments: str, **environment: str) -> Done:
        local = ["--find-links", "wheels", "--no-index"]
        return self.penstock("lock", "pipeline.yaml", *local, *arguments, **environment)

    def read(self, name: str = "pylock.toml") -> dict[str, Any]:
        from penstock.locking import read_lock

        return read_lock(self.path / name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def index(tmp_path_factory) -> Iterator[tuple[str, Callable[..., Path]]]:
    """An index on this machine: its address, and a function that publishes a wheel there."""
    root = tmp_path_factory.mktemp("index")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            """Tests have nothing to say on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def publish(name: str, version: str, needs: Any = (), **more: str) -> Path:
        folder = root / "simple" / name
        wheel = make_wheel(folder, name, version, needs, **more)
        links = "".join(f'<a href="{one.name}">{one.name}</a>\n' for one in folder.glob("*.whl"))
        (folder / "index.html").write_text(f"<!DOCTYPE html>\n{links}")
        return wheel

    yield f"127.0.0.1:{server.server_port}/simple", publish
    server.shutdown()
    server.server_close()
    thread.join()
