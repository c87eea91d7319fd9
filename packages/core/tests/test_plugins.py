"""Finding plugins: quickly, lazily, and without letting a bad one spoil the others."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from penstock import PluginError, Plugins, hookimpl
from penstock.plugins import load


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`site("acme-csv", "code")`: install a distribution whose entry module is `code`."""
    # Nothing that happens to be installed beside the kernel may take part.
    elsewhere = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *elsewhere])

    def install(name: str, code: str, version: str = "1.2") -> None:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text("from penstock import hookimpl\n" + code)
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(
            f"[console_scripts]\nx = y:z\n\n[penstock.plugins.v1]\nmain = {module}\n"
        )
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


CSV = "@hookimpl\ndef penstock_inputs():\n    return {'csv': '%s:Csv'}\nclass Csv: pass\n"


def state_of(plugins: Plugins, name: str) -> tuple[str, str]:
    (one,) = [one for one in plugins.distributions() if one.name == name]
    return one.state, one.reason


def test_an_installed_plugin_is_found_with_its_version(site: Any) -> None:
    site("acme-csv", CSV % "acme_csv")
    found = Plugins().find("input", "csv")

    assert (found.plugin, found.version, found.target) == ("acme-csv", "1.2", "acme_csv:Csv")
    assert found.load().__name__ == "Csv"


def test_a_class_is_imported_when_it_is_used(site: Any) -> None:
    site("acme-csv", CSV % "acme_csv_heavy")
    found = Plugins().find("input", "csv")

    with pytest.raises(PluginError, match="there is no module 'acme_csv_heavy'"):
        found.load()


def test_two_providers_of_a_name_are_an_error_when_it_is_used(site: Any) -> None:
    site("acme-csv", CSV % "acme_csv")
    site("other-csv", CSV % "other_csv")
    plugins = Plugins()

    with pytest.raises(PluginError) as raised:
        plugins.find("input", "csv")
    assert str(raised.value) == (
        "input named 'csv' is provided by acme-csv and other-csv; "
        "write 'acme-csv/csv' or set PENSTOCK_DISABLE"
    )
    assert plugins.find("input", "other-csv/csv").plugin == "other-csv"
    assert (
        Plugins(environ={"PENSTOCK_DISABLE": "acme-csv"}).find("input", "csv").plugin == "other-csv"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise RuntimeError('broken on purpose')", "RuntimeError: broken on purpose"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def f(:", "SyntaxError: invalid syntax (acme_bad.py, line 2)"),
        (
            "@hookimpl\ndef penstock_imputs():\n    return {}\n",
            "PluginError: acme-bad: there is no hook 'penstock_imputs'; did you mean 'penstock_inputs'?",
        ),
        (
            "@hookimpl\ndef penstock_batch_done(nodes):\n    pass\n",
            "PluginError: acme-bad: hook 'penstock_batch_done' has no argument 'nodes'",
        ),
        (
            "@hookimpl\ndef penstock_inputs():\n    raise ValueError('no')\n",
            "penstock_inputs: ValueError: no",
        ),
        ("@hookimpl\ndef penstock_inputs():\n    return 5\n", "penstock_inputs: TypeError: "),
        (
            "@hookimpl\ndef penstock_inputs():\n    return {7: 'a:b'}\n",
            "penstock_inputs: a name must be text, got 7",
        ),
        (
            "@hookimpl\ndef penstock_inputs():\n    return {'': 'a:b'}\n",
            "penstock_inputs: a name must be text, got ''",
        ),
        (
            "@hookimpl\ndef penstock_inputs():\n    return {'a': None}\n",
            "penstock_inputs: 'a' must stand for 'module:attribute' or a class, got None",
        ),
        (
            "@hookimpl\ndef penstock_extras():\n    return {'sql': {}}\n",
            "penstock_extras: must name an option as in 'sql.url', got 'sql'",
        ),
        (
            "@hookimpl\ndef penstock_extras():\n    return {'sql.url': {'a*': 1}}\n",
            "penstock_extras: 'sql.url' must stand for patterns with extras, got {'a*': 1}",
        ),
        (
            "@hookimpl\ndef penstock_inputs():\n    return {'a': ['x']}\n",
            "penstock_inputs: 'a' must stand for 'module:attribute' or a class, got ['x']",
        ),
    ],
)
def test_a_broken_plugin_is_listed_and_the_others_work(site: Any, code: str, reason: str) -> None:
    site("acme-bad", code)
    site("acme-csv", CSV % "acme_csv")
    plugins = Plugins()

    assert plugins.find("input", "csv").plugin == "acme-csv"
    state, shown = state_of(plugins, "acme-bad")
    assert state == "broken"
    assert shown.startswith(reason)
    assert state_of(plugins, "acme-csv") == ("loaded", "")


