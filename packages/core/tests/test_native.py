"""The native file: what it may say, and what it is told when it says something else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock import ConfigError, PenstockError, PluginError, Plugins, load_pipeline
from penstock.build import Pipeline, build
from penstock.dialect import read_document, read_spec
from penstock.native import read_component

MODULE = """
def rows(n: int = 3):
    for i in range(n):
        yield {"id": i}

def double(record, by: int = 2, field: str = "id"):
    record[field] *= by
    return record

def positive(record):
    if record["id"] < 0:
        raise ValueError("negative")

written = []

def keep(record):
    written.append(record)

number = 5

class NoComponent:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pipeline(folder: Path, text: str, **options: Any) -> Pipeline:
    (folder / "pipeline.yaml").write_text(text)
    return load_pipeline("pipeline.yaml", Plugins(discover=False), **options)


def problems(folder: Path, text: str, **options: Any) -> list[str]:
    with pytest.raises(PenstockError) as raised:
        pipeline(folder, text, **options)
    assert isinstance(raised.value, (ConfigError, PluginError))
    return str(raised.value).splitlines()


GOOD = """
name: shop
x-note: ignored
inputs:
  rows: {use: "shop:rows", n: 4, description: some rows, key: id}
transformers:
  double: {use: "shop:double", by: "${BY:-3}", retry: {tries: 2, delay: 50ms}}
inspectors:
  positive: {use: "shop:positive", on_error: skip}
outputs:
  keep: "shop:keep"
pipes:
  main: [rows, double, positive, keep]
engine: {use: threads, queue_batches: 2}
epoch: {records: 1000, seconds: 1m}
"""


def test_a_whole_file_is_read(folder: Path) -> None:
    made = pipeline(folder, GOOD)
    run = made.start()
    report = run.execute()

    assert made.name == "shop"
    assert sys.modules["shop"].written == [{"id": 0}, {"id": 3}, {"id": 6}, {"id": 9}]
    assert (report.engine, made.engine.queue_batches) == ("threads", 2)
    assert (run.limits.records, run.limits.seconds) == (1000, 60.0)
    settings = {name: node.settings for name, node in made.graph().nodes.items()}
    assert (settings["double"].retry, settings["double"].retry_delay) == (2, 0.05)
    assert settings["positive"].on_error == "skip"
    assert settings["rows"].key == "id"


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_the_same_in_other_syntaxes(folder: Path, suffix: str) -> None:
    document = {
        "inputs": {"rows": {"use": "shop:rows", "n": 1}},
        "outputs": {"keep": {"use": "shop:keep"}},
        "pipes": {"main": ["rows", "keep"]},
    }
    toml = '[inputs.rows]\nuse = "shop:rows"\nn = 1\n[outputs]\nkeep = {use = "shop:keep"}\n'
    text = json.dumps(document) if suffix == "json" else toml + '[pipes]\nmain = ["rows", "keep"]\n'
    file = folder / f"pipeline.{suffix}"
    file.write_text(text)

    report = load_pipeline(file, Plugins(discover=False)).start().execute()

    assert report.balance.written == 1


def test_every_problem_of_a_file_is_reported_in_order(folder: Path) -> None:
    text = """\
inputz: {}
inputs:
  rows: {use: "shop:rows", n: x, nn: 1}
  other: {usee: csv}
  third: {use: "shop:rows", n: "${NOT_SET_ANYWHERE}"}
outputs:
  keep: {use: "shop:keep", on_error: colect, retry: -1, optional: maybe}
  rows: {use: "shop:keep"}
transformers:
  spaced name: {use: "shop:double", timeout: 5s}
  double: {use: "shop:double", optional: true}
pipes:
  main: [rows, doubel, {mix: keep}, keep]
  empty: []
  side: [keep, rows]
epoch: {record: 5}
engine: {use: threads, queue_batches: 0}
"""
    assert problems(folder, text) == [
        "pipeline.yaml:1:1: inputz: no such section; did you mean 'inputs'?",
        "pipeline.yaml:3:28: inputs.rows.n: must be a whole number, got 'x'",
        "pipeline.yaml:3:34: inputs.rows.nn: no such option; did you mean 'n'?",
        "pipeline.yaml:4:3: inputs.other: has no 'use'; did you mean 'use' by 'usee'?",
        "pipeline.yaml:5:29: inputs.third.n: variable 'NOT_SET_ANYWHERE' is not set; set it, or write ${NOT_SET_ANYWHERE:-default}",
        "pipeline.yaml:7:28: outputs.keep.on_error: must be 'collect', 'skip', 'stop' or 'retry', got 'colect'; did you mean 'collect'?",
        "pipeline.yaml:7:46: outputs.keep.retry: must not be negative, got -1",
        "pipeline.yaml:7:57: outputs.keep.optional: must be true or false, got 'maybe'",
        "pipeline.yaml:8:3: outputs.rows: 'rows' is the name of an input already; give it a name of its own",
        "pipeline.yaml:10:3: transformers.spaced name: a name cannot hold spaces or any of . @ / :",
        "pipeline.yaml:10:37: transformers.spaced name.timeout: this engine cannot enforce a timeout; leave it out, or use an engine with processes of its own",
        "pipeline.yaml:11:32: transformers.double.optional: a transformer cannot be optional; only inputs and outputs can",
        "pipeline.yaml:13:16: pipes.main.1: no component named 'doubel'; did you mean 'double'?",
        "pipeline.yaml:13:24: pipes.main.2: only an input can be mixed, 'keep' is not one",
        "pipeline.yaml:14:3: pipes.empty: must be a list of component names, got []",
        "pipeline.yaml:16:9: epoch.record: no such option; did you mean 'records'?",
        "pipeline.yaml:17:24: engine.queue_batches: must be at least 1, got 0",
    ]


