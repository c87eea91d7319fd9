"""Which files a path names, and what their bytes are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import ConnectError
from penstock_files.reading import find, is_seekable, open_binary, share_read

TEXT = b"id,name\n" + b"1,a line of some length that packs well\n" * 5_000
PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def refusal(function: object, path: Path) -> str:
    with pytest.raises(ConnectError) as caught:
        function(path)  # type: ignore[operator]
    assert caught.value.exit_code == 5
    return str(caught.value).replace(str(path.parent.absolute()), "…").replace("…/", "")


def test_a_file_is_one_source(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch()
    assert find(path) == [("", path)]


def test_standard_input_is_one_source() -> None:
    assert find(Path("-")) == [("", Path("-"))]


def test_a_pattern_names_files_in_order_and_no_folders(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.csv").mkdir()
    found = find(tmp_path / "*.csv")
    assert found == [("a.csv", tmp_path / "a.csv"), ("b.csv", tmp_path / "b.csv")]


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "day.csv").touch()
    names = [partition for partition, _ in find(tmp_path / "**" / "*.csv")]
    assert names == ["x/day.csv", "y/day.csv"]
    assert names == [partition for partition, _ in find(tmp_path / "?" / "day.csv")]


def test_a_pattern_may_stand_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert find(Path("*.csv")) == [("a.csv", Path("a.csv"))]


def test_a_name_that_looks_like_a_pattern_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "orders[1].csv"
    path.touch()
    assert find(path) == [("", path)]


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").touch()
    expected = "ordres.csv: no such file; did you mean 'orders.csv'?"
    assert refusal(find, tmp_path / "ordres.csv") == expected
    assert refusal(open_binary, tmp_path / "ordres.csv") == expected


def test_a_missing_file_without_neighbours_tells_where_it_was_looked_for(tmp_path: Path) -> None:
    assert refusal(find, tmp_path / "a.csv") == "a.csv: no such file; looked in '…'"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(find, tmp_path / "x" / "a.csv") == "a.csv: no such file; there is no folder '…'"
    shown = refusal(find, tmp_path / "x" / "*.csv")
    assert shown == "*.csv: no file matches; there is no folder '…'"


def test_a_pattern_without_a_match_is_refused(tmp_path: Path) -> None:
    assert refusal(find, tmp_path / "*.csv") == "*.csv: no file matches; looked in '…'"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    expected = "day: is a folder; name a file, or all files in it with 'day/*'"
    (tmp_path / "day").mkdir()
    assert refusal(find, tmp_path / "day") == expected
    assert refusal(open_binary, tmp_path / "day") == expected


@pytest.fixture
def stranger() -> Iterator[None]:
    """Somebody who may not read what its owner forbids; the superuser could."""
    if not hasattr(os, "geteuid"):
        pytest.skip("files are guarded in another way here")
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    yield
    os.seteuid(me)


def test_a_forbidden_file_is_refused(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "a.csv"
    path.touch()
    path.chmod(0)
    request.getfixturevalue("stranger")
    assert refusal(open_binary, path) == "a.csv: permission denied; allow this user to read it"


def test_a_file_without_read_permission_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may read everything
    expected = "a.csv: permission denied; allow this user to read it"
    assert refusal(find, tmp_path / "a.csv") == expected
    assert refusal(find, tmp_path / "*.csv") == expected


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    shown = refusal(find, tmp_path / "a" / "b.csv")
    assert shown == "b.csv: cannot be read: Not a directory; check the path and the disk"


@pytest.mark.parametrize("suffix", PACK)
def test_bytes_are_unpacked_by_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(PACK[suffix](TEXT))
    with open_binary(path) as stream:
        assert stream.readline() == b"id,name\n"
        assert stream.read(3) == b"1,a"
        assert stream.readline() + stream.read() == TEXT[11:]


def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "A.CSV.GZ"
    path.write_bytes(gzip.compress(TEXT))
    with open_binary(path) as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_cut_file_is_reported_where_it_ends(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(PACK[suffix](TEXT)[:-30])
    shown = refusal(lambda path: open_binary(path).read(), path)
    kind = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}[suffix]
    assert shown.startswith(f"a{suffix}: the {kind} file ends too early: Compressed file ended")
    assert shown.endswith("; it may still be written or copied")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_file_that_is_not_compressed_is_reported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(TEXT)
    shown = refusal(lambda path: open_binary(path).read(), path)
    assert " file is damaged: " in shown
    assert shown.endswith("; make it anew, or rename it if it is not compressed")


def test_damage_inside_a_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    packed = bytearray(gzip.compress(os.urandom(1_000) + TEXT))
    packed[600:640] = bytes(40)
    path.write_bytes(packed)
    assert "a.gz: the gzip file is damaged: " in refusal(
        lambda path: open_binary(path).read(), path
    )


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no file here fails so")
@pytest.mark.parametrize("size", [-1, 1, 1 << 20])
def test_a_file_that_cannot_be_read_half_way_is_named(size: int) -> None:
    path = Path("/proc/self/mem")
    with pytest.raises(ConnectError) as caught, open_binary(path) as stream:
        stream.read(size)
    assert str(caught.value) == (
        "/proc/self/mem: cannot be read: Input/output error; check the path and the disk"
    )


def test_a_zip_archive_is_refused(tmp_path: Path) -> None:
    assert refusal(open_binary, tmp_path / "a.zip") == (
        "a.zip: files in the format of '.zip' cannot be unpacked; "
        "unpack it first, or compress it as .gz, .bz2 or .xz"
    )


def test_standard_input_survives_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(TEXT))
    monkeypatch.setattr(sys, "stdin", given)
    with open_binary(Path("-")) as stream:
        assert stream.read() == TEXT
    assert not given.buffer.closed


def test_standard_input_is_left_while_another_thread_waits_for_more_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as given:
        monkeypatch.setattr(sys, "stdin", given)
        stream = open_binary(Path("-"))
        began, found = threading.Event(), []

        def read() -> None:
            began.set()
            found.append(stream.read(1))

        reader = threading.Thread(target=read)
        reader.start()
        began.wait()
        time.sleep(0.05)  # so that it is inside the call
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join(10)
        waits = closer.is_alive()
        os.write(writing, b"x")
        reader.join()
        closer.join()
        os.close(writing)
    assert not waits
    assert found == [b"x"]


def test_missing_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConnectError) as caught:
        open_binary(Path("-"))
    assert str(caught.value) == "-: there is no standard input; name a file"


def test_only_plain_files_can_be_sought_in(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "a.csv.gz").touch()
    assert is_seekable(tmp_path / "a.csv")
    assert not is_seekable(tmp_path / "a.csv.gz")
    assert not is_seekable(tmp_path / "missing.csv")
    assert not is_seekable(tmp_path)
    assert not is_seekable(Path("-"))


@pytest.mark.parametrize("suffix", PACK)
def test_the_share_that_was_read_goes_from_0_to_1(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    noise = os.urandom(3_000_000)
    path.write_bytes(PACK[suffix](noise))
    with open_binary(path) as stream:
        assert share_read(stream) == 0
        stream.read(1_000_000)
        assert 0.1 < (share_read(stream) or 0) < 0.9
        stream.read()
        assert share_read(stream) == 1
    assert share_read(stream) is None


def test_the_share_of_an_empty_file_is_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with open_binary(tmp_path / "a") as stream:
        assert share_read(stream) == 1


def test_the_share_of_a_stream_without_a_size_is_unknown() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as stream:
        assert share_read(stream) is None
    assert share_read(io.BytesIO(b"")) is None


def test_a_stream_that_is_closed_has_no_descriptor_any_more(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT))
    buffered = open_binary(tmp_path / "a.txt.gz")
    stream = buffered.raw  # type: ignore[attr-defined]
    assert stream.fileno() >= 0
    buffered.close()
    with pytest.raises(ValueError, match="the stream is closed"):
        stream.fileno()
