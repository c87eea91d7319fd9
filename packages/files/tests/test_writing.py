"""A file appears whole or not at all, and whatever goes wrong is said with its name."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

import pytest

from penstock import ConnectError, RunError
from penstock_files.writing import FileWriter, delivery_of

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
    writer.close()
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
    writer.close()
    assert target.read_text() == "old\n"


def test_giving_up_an_append_to_a_new_file_removes_it(target: Path) -> None:
    writer = FileWriter(target, "append")
    writer.write(b"new\n")
    writer.flush()
    writer.close()
    assert not target.exists()


def test_finish_and_abort_after_the_end_change_nothing(target: Path) -> None:
    writer = FileWriter(target)
    writer.write(b"new")
    writer.finish()
    writer.finish()
    writer.close()
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
    writer.close()


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
        f"{target}: is written by another output of this pipeline too; give each its own file"
    )
    first.write(b"first")
    first.finish()
    assert target.read_bytes() == b"first"


@pytest.mark.parametrize(("mode", "held"), [("replace", ".out.txt.part"), ("append", "out.txt")])
def test_a_file_that_another_process_writes_is_refused(
    target: Path, mode: Literal["replace", "append"], held: str
) -> None:
    fcntl = pytest.importorskip("fcntl")
    elsewhere = FileWriter(target.with_name("elsewhere.txt"))
    with (target.parent / held).open("wb") as file:  # a lock of which no writer here knows
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConnectError) as caught:
            FileWriter(target, mode)
    assert str(caught.value) == (
        f"{target}: is being written by another run; wait for the other run"
    )
    elsewhere.close()
    FileWriter(target, mode).close()


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


def test_where_there_are_no_locks_a_file_is_replaced_all_the_same(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_files.writing.fcntl", None)
    first = FileWriter(target)
    first.write(b"1")
    first.finish()
    assert target.read_bytes() == b"1"
    FileWriter(target).close()
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
    writer.close()
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
    writer.close()


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
    again.close()


# ---- a run that was cut off ----------------------------------------------------------------------


def cut_off(writer: FileWriter) -> None:
    """What a kill leaves: nothing is tidied up, what is in the buffer is gone."""
    writer._file.raw.close()  # type: ignore[attr-defined]


def in_json(mark: Any) -> Any:
    return json.loads(json.dumps(mark))


def half_way(target: Path, mode: Any = "replace") -> Any:
    """A run that has written one line, marked it, and was cut off in the next; its mark."""
    writer = FileWriter(target, mode)
    writer.resume()
    writer.write(b"one\n")
    mark = in_json(writer.mark())
    writer.write(b"half of tw")
    writer.flush()
    cut_off(writer)
    return mark


def resumed(target: Path, mark: Any, mode: Any = "replace") -> FileWriter:
    writer = FileWriter(target, mode)
    try:
        writer.resume(mark)
    except ConnectError:
        writer.close()
        raise
    return writer


@pytest.mark.parametrize("suffix", ["", *OPENERS])
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_run_goes_on_right_after_its_mark(tmp_path: Path, suffix: str, mode: str) -> None:
    target = tmp_path / f"out{suffix}"
    mark = half_way(target, mode)
    writer = resumed(target, mark, mode)
    writer.write(b"two\n")
    writer.finish(b"end\n")
    writer.close()
    read = OPENERS.get(suffix, open)
    with read(target, "rb") as file:
        assert file.read() == b"one\ntwo\nend\n"
    assert os.listdir(tmp_path) == [target.name]


def test_without_a_mark_a_run_begins_with_nothing(target: Path) -> None:
    half_way(target)
    writer = resumed(target, None)
    writer.write(b"1")
    writer.finish()
    assert target.read_bytes() == b"1"


def test_what_is_marked_stays_when_the_writer_is_closed(target: Path) -> None:
    writer = resumed(target, half_way(target))
    writer.write(b"two\n")
    mark = in_json(writer.mark())
    writer.write(b"thr")
    writer.close()
    assert not target.exists()
    again = resumed(target, mark)
    again.finish()
    assert target.read_bytes() == b"one\ntwo\n"


def test_an_append_is_cut_back_to_its_mark_when_the_writer_is_closed(target: Path) -> None:
    target.write_text("old\n")
    writer = resumed(target, half_way(target, "append"), "append")
    writer.write(b"half of tw")
    writer.flush()
    writer.close()
    assert target.read_bytes() == b"old\none\n"


def test_a_writer_that_is_only_opened_keeps_what_there_is_to_resume(target: Path) -> None:
    mark = half_way(target)
    FileWriter(target).close()
    writer = resumed(target, mark)
    writer.finish()
    assert target.read_bytes() == b"one\n"


def test_a_writer_that_is_only_opened_leaves_nothing(target: Path) -> None:
    FileWriter(target).close()
    FileWriter(target, "append").close()
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("before", [b"", b"old\n"])
def test_an_append_that_was_cut_off_before_its_first_mark_is_taken_back(
    target: Path, before: bytes
) -> None:
    target.write_bytes(before)
    first = FileWriter(target, "append")
    first.resume()
    first.write(b"lost\n")
    first.flush()
    cut_off(first)
    again = FileWriter(target, "append")
    assert again.length == len(before)
    again.resume()
    again.write(b"new\n")
    again.finish()
    assert target.read_bytes() == before + b"new\n"
    assert os.listdir(target.parent) == ["out.txt"]


def test_an_append_that_was_finished_is_never_taken_back(target: Path) -> None:
    for line in (b"one\n", b"two\n"):
        writer = FileWriter(target, "append")
        writer.resume()
        writer.write(line)
        writer.finish()
        writer.close()
    assert target.read_bytes() == b"one\ntwo\n"


def test_a_beginning_that_is_only_half_noted_means_that_nothing_was_written(target: Path) -> None:
    target.write_bytes(b"old\n")
    target.with_name(".out.txt.start").write_bytes(b'{"len')
    writer = FileWriter(target, "append")
    writer.resume()
    writer.write(b"new\n")
    writer.finish()
    assert target.read_bytes() == b"old\nnew\n"


@pytest.mark.parametrize("suffix", ["", *OPENERS])
@pytest.mark.parametrize("closing", [b"", b"]\n"])
def test_a_file_that_is_in_place_already_is_finished(
    tmp_path: Path, suffix: str, closing: bytes
) -> None:
    """The run before died after it had renamed the file and before it could note it."""
    target = tmp_path / f"out{suffix}"
    first = FileWriter(target)
    first.resume()
    first.write(b"one\n")
    mark = in_json(first.mark())
    first.finish(closing)
    before = target.read_bytes()
    for _ in range(2):
        again = resumed(target, mark)
        assert again.mark() == mark
        again.finish(closing)
        again.close()
        assert target.read_bytes() == before
    assert os.listdir(tmp_path) == [target.name]


def test_a_run_that_dies_once_more_before_it_sees_that_the_file_is_in_place(target: Path) -> None:
    mark = half_way(target)
    resumed(target, mark).finish()
    cut_off(resumed(target, mark))  # leaves an empty part file
    again = resumed(target, mark)
    again.finish()
    assert target.read_bytes() == b"one\n"
    assert os.listdir(target.parent) == ["out.txt"]


LOST = "{path}: {what}does not have the 4 bytes that an earlier run wrote; {hint}"
HINT = "put it back as it was, or start over with --fresh"


@pytest.mark.parametrize("content", [None, b"one", b"two\n"])
def test_an_unfinished_file_that_is_not_as_it_was_left(target: Path, content: bytes | None) -> None:
    mark = half_way(target)
    part = target.with_name(".out.txt.part")
    part.unlink() if content is None else part.write_bytes(content)
    with pytest.raises(ConnectError) as caught:
        resumed(target, mark)
    assert (part.read_bytes() if part.exists() else None) == content
    what = f"the unfinished file {str(part)!r} "
    assert str(caught.value) == LOST.format(path=target, what=what, hint=HINT)


@pytest.mark.parametrize("content", [b"", b"two\nthree\n"])
def test_an_appended_file_that_is_not_as_it_was_left(target: Path, content: bytes) -> None:
    mark = half_way(target, "append")
    target.write_bytes(content)
    with pytest.raises(ConnectError) as caught:
        resumed(target, mark, "append")
    assert str(caught.value) == LOST.format(path=target, what="", hint=HINT)
    assert target.read_bytes() == content


def test_an_older_file_that_begins_the_same_is_not_written_to(target: Path) -> None:
    mark = half_way(target)
    target.with_name(".out.txt.part").unlink()
    target.write_bytes(b"one\nof yesterday\n")
    writer = resumed(target, mark)
    for go_on in (lambda: writer.write(b"two\n"), writer.finish):
        with pytest.raises(ConnectError) as caught:
            go_on()
        assert "does not have the 4 bytes that an earlier run wrote" in str(caught.value)
    writer.close()
    assert target.read_bytes() == b"one\nof yesterday\n"


@pytest.mark.parametrize(
    ("path", "delivery"),
    [("-", "append"), ("/dev/null", "append"), ("new.jsonl", "rewindable")],
)
def test_only_a_file_takes_back_what_was_written(tmp_path: Path, path: str, delivery: str) -> None:
    assert delivery_of(tmp_path / path if path[0] not in "-/" else Path(path)) == delivery


def test_what_goes_to_a_device_has_no_mark() -> None:
    writer = FileWriter(Path("/dev/null"))
    writer.resume({"length": 9, "tail": [0, 0]})
    writer.write(b"x")
    assert writer.mark() is None
    writer.close()


# ---- going on after a run that has finished -----------------------------------------------------


def finished(target: Path, closing: bytes = b"") -> Any:
    writer = FileWriter(target)
    writer.resume()
    writer.write(b"one\n")
    mark = in_json(writer.mark())
    writer.finish(closing)
    writer.close()
    return mark


@pytest.mark.parametrize("suffix", ["", *OPENERS])
def test_a_finished_file_is_added_to_and_its_closing_taken_off(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    mark = finished(target, b"end\n")
    writer = FileWriter(target)
    writer.reopen(mark, b"end\n")
    writer.write(b"two\n")
    writer.mark()
    with OPENERS.get(suffix, open)(target, "rb") as file:
        assert file.read() == b"one\nend\n"  # until it is finished
    writer.finish(b"end\n")
    writer.close()
    with OPENERS.get(suffix, open)(target, "rb") as file:
        assert file.read() == b"one\ntwo\nend\n"
    assert os.listdir(tmp_path) == [target.name]


def test_a_file_that_was_reopened_in_vain_is_as_it_was(target: Path) -> None:
    mark = finished(target)
    writer = FileWriter(target)
    writer.reopen(mark)
    writer.write(b"two\n")
    writer.close()
    assert target.read_bytes() == b"one\n"
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("now", [b"one\nmore\n", b"other\n", None])
def test_a_finished_file_that_is_not_as_it_was_left_is_not_added_to(
    target: Path, now: bytes | None
) -> None:
    mark = finished(target)
    if now is None:
        target.unlink()
    else:
        target.write_bytes(now)
    writer = FileWriter(target)
    with pytest.raises(ConnectError) as error:
        writer.reopen(mark)
    writer.close()
    assert str(error.value) == (
        f"{target}: is not as the last run left it; put it back as it was, or run the pipeline again"
    )
    assert (target.read_bytes() if target.exists() else None) == now


def test_a_file_that_is_appended_to_goes_on_at_its_end(target: Path) -> None:
    target.write_bytes(b"one\nsomebody else\n")
    writer = FileWriter(target, "append")
    writer.reopen({"length": 4, "tail": []})
    writer.write(b"two\n")
    writer.finish()
    writer.close()
    assert target.read_bytes() == b"one\nsomebody else\ntwo\n"