def test_problems_have_places_and_hints(folder: Path) -> None:
    base = 'inputs:\n  rows: "shop:rows"\n'
    table = {
        "pipes:\n  main: [rowz]": "pipeline.yaml:4:10: pipes.main.0: no component named 'rowz'; "
        "did you mean 'rows'?",
        "pipes:\n  main: rows": "pipeline.yaml:4:3: pipes.main: must be a list of component names, "
        "got 'rows'; write [rows]",
        "pipes: [rows]": "pipeline.yaml:3:1: pipes: must be a mapping of names, got ['rows']",
        "outputs: {}": "pipeline.yaml:1:1: declares no pipes; say in which order the "
        "components work, as in `pipes: {main: [input, output]}`",
        "pipes: {main: [rows]}\nversion: 2": "pipeline.yaml:4:1: version: must be 1, got 2",
        "pipes: {main: [rows]}\nname: 5": "pipeline.yaml:4:1: name: must be text, got 5; "
        "write it in quotes",
        "pipes: {main: [rows]}\nepoch: {secnds: 5}": "pipeline.yaml:4:9: epoch.secnds: no such "
        "option; did you mean 'seconds'?",
        "pipes: {main: [rows]}\nepoch: 5": "pipeline.yaml:4:1: epoch: must be a mapping of "
        "'records', 'bytes' and 'seconds', got 5",
        "pipes: {main: [rows, {stir: rows}]}": "pipeline.yaml:3:22: pipes.main.1: must be a name, "
        "or 'mix' or 'append' with an input, got {'stir': 'rows'}",
        "pipes: {main: [rows, 5]}": "pipeline.yaml:3:22: pipes.main.1: must be the name of a "
        "component, got 5",
        'outputs: {o: "shop:keep"}\npipes: {main: [rows, {mix: o}]}': "pipeline.yaml:4:22: "
        "pipes.main.1: only an input can be mixed, 'o' is not one",
        'outputs: {o: "shop:keep"}\npipes: {main: [o, rows]}': "pipeline.yaml:4:16: pipes.main.0: "
        "a pipe must begin with an input, 'o' is an output; put an input first, or branch from a "
        "component of another pipe",
        'outputs: {o: {use: "shop:keep", on_error: colect}}\npipes: {main: [rows, o]}': "pipeline."
        "yaml:3:33: outputs.o.on_error: must be 'collect', 'skip', 'stop' or 'retry', got "
        "'colect'; did you mean 'collect'?",
        'outputs: {o: {use: "shop:keep", timeout: 5s}}\npipes: {main: [rows, o]}': "pipeline.yaml:"
        "3:33: outputs.o.timeout: this engine cannot enforce a timeout; leave it out, or use an "
        "engine with processes of its own",
        'transformers: {t: {use: "shop:double", optional: true}}\npipes: {main: [rows, t]}': "pipe"
        "line.yaml:3:40: transformers.t.optional: a transformer cannot be optional; only inputs "
        "and outputs can",
        'transformers: {t: {use: "shop:double", retry: {trys: 1}}}\npipes: {main: [rows, t]}': "pi"
        "peline.yaml:3:48: transformers.t.retry.trys: no such option; did you mean 'tries'?",
        'transformers: {"a b": "shop:double"}\npipes: {main: [rows]}': "pipeline.yaml:3:16: "
        "transformers.a b: a name cannot hold spaces or any of . @ / :",
        'outputs: {rows: "shop:keep"}\npipes: {main: [rows]}': "pipeline.yaml:3:11: outputs.rows: "
        "'rows' is the name of an input already; give it a name of its own",
        "outputs: {o: 5}\npipes: {main: [rows]}": "pipeline.yaml:3:11: outputs.o: must be a "
        "mapping with 'use', got 5",
        "brokers: {b: {}}\npipes: {main: [rows]}": "pipeline.yaml:3:11: brokers.b: has no 'use'; "
        "say what it is, as in `use: csv`",
        "outputs: {o: {use: stream, broker: b, stream: s}}\npipes: {main: [rows, o]}": "pipeline."
        "yaml:3:28: outputs.o.broker: no broker named 'b'; declare it under brokers",
        'transformers: {t: "shop:double"}\npipes: {a: [rows, t, t]}': "pipeline.yaml:4:9: pipes.a: "
        "records would go round in a circle: t -> t; a component can feed only what comes after it",
    }
    for text, message in table.items():
        assert message in problems(folder, base + text), text


