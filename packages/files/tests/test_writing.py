"""A file appears whole or not at all, and whatever goes wrong is said with its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from penstock import ConnectError, RunError
from penstock_files.writing import FileWriter

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.txt"


def test_a_new_file_appears_only_when_it_is_finished(target: Path) -> None:
    writer = FileWriter(target)
    writer.write(b"one\n")
    writer.flush()
    assert not target.exists()
    writer.finish()
    assert target.read_bytes() == b"one\n"
    assert os.listdir(target.parent) == ["out.txt"]


def test_an_old_file_stays_until_the_new_one_is_finished(target: Path) -> None:
    target.write_text("old")
    writer = FileWriter(target)
    writer.write(b"new")
    writer.flush()
    assert target.read_text() == "old"
    writer.finish()
    assert target.read_text() == "new"


def test_giving_up_leaves_the_old_file_and_no_part(target: Path) -> None:
    target.write_text("old")
    writer = FileWriter(target)
    writer.write(b"new")
    writer.abort()
    assert target.read_text() == "old"
    assert os.listdir(target.parent) == ["out.txt"]


def test_appending_adds_to_the_end(target: Path) -> None:
    target.write_text("old\n")
    writer = FileWriter(target, "append")
    assert writer.length == 4
    writer.write(b"new\n")
    writer.finish()
    assert target.read_text() == "old\nnew\n"


def test_giving_up_an_append_cuts_the_file_back(target: Path) -> None:
    target.write_text("old\n")
    writer = FileWriter(target, "append")
    writer.write(b"new\n")
    writer.flush()
    writer.abort()
    assert target.read_text() == "old\n"


def test_giving_up_an_append_to_a_new_file_removes_it(target: Path) -> None:
    writer = FileWriter(target, "append")
    writer.write(b"new\n")
    writer.flush()
    writer.abort()
    assert not target.exists()


def test_finish_and_abort_after_the_end_change_nothing(target: Path) -> None:
    writer = FileWriter(target)
    writer.write(b"new")
    writer.finish()
    writer.finish()
    writer.abort()
    assert target.read_text() == "new"


def test_bytes_are_counted_before_compression(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "out.gz")
    writer.write(b"0" * 1000)
    writer.write(b"0" * 234)
    writer.finish()
    assert writer.written == 1234
    assert (tmp_path / "out.gz").stat().st_size < 100


@pytest.mark.parametrize("suffix", OPENERS)
def test_the_suffix_compresses(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    writer = FileWriter(target)
    writer.write(b"one\n")
    writer.flush()
    writer.write(b"two\n")
    writer.finish()
    again = FileWriter(target, "append")
    again.write(b"three\n")
    again.finish()
    assert OPENERS[suffix](target).read() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("suffix", OPENERS)
def test_what_was_flushed_unpacks_without_the_rest(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    writer = FileWriter(target, "append")
    writer.write(b"one\n")
    writer.flush()
    assert OPENERS[suffix](target).read() == b"one\n"
    writer.abort()


@pytest.mark.parametrize("suffix", OPENERS)
def test_an_empty_compressed_file_unpacks_to_nothing(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    FileWriter(target).finish()
    assert target.stat().st_size
    assert OPENERS[suffix](target).read() == b""


def test_the_permissions_of_the_file_are_kept(target: Path) -> None:
    target.write_text("old")
    target.chmod(0o640)
    FileWriter(target).finish()
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(folder / "real.txt")
    writer = FileWriter(link)
    writer.write(b"new")
    writer.finish()
    assert link.is_symlink()
    assert (folder / "real.txt").read_text() == "new"


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_second_writer_is_refused(target: Path, mode: str) -> None:
    first = FileWriter(target, mode)
    with pytest.raises(ConnectError) as caught:
        FileWriter(target, mode)
    assert str(caught.value) == (
        f"{target}: is being written by another run; wait for the other run"
    )
    first.write(b"first")
    first.finish()
    assert target.read_bytes() == b"first"
    FileWriter(target, mode).abort()


def test_what_a_killed_run_left_behind_is_written_over(target: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from penstock_files.writing import FileWriter\n"
        "writer = FileWriter(Path(sys.argv[1])); writer.write(b'half'); writer.flush()\n"
        "os._exit(9)"
    )
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code, str(target)], env={"PYTHONPATH": path})
    assert os.listdir(target.parent) == [".out.txt.part"]
    writer = FileWriter(target)
    writer.write(b"1")
    writer.finish()
    assert target.read_bytes() == b"1"
    assert os.listdir(target.parent) == ["out.txt"]


def test_where_there_are_no_locks_the_part_file_is_the_lock(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_files.writing.fcntl", None)
    first = FileWriter(target)
    with pytest.raises(ConnectError) as caught:
        FileWriter(target)
    part = target.with_name(".out.txt.part")
    assert str(caught.value) == (
        f"{target}: is being written by another run; wait for the other run; "
        f"if there is none, remove {str(part)!r}"
    )
    first.write(b"1")
    first.finish()
    assert target.read_bytes() == b"1"
    FileWriter(target).abort()
    assert os.listdir(target.parent) == ["out.txt"]


def test_standard_output_gets_the_bytes_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="ascii"))
    print("before")
    writer = FileWriter(Path("-"))
    writer.write(b"\xff\n")
    assert raw.getvalue() == b"before\n\xff\n"
    writer.finish()
    writer.abort()
    print("after", flush=True)
    assert raw.getvalue() == b"before\n\xff\nafter\n"


def test_standard_output_without_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with pytest.raises(ConnectError) as caught:
        FileWriter(Path("-"))
    assert str(caught.value) == "-: standard output takes no bytes here; name a file"


def test_a_reader_that_has_gone_is_not_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stdout = io.TextIOWrapper(os.fdopen(writing, "wb", 0))
    monkeypatch.setattr("sys.stdout", stdout)
    writer = FileWriter(Path("-"))
    with pytest.raises(BrokenPipeError):
        writer.write(b"x")
    stdout.detach().close()


def test_a_named_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    writer = FileWriter(pipe)
    writer.write(b"through\n")
    writer.finish()
    reader.join(10)
    assert got == [b"through\n"]
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_name_for_standard_output_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from penstock_files.writing import FileWriter\n"
        "writer = FileWriter(Path('/dev/stdout')); writer.write(b'two\\n'); writer.finish()"
    )
    with (tmp_path / "log").open("wb", 0) as log:
        log.write(b"one\n")
        path = os.pathsep.join(sys.path)
        done = subprocess.run([sys.executable, "-c", code], stdout=log, env={"PYTHONPATH": path})
    assert done.returncode == 0
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert os.listdir(tmp_path) == ["log"]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_full_disk(mode: str) -> None:
    writer = FileWriter(Path("/dev/full"), mode)
    with pytest.raises(RunError) as caught:
        writer.write(b"x")
    assert str(caught.value) == "/dev/full: the disk is full; make room and run it again"
    writer.abort()


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConnectError) as caught:
        FileWriter(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; name a file in it"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out.txt"
    with pytest.raises(ConnectError) as caught:
        FileWriter(target)
    assert str(caught.value) == (
        f"{target}: there is no folder {str(target.parent)!r}; make it, or set create_parents: true"
    )
    FileWriter(target, create_parents=True).finish()
    assert target.read_bytes() == b""


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    target = tmp_path / "file" / "out.txt"
    with pytest.raises(ConnectError) as caught:
        FileWriter(target, create_parents=True)
    assert str(target) in str(caught.value)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 300)
    with pytest.raises(ConnectError) as caught:
        FileWriter(target)
    assert str(caught.value) == f"{target}: the name is too long; choose a shorter one"


def _as_nobody(code: str, target: Path) -> str:
    """What a user without rights is told; root may write everywhere."""
    program = (
        "import os, sys; from pathlib import Path; from penstock_files.writing import FileWriter\n"
        "from penstock.errors import PenstockError\n"
        "os.getuid() == 0 and os.setuid(65534)\n"
        f"try:\n    {code}\nexcept PenstockError as error:\n    print(error)"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program, str(target)],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    return done.stdout.strip()


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that another user can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


def test_a_read_only_folder(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    target = open_folder / "out.txt"
    text = _as_nobody("FileWriter(Path(sys.argv[1]))", target)
    open_folder.chmod(0o755)
    assert text == f"{target}: permission denied; allow this user to write it and its folder"


def test_a_read_only_file_is_not_replaced(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    target = open_folder / "out.txt"
    target.write_text("old")
    target.chmod(0o444)
    text = _as_nobody("FileWriter(Path(sys.argv[1])).finish()", target)
    assert text == f"{target}: permission denied; allow this user to write it and its folder"
    assert target.read_text() == "old"


def test_ends_with_looks_at_the_file_that_is_appended_to(target: Path) -> None:
    empty = FileWriter(target, "append")
    assert empty.ends_with(b"\n")
    empty.write(b"whole\nhalf")
    empty.finish()
    again = FileWriter(target, "append")
    assert again.ends_with(b"half")
    assert not again.ends_with(b"\n")
    again.abort()
