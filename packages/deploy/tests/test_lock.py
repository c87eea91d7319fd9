"""`penstock lock`: what a pipeline needs, with hashes, and nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from hashlib import sha256
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from penstock_deploy.installed import closure

NEEDED = ["penstock", "penstock-input-csv", "penstock-sink-json"]
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_it_names_exactly_what_the_pipeline_needs_as_it_is_installed_with_hashes(place):
    done = place.lock()
    assert done.code == 0, done.err
    here = closure(NEEDED)
    packages = place.read()["packages"]
    assert {one["name"]: one["version"] for one in packages} == {
        name: one.version for name, one in here.items()
    }
    assert {"penstock-files", "orjson", "pluggy", "pyyaml"} <= here.keys()
    for package in packages:
        [wheel] = package["wheels"]
        assert wheel["path"] == f"wheels/{wheel['name']}"
        digest = sha256((place / wheel["path"]).read_bytes()).hexdigest()
        assert wheel["hashes"] == {"sha256": digest}
    assert done.out == (
        f"pylock.toml: {len(here)} packages for pipeline, with hashes\n"
        "pylock.cdx.json: what they are, as CycloneDX\n"
    )


def test_both_resolvers_write_the_same_and_so_does_the_next_time(place):
    texts = set()
    for resolver in ("uv", "pip", "uv"):
        done = place.lock("--resolver", resolver)
        assert done.code == 0, done.err
        texts.add((place / "pylock.toml").read_text() + (place / "pylock.cdx.json").read_text())
    assert len(texts) == 1


def test_the_lock_says_what_it_is_for(place):
    (place / "plugins.py").write_text("from penstock import hookimpl\n")
    (place / "mine").mkdir()
    (place / "mine" / "__init__.py").write_text("def tidy(record):\n    return record\n")
    text = (place / "pipeline.yaml").read_text().replace("[orders, clean]", "[orders, t, clean]")
    (place / "pipeline.yaml").write_text(text + "transformers: {t: {use: 'mine:tidy'}}\n")
    assert place.lock().code == 0
    lock = place.read()
    assert lock["lock-version"] == "1.0"
    assert lock["created-by"] == "penstock-deploy"
    assert lock["requires-python"] == f"=={PYTHON}.*"
    assert lock["tool"]["penstock"]["pipeline"] == "pipeline.yaml"
    names = [Requirement(one).name for one in lock["tool"]["penstock"]["requirements"]]
    assert names == NEEDED
    assert lock["tool"]["penstock"]["files"] == {
        name: sha256((place / name).read_bytes()).hexdigest()
        for name in ("pipeline.yaml", "plugins.py", "mine/__init__.py")
    }


def test_a_strangers_distribution_of_the_same_name_is_not_locked(place, index):
    """Whoever owns a name on an index: a file that was given to us goes before theirs, and what is
    installed here goes before a version that is newer there."""
    address, publish = index
    core = closure(["penstock"])["penstock"]
    theirs = publish("penstock", core.version, module="steal = True")
    publish("penstock-files", "99.0", module="steal = True")
    for name in closure(NEEDED):
        if not name.startswith("penstock"):
            publish(name, closure(NEEDED)[name].version)
            next(place.wheels.glob(f"{name}-*")).unlink()
    url = f"http://somebody:hunter2@{address}"
    options = ["lock", "pipeline.yaml", "--find-links", "wheels"]
    for resolver in ("uv", "pip"):
        done = place.penstock(
            *options, "--resolver", resolver, UV_DEFAULT_INDEX=url, PIP_INDEX_URL=url
        )
        assert done.code == 0, done.err
        text = (place / "pylock.toml").read_text()
        assert sha256(theirs.read_bytes()).hexdigest() not in text
        assert "99.0" not in text
        assert f"http://{address}" in text, "what only the index has is locked from there"
        assert "hunter2" not in text + (place / "pylock.cdx.json").read_text()


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_another_project_that_has_the_name_on_an_index_is_refused(place, index, resolver):
    """Also of the version that is installed here, when no folder of ours has the file."""
    address, publish = index
    here = closure(NEEDED)
    for name, one in here.items():
        if name != "penstock-files":
            publish(name, one.version, about=metadata.distribution(name).read_text("METADATA"))
    theirs = publish("penstock-files", here["penstock-files"].version, summary="Files, filed")
    shutil.rmtree(place.wheels)
    url = f"http://{address}"
    lock = ["lock", "pipeline.yaml", "--resolver", resolver]
    environ = {"UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url, "UV_NO_CACHE": "1"}
    done = place.penstock(*lock, **environ)
    assert (done.code, done.err) == (
        4,
        f"penstock-files {here['penstock-files'].version}: is not from the project of the "
        f"{here['penstock-files'].version} that is installed here ('Files, filed'); "
        "name the folder that has yours with --find-links, or an index that does\n",
    )
    assert not (place / "pylock.toml").exists()
    theirs.unlink()
    about = metadata.distribution("penstock-files").read_text("METADATA")
    publish("penstock-files", here["penstock-files"].version, about=about)
    done = place.penstock(*lock, **environ)
    assert done.code == 0, done.err


def test_upgrade_takes_the_newest_instead_of_what_is_installed(place):
    place.make_wheel("pluggy", "99.1")
    place.make_wheel("penstock-input-csv", "0.99")
    assert place.lock().code == 0
    held = {one["name"]: one["version"] for one in place.read()["packages"]}
    assert held["pluggy"] != "99.1"
    assert place.lock("--upgrade").code == 0
    newest = {one["name"]: one["version"] for one in place.read()["packages"]}
    assert (newest["pluggy"], newest["penstock-input-csv"]) == ("99.1", "0.99")


def test_more_may_be_locked(place):
    place.make_wheel("acme-watch", "2.0", ["acme-base"])
    place.make_wheel("acme-base", "1.0")
    assert place.lock("--with", "acme-watch>=1").code == 0
    assert {"acme-watch", "acme-base"} <= {one["name"] for one in place.read()["packages"]}


def test_another_python_and_machine_can_be_locked_for_with_uv(place):
    done = place.lock("--for-python", "3.13", "--for-platform", "linux")
    assert done.code == 0, done.err
    assert place.read()["requires-python"] == "==3.13.*"
    refused = place.lock("--for-python", "3.13", "--resolver", "pip")
    assert refused.code == 2
    assert refused.err == (
        "--resolver: pip locks only for the Python and the machine that it runs on; use uv\n"
    )


def test_json_says_what_was_locked(place):
    found = json.loads(place.lock("--json").out)
    assert (found["lock"], found["sbom"]) == ("pylock.toml", "pylock.cdx.json")
    assert found["packages"].keys() == closure(NEEDED).keys()


def test_a_missing_plugin_is_refused_as_penstock_requires_does(place):
    text = (place / "pipeline.yaml").read_text().replace("use: csv", "use: sql_of_nobody")
    (place / "pipeline.yaml").write_text(text)
    done = place.lock()
    assert done.code == 4
    assert "no input named 'sql_of_nobody'" in done.err
    assert not (place / "pylock.toml").exists()


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_what_cannot_be_resolved_is_said_in_a_sentence(place, resolver):
    next(place.wheels.glob("penstock_input_csv*")).unlink()
    done = place.lock("--resolver", resolver)
    assert done.code == 4
    assert done.err.startswith(f"{resolver}: cannot resolve: ")
    assert "penstock-input-csv" in done.err
    assert done.err.endswith(
        "; name the folder of what no index has with --find-links, "
        "or allow other versions with --upgrade\n"
    )
    assert done.err.count("\n") == 1
    assert not (place / "pylock.toml").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('lock-version = "1.0"\npackages = []\n', "was not written by penstock lock"),
        (
            'lock-version = "1.0"\npackages = []\n[tool.penstock]\npipeline = "other.yaml"\n',
            "is the lock of 'other.yaml'",
        ),
    ],
)
def test_somebody_elses_lock_is_left_alone(place, text, sentence):
    (place / "pylock.toml").write_text(text)
    done = place.lock()
    assert done.code == 8
    assert done.err == (
        f"pylock.toml: {sentence}; choose another with --output pylock.pipeline.toml, "
        "or replace it with --force\n"
    )
    assert (place / "pylock.toml").read_text() == text
    assert place.lock("--output", "pylock.pipeline.toml").code == 0
    assert place.lock("--force").code == 0
    assert (place / "pylock.toml").read_text() == text, "its own lock goes before the general one"


def test_the_name_of_a_lock_is_one_that_installers_know(place):
    done = place.lock("--output", "locked.toml")
    assert (done.code, done.err) == (
        2,
        "--output: must be pylock.toml or pylock.NAME.toml, got 'locked.toml'; "
        "installers know a lock by its name\n",
    )


def test_what_is_no_requirement_is_refused(place):
    done = place.lock("--with", "no requirement")
    assert (done.code, done.err) == (
        2,
        "--with: 'no requirement' is no requirement; "
        "write a name, or a name with a version as 'rich>=13'\n",
    )


def test_without_a_resolver_it_says_what_to_install(monkeypatch):
    from penstock_deploy import resolving

    monkeypatch.setattr(resolving, "uv", lambda: None)
    assert resolving.resolver_here() == "pip"
    monkeypatch.setattr(resolving, "has_pip", lambda: False)
    with pytest.raises(resolving.PluginError) as raised:
        resolving.resolver_here()
    assert str(raised.value) == "neither uv nor pip 25.1 is here to resolve; pip install uv"
    for name, sentence in [
        ("uv", "there is no uv here; pip install uv"),
        ("pip", "there is no pip in this environment; use uv"),
    ]:
        with pytest.raises(resolving.PluginError) as raised:
            resolving.resolve(resolving.Wanted(["penstock"]), name)
        assert str(raised.value) == sentence


def test_a_package_without_a_hash_is_refused(monkeypatch, tmp_path):
    from penstock_deploy import resolving

    def write(command, failed):
        path = command[command.index("--output-file") + 1]
        package = (
            '[[packages]]\nname = "a"\nversion = "1"\nsdist = { url = "http://h/a-1.tar.gz" }\n'
        )
        with open(path, "w") as file:
            file.write(f'lock-version = "1.0"\n{package}')

    monkeypatch.setattr(resolving, "call", write)
    with pytest.raises(resolving.PluginError) as raised:
        resolving.resolve(resolving.Wanted(["a"]), "uv")
    assert str(raised.value) == (
        "uv: a 1 has no file with a hash; name a folder that has it: --find-links"
    )