def test_what_cannot_be_imported_is_reported_with_its_place(folder: Path) -> None:
    text = """\
inputs:
  a: {use: csvv}
  b: {use: "shop:rowz"}
  c: {use: "nowhere:rows"}
  d: {use: "shop:number"}
  e: {use: "shop:NoComponent"}
  f: {use: csv}
pipes: {main: [a, b, c, d, e, f]}
"""
    assert problems(folder, text) == [
        "pipeline.yaml:2:7: inputs.a.use: no input named 'csvv'; see `penstock list inputs`",
        "pipeline.yaml:3:7: inputs.b.use: shop:rowz: 'shop' has no 'rowz'; did you mean 'rows'?",
        "pipeline.yaml:4:7: inputs.c.use: nowhere:rows: there is no module 'nowhere'",
        "pipeline.yaml:5:7: inputs.d.use: 'shop:number' is neither a component class nor a function",
        "pipeline.yaml:6:7: inputs.e.use: 'shop:NoComponent' is not an input; "
        "it must derive from penstock.Input",
        "pipeline.yaml:7:7: inputs.f.use: no input named 'csv'; it comes with penstock-input-csv: "
        "pip install penstock-input-csv",
    ]


def test_missing_plugins_and_config_problems_have_their_own_exit_codes(folder: Path) -> None:
    missing = "inputs: {a: {use: csv}}\npipes: {main: [a]}"
    with pytest.raises(PluginError) as plugin:
        pipeline(folder, missing)
    with pytest.raises(ConfigError) as config:
        pipeline(folder, missing + "\nwrong: 1")

    assert (plugin.value.exit_code, config.value.exit_code) == (4, 3)
    assert "no input named 'csv'" in str(config.value)


def test_settings_replace_what_the_file_says(folder: Path) -> None:
    made = pipeline(folder, GOOD, settings=["rows.n=7", "engine.queue_batches=5"])

    assert made.graph().nodes["rows"].component.n == 7  # type: ignore[attr-defined]
    assert made.engine.queue_batches == 5
    assert pipeline(folder, GOOD, engine="inline").engine_name == "inline"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rows.n", "--set 'rows.n' is not of the form component.option=value"),
        ("rowz.n=1", "--set 'rowz.n=1': no component named 'rowz'; did you mean 'rows'?"),
        ("rows.n=[1", "--set 'rows.n=[1': not JSON"),
    ],
)
def test_settings_that_fit_nothing(folder: Path, setting: str, message: str) -> None:
    with pytest.raises(PenstockError, match="set") as raised:
        pipeline(folder, GOOD, settings=[setting])
    assert str(raised.value).startswith(message)
    assert raised.value.exit_code == 2


def test_a_pipe_without_an_output_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline(folder, 'inputs: {rows: "shop:rows"}\npipes: {main: [rows]}').start().execute()

    assert capsys.readouterr().out == '{"id": 0}\n{"id": 1}\n{"id": 2}\n'


def test_relative_paths_start_at_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder / "shop.py").write_text(
        "from pathlib import Path\ndef rows(path: Path):\n    yield str(path)\n"
    )
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    file = folder / "pipeline.yaml"
    file.write_text('inputs: {rows: {use: "shop:rows", path: data/x.csv}}\npipes: {m: [rows]}')
    made = load_pipeline(file, Plugins(discover=False))

    assert made.graph().nodes["rows"].component.path == folder / "data/x.csv"  # type: ignore[attr-defined]