def test_a_disabled_plugin_is_not_even_imported(site: Any) -> None:
    site("acme-bad", "raise SystemExit(3)")
    plugins = Plugins(environ={"PENSTOCK_DISABLE": "acme-bad, other"})

    assert state_of(plugins, "acme-bad") == ("disabled", "by PENSTOCK_DISABLE")
    assert "acme_bad" not in sys.modules


def test_without_discovery_only_the_kernel_is_there(site: Any) -> None:
    site("acme-csv", CSV % "acme_csv")

    assert [one.name for one in Plugins(discover=False).distributions()] == ["penstock"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "csv",
            "no input named 'csv'; it comes with penstock-input-csv: pip install penstock-input-csv",
        ),
        ("lisst", "no input named 'lisst'; did you mean 'list'?"),
        ("zzz", "no input named 'zzz'; see `penstock list inputs`"),
        ("nobody/list", "no input named 'nobody/list'; did you mean 'list'?"),
    ],
)
def test_a_missing_name_says_what_to_do(name: str, message: str) -> None:
    class Plugin:
        @hookimpl
        def penstock_inputs(self) -> dict[str, str]:
            return {"list": "penstock.testing:ListInput"}

    plugins = Plugins(discover=False)
    plugins.register(Plugin(), "test")

    with pytest.raises(PluginError) as raised:
        plugins.find("input", name)
    assert str(raised.value) == message
    assert raised.value.exit_code == 4


def test_a_missing_name_of_a_broken_or_disabled_plugin_says_so(site: Any) -> None:
    site("penstock-input-csv", "raise RuntimeError('torn')")

    with pytest.raises(PluginError, match="penstock-input-csv is broken: RuntimeError: torn"):
        Plugins().find("input", "csv")
    with pytest.raises(PluginError, match="penstock-input-csv provides it and PENSTOCK_DISABLE"):
        Plugins(environ={"PENSTOCK_DISABLE": "penstock-input-csv"}).find("input", "csv")


def test_a_file_is_a_plugin(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from penstock import hookimpl\n" + CSV % "mine")
    plugins = Plugins(discover=False)
    plugins.register_file(file)

    assert plugins.find("input", "csv").plugin == str(file)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit", "mine.py: cannot be imported: SystemExit: ; mend the file"),
        ("1 / 0", "mine.py: cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(tmp_path: Path, code: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(code)

    with pytest.raises(PluginError) as raised:
        Plugins(discover=False).register_file(file)
    assert message in str(raised.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"mine\.py: cannot be read: No such file"):
        Plugins(discover=False).register_file(tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os", "'os' names no attribute; write 'package.module:name'"),
        ("nowhere.x:y", "nowhere.x:y: there is no module 'nowhere.x'"),
        ("os:pathh", "os:pathh: 'os' has no 'pathh'; did you mean 'path'?"),
    ],
)
def test_import_strings_have_their_sentences(target: str, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        load(target)
    assert str(raised.value) == message
    assert load("os:path.join") is __import__("os").path.join


def test_a_missing_module_inside_a_plugin_is_not_mistaken_for_the_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wants_more.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        load("wants_more:x")


def test_a_registered_module_provides_names() -> None:
    module = ModuleType("acme_module")
    module.penstock_engines = hookimpl(lambda: {"mine": "penstock.engines.inline:InlineEngine"})  # type: ignore[attr-defined]
    plugins = Plugins(discover=False)
    plugins.register(module, version="3")

    found = plugins.find("engine", "mine")
    assert (found.plugin, found.version) == ("acme_module", "3")
    assert set(plugins.names("engine")) == {"inline", "threads", "mine"}
