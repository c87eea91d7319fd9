"""From a pipeline to a machine that runs it with what was locked, and with nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from repository import REPO

PIPELINE = (REPO / "packages" / "deploy" / "README.md").read_text("utf-8")
ORDERS = "id,customer\n1,Ada\n2,Bo\n"
NEEDED = {"penstock", "penstock-input-csv", "penstock-sink-json", "penstock-files"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """The pipeline of the package's README, with some orders."""
    block = re.search(r"```yaml\n# pipeline.yaml\n(.*?)```", PIPELINE, re.DOTALL)
    assert block is not None
    (tmp_path / "pipeline.yaml").write_text(block[1])
    (tmp_path / "orders.csv").write_text(ORDERS)
    return tmp_path


def installed_in(environment) -> dict[str, str]:
    names = (path.name.removesuffix(".dist-info") for path in environment.site.glob("*.dist-info"))
    return {
        name.lower().replace("_", "-"): version
        for name, _, version in (one.partition("-") for one in names)
    }


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_what_is_locked_is_installed_and_run_and_nothing_else_is(
    folder, wheels, new_environment, resolver
):
    here = new_environment("here")
    ours = [wheels[name] for name in ("core", "files", "input-csv", "sink-json", "deploy")]
    here.install(*ours, resolver if resolver == "uv" else "pip>=25.1")
    links = ["--find-links", str(ours[0].parent)]
    done = here.run(
        *["penstock", "lock", "pipeline.yaml", "--resolver", resolver, *links], cwd=folder
    )
    assert done.returncode == 0, done.stderr
    there = new_environment("there")
    if resolver == "uv":
        sync = ["uv", "pip", "sync", "--python", str(there.path), "pylock.toml"]
        done = here.run(*sync, cwd=folder)
    else:  # any pip that checks hashes will do
        lock = (folder / "pylock.toml").read_text()
        listed = folder / "wheels.txt"
        digests = re.findall(r'name = "(penstock\S*\.whl)".*sha256 = "(\w+)"', lock)
        lines = [f"{ours[0].parent / name} --hash=sha256:{digest}" for name, digest in digests]
        others = re.findall(
            r'name = "((?!penstock)[\w.-]+)"\nversion = "(\S+)"\n.*\n.*sha256 = "(\w+)"', lock
        )
        lines += [f"{name}=={version} --hash=sha256:{digest}" for name, version, digest in others]
        listed.write_text("\n".join(lines))
        pip = ["python", "-m", "pip", "--python", str(there.path), "install", "--no-deps"]
        done = here.run(*pip, "--require-hashes", "--requirement", str(listed), cwd=folder)
    assert done.returncode == 0, done.stderr
    locked = re.findall(
        r'^\[\[packages\]\]\nname = "(.+)"\nversion = "(.+)"',
        (folder / "pylock.toml").read_text(),
        re.M,
    )
    assert installed_in(there) == dict(locked)
    assert {name for name, _ in locked if name.startswith("penstock")} == NEEDED
    run = ["penstock", "run", "pipeline.yaml", "--locked", "--quiet"]
    done = there.run(*run, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    written = [json.loads(line) for line in (folder / "clean.jsonl").read_text().splitlines()]
    assert written == [{"id": "1", "customer": "Ada"}, {"id": "2", "customer": "Bo"}]

    there.install("--upgrade", "pluggy<1.5", wheels["console"], "--no-deps")
    done = there.run(*run, cwd=folder)
    assert done.returncode == 8
    version = dict(locked)["pluggy"]
    assert f"pluggy {version} is locked and 1.4.0 is installed; install what is" in done.stderr
    assert "penstock-console 0.1.0 takes part in every run and is not locked" in done.stderr
    assert done.stderr.count("\n") == 2


def test_without_the_package_its_commands_say_what_to_install(core_alone):
    for command in ("lock", "image", "install"):
        done = core_alone.run("penstock", command)
        assert done.returncode == 4
        assert done.stderr == (
            f"no command named {command!r}; "
            "it comes with penstock-deploy: pip install penstock-deploy\n"
        )
