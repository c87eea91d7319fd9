"""`penstock run --locked`: nothing runs but what was locked."""

from __future__ import annotations

from hashlib import sha256

import pytest

import penstock

PIPELINE = "inputs: {count: {use: 'functions:count'}}\npipes: {main: [count]}\n"


OTHERS = ",".join(one.name for one in penstock.Plugins().distributions() if one.name != "penstock")
"""What happens to be installed beside the kernel takes no part in these tests."""


def run_locked(folder, *, disable=""):
    environment = {"PENSTOCK_DISABLE": f"{OTHERS},{disable}"}
    return folder.penstock("run", "count.yaml", "--locked", "-q", **environment)


def locked(*packages: str, tool: str = "") -> str:
    entries = "".join(f"[[packages]]\n{package}\n" for package in packages)
    return f'lock-version = "1.0"\ncreated-by = "test"\n{entries}{tool}'


@pytest.fixture
def folder_with_lock(functions):
    """A pipeline, a distribution acme-lib 1.0 that is installed, and a lock that names it."""
    functions.write("count.yaml", PIPELINE)
    functions.provide("acme-lib", "from penstock import hookimpl\n", "1.0")
    functions.write("pylock.toml", locked('name = "acme-lib"\nversion = "1.0"'))
    return functions


def test_what_is_locked_runs(folder_with_lock):
    done = run_locked(folder_with_lock)
    assert (done.code, done.out.count("\n")) == (0, 3), done.err


@pytest.mark.parametrize(
    ("package", "sentence"),
    [
        (
            'name = "acme-lib"\nversion = "2.0"',
            "acme-lib 2.0 is locked and 1.0 is installed",
        ),
        (
            'name = "acme-none"\nversion = "1.1"',
            "acme-none 1.1 is locked and not installed",
        ),
        ('name = "acme-none"', "acme-none is locked and not installed"),
    ],
)
def test_what_differs_is_refused_with_what_to_do(folder_with_lock, package, sentence):
    folder_with_lock.write("pylock.toml", locked(package))
    done = run_locked(folder_with_lock)
    assert done.code == 8
    assert done.out == ""
    assert done.err == (
        f"pylock.toml: {sentence}; install what is locked, as with `uv pip sync pylock.toml`, "
        "or lock again\n"
    )
    assert folder_with_lock.penstock("run", "count.yaml", "-q").code == 0


def test_everything_that_differs_is_told_at_once(folder_with_lock):
    folder_with_lock.write(
        "pylock.toml",
        locked('name = "acme-none"', 'name = "acme-lib"\nversion = "3"').replace("count", "x"),
    )
    assert run_locked(folder_with_lock).err.count("\n") == 2


def test_what_is_locked_for_other_machines_may_be_missing(folder_with_lock):
    folder_with_lock.write(
        "pylock.toml", locked('name = "acme-none"\nversion = "1"\nmarker = "os_name == \'nt\'"')
    )
    assert run_locked(folder_with_lock).code == 0


def test_sources_installed_in_place_are_not_what_is_locked(folder_with_lock):
    folder_with_lock.write(
        "site/acme_lib-1.0.dist-info/direct_url.json",
        '{"url": "file:///src", "dir_info": {"editable":true}}',
    )
    done = run_locked(folder_with_lock)
    assert done.code == 8
    assert "acme-lib 1.0 is locked and its sources are installed in place; install" in done.err


def test_a_plugin_that_takes_part_in_every_run_must_be_locked(folder_with_lock):
    hook = "\n@hookimpl\ndef penstock_run_started(run):\n    pass\n"
    folder_with_lock.provide("acme-watch", "from penstock import hookimpl\n" + hook, "4")
    done = run_locked(folder_with_lock)
    assert done.code == 8
    assert "acme-watch 4 takes part in every run and is not locked" in done.err
    disabled = run_locked(folder_with_lock, disable="acme-watch")
    assert disabled.code == 0, disabled.err


def test_one_that_only_provides_names_changes_nothing(folder_with_lock):
    hook = "\n@hookimpl\ndef penstock_inputs():\n    return {'other': 'acme:Other'}\n"
    folder_with_lock.provide("acme-other", "from penstock import hookimpl\n" + hook, "4")
    assert run_locked(folder_with_lock).code == 0


def test_the_files_of_the_pipeline_are_held_to_the_lock(folder_with_lock):
    digest = sha256(PIPELINE.encode()).hexdigest()
    files = f'[tool.penstock.files]\n"count.yaml" = "{digest}"\n"gone.py" = "{digest}"\n'
    folder_with_lock.write("pylock.toml", locked('name = "acme-lib"', tool=files))
    done = run_locked(folder_with_lock)
    assert (done.code, done.err) == (
        8,
        "pylock.toml: 'gone.py' cannot be read: No such file or directory; "
        "lock again with `penstock lock`\n",
    )
    folder_with_lock.write("gone.py", PIPELINE)
    assert run_locked(folder_with_lock).code == 0
    folder_with_lock.write("count.yaml", PIPELINE + "# another\n")
    done = run_locked(folder_with_lock)
    assert "pylock.toml: 'count.yaml' has changed since it was locked; lock again" in done.err


def test_a_lock_of_the_pipelines_own_goes_before_the_general_one(folder_with_lock):
    folder_with_lock.write("pylock.count.toml", locked('name = "acme-none"'))
    done = run_locked(folder_with_lock)
    assert done.err.startswith("pylock.count.toml: acme-none is locked")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "pylock.toml: there is no such lock; make it with `penstock lock` of penstock-depl"),
        ("= 1", "pylock.toml: cannot be read: Invalid statement (at line 1, column 1); lock again"),
        ("packages = []", "pylock.toml: is no lock of version 1, got None; lock again with `pens"),
        ('lock-version = "2.0"\npackages = []', "pylock.toml: is no lock of version 1, got '2.0';"),
        ('lock-version = "1.0"', "pylock.toml: is no lock of version 1, got '1.0'; lock again"),
    ],
)
def test_a_lock_that_is_missing_or_is_none_is_refused(folder_with_lock, text, sentence):
    if text is None:
        (folder_with_lock / "pylock.toml").unlink()
    else:
        folder_with_lock.write("pylock.toml", text)
    done = run_locked(folder_with_lock)
    assert done.code == 8
    assert done.err.startswith(sentence)


def test_the_exit_code_is_the_classes(folder_with_lock):
    assert penstock.errors.LockError.exit_code == penstock.errors.EXIT_LOCK == 8