def test_plugins_beside_the_file_are_used_unless_others_may_write_them(folder: Path) -> None:
    (folder / "plugins.py").write_text(
        "from penstock import hookimpl\n\n@hookimpl\ndef penstock_inputs():\n"
        '    return {"mine": "penstock.testing:ListInput"}\n'
    )
    text = "inputs: {a: {use: mine, values: [1]}}\npipes: {m: [a]}"
    assert pipeline(folder, text).graph().nodes["a"].plugin.endswith("plugins.py")

    (folder / "plugins.py").chmod(0o666)
    with pytest.raises(PluginError, match=r"plugins.py: others may write to it; chmod go-w"):
        pipeline(folder, text)


def test_components_that_stand_in_no_pipe_are_mentioned(folder: Path) -> None:
    made = pipeline(folder, 'inputs: {a: "shop:rows"}\noutputs: {o: "shop:keep"}\npipes: {m: [a]}')

    assert made.warnings == ["o stands in no pipe"]


@pytest.mark.parametrize(
    "text",
    [
        "name: [LONG]",
        "inputs: LONG",
        "inputs: {a: [LONG]}",
        "pipes: {m: LONG}",
        "pipes: {m: [LONG]}",
        "pipes: {m: [[LONG]]}",
        "pipes: {m: [{a: LONG}]}",
        "epoch: [LONG]",
        "version: LONG",
    ],
)
def test_a_long_value_does_not_fill_the_screen(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        pipeline(folder, "transformers: {}\n" + text.replace("LONG", "x" * 100_000))
    assert all(len(line) < 200 for line in str(raised.value).splitlines())
    assert "…" in str(raised.value)


def test_tests_are_left_to_whoever_runs_them(folder: Path) -> None:
    """What is wrong there, as a variable that is not set, keeps no pipeline from running."""
    text = 'inputs: {a: "shop:rows"}\npipes: {m: [a]}\ntests: {one: {feed: "${NOT_SET_HERE}"}}\n'
    assert pipeline(folder, text).run().balance.read == 3
    assert "NOT_SET_HERE" in problems(folder, text.replace("shop:rows", "${NOT_SET_HERE}"))[0]


def test_a_component_may_be_declared_in_another_file(folder: Path) -> None:
    """Its relative paths and its mistakes belong to that file."""
    (folder / "pipeline.yaml").write_text('inputs: {a: "shop:rows"}\npipes: {m: [a]}\n')
    other = folder / "tests"
    other.mkdir()
    (other / "fakes.py").write_text("def rows(n: int):\n    yield from range(n)\n")
    (other / "more.yaml").write_text('inputs:\n  a: {use: "fakes:rows", n: many}\n')
    plugins = Plugins(discover=False)
    spec = read_spec(read_document(folder / "pipeline.yaml", plugins), plugins)
    more = read_document(other / "more.yaml", plugins)
    path = ("inputs", "a")
    spec.components["a"] = read_component(more, "input", "a", path, more.data["inputs"]["a"])
    with pytest.raises(ConfigError) as raised:
        build(spec, plugins)
    where = f"{other / 'more.yaml'}:2:26: inputs.a.n"
    assert str(raised.value) == f"{where}: must be a whole number, got 'many'"


def test_so_may_one_of_a_broker(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text('inputs: {a: "shop:rows"}\npipes: {m: [a]}\n')
    (folder / "more.yaml").write_text("inputs:\n  a: {use: stream, broker: bus, stream: s}\n")
    plugins = Plugins(discover=False)
    spec = read_spec(read_document(folder / "pipeline.yaml", plugins), plugins)
    more = read_document(folder / "more.yaml", plugins)
    path = ("inputs", "a")
    spec.components["a"] = read_component(more, "input", "a", path, more.data["inputs"]["a"])
    with pytest.raises(
        ConfigError, match=r"more.yaml:2:20: inputs.a.broker: no broker named 'bus'"
    ):
        build(spec, plugins)


def test_variables_can_be_given_instead_of_those_around_us(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text('name: "${SHOP}"\n')
    document = read_document(folder / "pipeline.yaml", Plugins(discover=False), {"SHOP": "north"})
    assert (document.data, document.problems) == ({"name": "north"}, [])


def test_a_first_party_command_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(PluginError) as raised:
        Plugins(discover=False).find("command", "test")
    package = "penstock-pipeline-tests"
    assert str(raised.value) == (
        f"no command named 'test'; it comes with {package}: pip install {package}"
    )
