"""`penstock image`: a Dockerfile that installs what is locked and nothing else."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def locked(place):
    """A place with a lock of what stands in for the packages, made without a resolver."""
    (place / "functions.py").write_text("def tidy(record):\n    return record\n")
    (place / "secret.env").write_text("PASSWORD=hunter2\n")
    (place / "pylock.toml").write_text(
        f'lock-version = "1.0"\ncreated-by = "t"\nrequires-python = "=={PYTHON}.*"\n'
        + "".join(
            f'[[packages]]\nname = "{name}"\nversion = "1.0"\n'
            f'wheels = [{{ path = "wheels/{wheel}", hashes = {{ sha256 = "{digest}" }} }}]\n'
            for name, wheel, digest in built(place)
        )
        + '[tool.penstock]\npipeline = "pipeline.yaml"\n[tool.penstock.files]\n'
        '"pipeline.yaml" = "0"\n"functions.py" = "0"\n'
    )
    return place


def built(place):
    from hashlib import sha256

    for name, needs in (("acme-lib", []), ("acme-top", ["acme-lib"])):
        wheel = place.make_wheel(name, "1.0", needs)
        yield name, wheel.name, sha256(wheel.read_bytes()).hexdigest()


def stages(place) -> list[list[str]]:
    """The instructions of each stage."""
    lines = (place / "Dockerfile").read_text().splitlines()
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("FROM "):
            found.append([])
        if line and not line.startswith("#"):
            found[-1].append(line)
    return found


def test_it_writes_three_files_and_says_so(locked):
    done = locked.penstock("image", "pipeline.yaml")
    assert done.code == 0, done.err
    assert done.out == (
        f"Dockerfile: pipeline.yaml on python:{PYTHON}-slim\n"
        ".dockerignore: lets in nothing but what is copied\n"
        "pylock.requirements.txt: the lock, as pip of any version reads it\n"
    )
    found = json.loads(locked.penstock("image", "pipeline.yaml", "--json").out)
    assert found["files"] == ["Dockerfile", ".dockerignore", "pylock.requirements.txt"]


def test_the_last_stage_has_no_installer_no_root_and_runs_what_is_locked(locked):
    locked.penstock("image", "pipeline.yaml")
    build, last = stages(locked)
    assert build[0] == f"FROM python:{PYTHON}-slim AS build"
    assert last[0] == f"FROM python:{PYTHON}-slim"
    assert "RUN python -m pip uninstall --yes pip && install -d -o 10001 -g 10001 /state" in last
    assert not any("install " in line for line in last if "uninstall" not in line)
    assert "USER 10001:10001" in last
    assert last.index("USER 10001:10001") > max(
        index for index, line in enumerate(last) if line.startswith(("RUN", "COPY"))
    )
    assert last[-2:] == [
        'ENTRYPOINT ["penstock"]',
        'CMD ["run", "pipeline.yaml", "--locked", "--state", "/state"]',
    ]


def test_only_what_is_copied_is_let_in(locked):
    locked.penstock("image", "pipeline.yaml")
    lines = (locked / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    kept = {line.removeprefix("!") for line in lines[2:]}
    assert kept == {
        "pylock.requirements.txt",
        "pylock.toml",
        "pipeline.yaml",
        "functions.py",
        "wheels/",
        "wheels/acme_lib-1.0-py3-none-any.whl",
        "wheels/acme_top-1.0-py3-none-any.whl",
    }
    copied = re.findall(r"^COPY (\[.*\])$", (locked / "Dockerfile").read_text(), re.MULTILINE)
    assert {json.loads(one)[0] for one in copied} == kept - {"wheels/"}


def replay(place, folder: Path) -> subprocess.CompletedProcess[str]:
    """The first stage without docker: its files are copied and its commands run in folders of ours.
    What this cannot show is the image that it begins with."""
    locations = {"/opt/penstock": folder / "opt", "/build": folder / "build"}
    kept = [line[1:] for line in (place / ".dockerignore").read_text().splitlines() if "!" in line]
    work = folder / "build"
    for line in stages(place)[0][1:]:
        verb, _, rest = line.partition(" ")
        if verb == "WORKDIR":
            work = locations[rest]
            work.mkdir(parents=True)
        elif verb == "COPY":
            source, target = json.loads(rest)
            assert any(fnmatch(source, pattern) for pattern in kept), source
            goal = work / target / source if target.endswith("/") else work / target
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place / source, goal)
        else:
            assert verb == "RUN"
            words = [sys.executable if word == "python" else word for word in shlex.split(rest)]
            words = [str(locations.get(Path(word), word)) for word in words]
            words = [str(locations["/opt/penstock"]) if w == "/opt/penstock" else w for w in words]
            environ = {**os.environ, "PIP_NO_INDEX": "1"}
            done = subprocess.run(
                words, cwd=work, env=environ, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return done
    return done


def test_its_first_stage_installs_what_is_locked_and_nothing_else(locked, tmp_path):
    locked.penstock("image", "pipeline.yaml")
    done = replay(locked, tmp_path / "image")
    assert done.returncode == 0, done.stderr
    site = next((tmp_path / "image" / "opt").glob("lib/python*/site-packages"))
    assert {path.name for path in site.glob("*.dist-info")} == {
        "acme_lib-1.0.dist-info",
        "acme_top-1.0.dist-info",
    }


def test_a_file_that_is_not_what_was_locked_is_not_installed(locked, tmp_path):
    locked.penstock("image", "pipeline.yaml")
    with open(locked.wheels / "acme_lib-1.0-py3-none-any.whl", "ab") as wheel:
        wheel.write(b"\0")
    done = replay(locked, tmp_path / "image")
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_what_an_index_has_is_installed_by_name_and_any_of_its_hashes():
    from penstock_deploy.image import requirements

    files = [
        {"url": "http://h/a.whl", "hashes": {"sha256": digest}} for digest in ("1" * 4, "2" * 4)
    ]
    lock = {
        "packages": [
            {"name": "a", "version": "1", "wheels": files, "marker": "os_name == 'posix'"},
            {"name": "b", "version": "2", "sdist": files[0]},
        ]
    }
    assert requirements(lock).splitlines()[1:] == [
        "a==1 ; os_name == 'posix' \\",
        "    --hash=sha256:1111 \\",
        "    --hash=sha256:2222",
        "b==2 \\",
        "    --hash=sha256:1111",
    ]


def test_a_source_archive_in_the_lock_may_be_built(locked):
    locked.penstock("image", "pipeline.yaml")
    assert "--only-binary :all:" in (locked / "Dockerfile").read_text()
    text = (locked / "pylock.toml").read_text()
    (locked / "pylock.toml").write_text(re.sub(r"wheels = \[(.*)\]", r"sdist = \1", text, count=1))
    assert locked.penstock("image", "pipeline.yaml").code == 0
    assert "--only-binary" not in (locked / "Dockerfile").read_text()


def test_another_image_may_be_the_first(locked):
    locked.penstock("image", "pipeline.yaml", "--base", "our/python:3")
    assert [stage[0] for stage in stages(locked)] == [
        "FROM our/python:3 AS build",
        "FROM our/python:3",
    ]


def test_what_it_has_not_written_is_left_alone(locked):
    (locked / "Dockerfile").write_text("FROM scratch\n")
    done = locked.penstock("image", "pipeline.yaml")
    assert (done.code, done.err) == (
        2,
        "Dockerfile: was not written by penstock image; replace it with --force\n",
    )
    assert not (locked / ".dockerignore").exists()
    assert locked.penstock("image", "pipeline.yaml", "--force").code == 0
    assert locked.penstock("image", "pipeline.yaml").code == 0, "its own files it may replace"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            f'"=={PYTHON}.*"',
            '">=3.10"',
            "pylock.toml: does not say for which Python it is, got '>=3.10'; "
            "name the image to begin with: --base",
        ),
        (
            '"wheels/acme_lib',
            '"../wheels/acme_lib',
            "pylock.toml: '../wheels/acme_lib-1.0-py3-none-any.whl' is outside of the folder of "
            "the image; copy the file beside the pipeline and lock again",
        ),
        (
            '"functions.py"',
            '"/srv/functions.py"',
            "pylock.toml: '/srv/functions.py' is outside of the folder of the image; "
            "put it beside the pipeline and lock again",
        ),
    ],
)
def test_a_lock_that_gives_no_image_is_refused(locked, old, new, sentence):
    text = (locked / "pylock.toml").read_text()
    assert old in text
    (locked / "pylock.toml").write_text(text.replace(old, new))
    done = locked.penstock("image", "pipeline.yaml")
    assert (done.code, done.err) == (8, f"{sentence}\n")


def test_without_a_lock_it_says_how_to_make_one(place):
    done = place.penstock("image", "pipeline.yaml")
    assert (done.code, done.err) == (
        8,
        "pylock.toml: there is no such lock; make it with `penstock lock` of penstock-deploy\n",
    )
