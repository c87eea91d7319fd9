"""`penstock install`: into the environment that penstock runs in, whichever kind that is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import PluginError, UsageError
from penstock_deploy import commands, environments, install
from penstock_deploy.environments import Environment, command_for


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("sink-json", "penstock-sink-json"),
        ("sink-sql[postgresql]>=0.1", "penstock-sink-sql[postgresql]>=0.1"),
        ("fields", "penstock-transformer-fields"),
        ("penstock-console", "penstock-console"),
        ("acme-weather", "acme-weather"),
    ],
)
def test_a_name_is_short_for_a_distribution(name, distribution):
    assert install.distribution_for(name) == distribution


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "csv",
            "penstock install: 'csv' comes with penstock-input-csv and penstock-sink-csv; "
            "choose one of them",
        ),
        (
            "two words",
            "penstock install: 'two words' is no requirement; "
            "name a distribution, as 'penstock-sink-json' or 'rich>=13'",
        ),
    ],
)
def test_a_name_that_could_be_several_or_none_is_refused(name, sentence):
    with pytest.raises(UsageError) as raised:
        install.distribution_for(name)
    assert str(raised.value) == sentence


@pytest.fixture
def outside(monkeypatch, tmp_path):
    """`outside(kind)`: as if penstock ran in an environment of that kind."""
    monkeypatch.setattr(environments.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(environments, "uv", lambda: "/bin/uv")

    def make(kind, receipt=""):
        folder = tmp_path / "penstock"
        folder.mkdir(exist_ok=True)
        (folder / "uv-receipt.toml").write_text(receipt)
        return Environment(kind, folder, "/env/python")

    return make


RECEIPT = """
[tool]
requirements = [
    { name = "penstock-input-csv", extras = ["fast", "more"], specifier = ">=0.1" },
    { name = "penstock", specifier = "==0.1" },
    { name = "acme-a", directory = "/srv/acme-a" },
    { name = "acme-b", git = "https://git/acme-b" },
    "acme-c",
]
"""


def test_a_tool_of_uv_is_made_anew_with_what_it_had(outside):
    command = command_for(outside("uv tool", RECEIPT), ["penstock-input-csv>=1"], ["/w"], True)
    python = command[4]
    assert Path(python).parent.parent == Path(sys.base_prefix)
    assert command == [
        *["/bin/uv", "tool", "install", "--python", python, "--find-links", "/w", "--no-index"],
        *["penstock==0.1", "--with", "penstock-input-csv>=1"],
        *["--with", "acme-a @ file:///srv/acme-a", "--with", "acme-b @ git+https://git/acme-b"],
        *["--with", "acme-c"],
    ]


def test_a_plugin_is_injected_into_an_application_of_pipx(outside):
    environment = outside("pipx")
    assert command_for(environment, ["acme-a"], [], False) == [
        "/bin/pipx",
        "inject",
        "penstock",
        "acme-a",
    ]
    assert command_for(environment, ["acme-a"], ["/w"], True)[2:4] == [
        "--pip-args",
        "--find-links /w --no-index",
    ]


@pytest.mark.parametrize("kind", ["virtual environment", "system"])
def test_elsewhere_pip_or_uv_install(outside, monkeypatch, kind):
    environment = outside(kind)
    assert command_for(environment, ["acme-a"], [], False) == [
        *["/env/python", "-m", "pip", "install", "acme-a"]
    ]
    monkeypatch.setattr(environments, "has_pip", lambda: False)
    assert command_for(environment, ["acme-a"], [], True) == [
        *["/bin/uv", "pip", "install", "--python", "/env/python", "--no-index", "acme-a"]
    ]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("virtual environment", "there is neither pip in this environment nor uv on the path; "),
        ("uv tool", "uv is not on the path; put it there"),
        ("pipx", "pipx is not on the path; put it there"),
    ],
)
def test_what_is_not_here_is_named(outside, monkeypatch, kind, sentence):
    environment = outside(kind)
    monkeypatch.setattr(environments, "has_pip", lambda: False)
    monkeypatch.setattr(environments, "uv", lambda: None)
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    with pytest.raises(PluginError) as raised:
        command_for(environment, ["acme-a"], [], False)
    assert str(raised.value).startswith(f"{environment}: {sentence}")


def test_a_receipt_that_names_nothing_is_told(outside):
    with pytest.raises(PluginError, match="its receipt names nothing; install the plugin with `uv"):
        command_for(outside("uv tool"), ["acme-a"], [], False)


def test_a_python_of_the_system_is_left_alone(monkeypatch, tmp_path, capsys):
    from penstock.cli import main

    (tmp_path / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n")
    monkeypatch.setattr(environments.sys, "base_prefix", sys.prefix)
    monkeypatch.setattr(environments.sysconfig, "get_path", lambda name: str(tmp_path))
    assert main(["install", "acme-a"]) == 4
    assert capsys.readouterr().err == (
        f"{sys.prefix}: this Python is managed by the system, whose packages must not be mixed with "
        "others; make an environment: python3 -m venv .venv && "
        ".venv/bin/pip install penstock acme-a\n"
    )


@pytest.mark.parametrize("mark", ["uv-receipt.toml", "pipx_metadata.json", None])
def test_the_kind_of_environment_is_found(monkeypatch, tmp_path, mark):
    kinds = {"uv-receipt.toml": "uv tool", "pipx_metadata.json": "pipx", None: "system"}
    if mark:
        (tmp_path / mark).write_text("")
    monkeypatch.setattr(environments.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(environments.sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(environments.sysconfig, "get_path", lambda name: str(tmp_path))
    assert environments.here().kind == kinds[mark]


def test_a_dry_run_only_shows_the_command(place):
    done = place.penstock("install", "acme-a", "--dry-run", "--find-links", "wheels")
    assert done.code == 0, done.err
    shown = f"{sys.executable} -m pip install --find-links {place.wheels} acme-a\n"
    assert done.out == f"virtual environment {sys.prefix}: {shown}"
    found = json.loads(place.penstock("install", "acme-a", "--dry-run", "--json").out)
    assert found == {
        "environment": "virtual environment",
        "command": [sys.executable, "-m", "pip", "install", "acme-a"],
        "run": False,
    }


def test_what_pip_refuses_is_an_error(place):
    place.wheels.mkdir(exist_ok=True)
    done = place.penstock("install", "acme-none", "--no-index", "--find-links", "wheels")
    assert done.code == 4
    assert "No matching distribution found for acme-none" in done.err
    assert done.err.endswith(
        f"penstock install: {Path(sys.executable).name} ended with 1; see what it says above\n"
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("manager", ["uv", "pipx"])
def test_a_tool_of_uv_and_an_application_of_pipx_for_real(place, manager):
    """Each is installed from wheels into folders of the test, and given two plugins, one after the
    other: the second leaves the first where it is."""
    root = Path(__file__).parents[3]
    for folder in ("core", "deploy"):
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", place.wheels]
            + [root / "packages" / folder],
            check=True,
            capture_output=True,
        )
    for name in ("acme-a", "acme-b"):
        place.make_wheel(name, "1.0", ["penstock"])
    for one in ("pluggy", "pyyaml", "packaging", "tomli"):  # instead of what stands in for them
        for stub in place.wheels.glob(f"{one}-*.whl"):
            stub.unlink()
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", place.wheels]
    subprocess.run([*download, "pluggy", "pyyaml", "packaging", "tomli"], check=True)
    beside = Path(sys.executable).parent
    environ = {
        "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(place.path),
        "UV_TOOL_DIR": str(place / "tools"),
        "UV_TOOL_BIN_DIR": str(place / "bin"),
        "PIPX_HOME": str(place / "pipx"),
        "PIPX_BIN_DIR": str(place / "bin"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
    }
    # Without an index, where the name of a package of ours may be somebody else's.
    links = ["--find-links", str(place.wheels), "--no-index"]
    if manager == "uv":
        program = shutil.which("uv", path=environ["PATH"])
        first = [program, "tool", "install", "--python", sys.executable, *links]
        first += ["penstock", "--with", "penstock-deploy"]
    else:
        first = [sys.executable, "-m", "pipx", "install", "--pip-args", " ".join(links)]
        first += ["penstock", "--preinstall", "penstock-deploy"]
    whole = {**os.environ, **environ}
    done = subprocess.run(first, env=whole, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    penstock = place / "bin" / "penstock"
    for name in ("acme-a", "acme-b"):
        command = [penstock, "install", name, *links]
        done = subprocess.run(command, env=whole, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("uv tool " if manager == "uv" else "pipx ")
    prefix = place / ("tools/penstock" if manager == "uv" else "pipx/venvs/penstock")
    found = {path.name.split("-")[0] for path in prefix.rglob("*.dist-info")}
    assert {"acme_a", "acme_b", "penstock", "penstock_deploy"} <= found


def test_uv_is_looked_for_beside_the_interpreter_first(monkeypatch):
    asked = []
    monkeypatch.setattr(
        commands.shutil, "which", lambda name, path=None: asked.append(path) or None
    )
    assert commands.uv() is None
    assert asked == [str(Path(sys.executable).parent), None]
