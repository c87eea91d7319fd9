"""`penstock requires`: the distributions behind the names in a file, and nothing else."""

from __future__ import annotations

import sys

import pytest

import penstock
import penstock.syntaxes.yaml  # while there is a path to what it imports

VERSION = penstock.__version__

PIPELINE = """
inputs:
  orders: {use: csv, path: orders.csv}
outputs:
  shop: {use: sql, url: "%s", table: orders}
pipes:
  orders: [orders, shop]
"""

CSV = """
from penstock import hookimpl

@hookimpl
def penstock_inputs():
    return {"csv": "acme_heavy:Csv"}  # there is no such module
"""

SQL = """
from penstock import hookimpl

@hookimpl
def penstock_outputs():
    return {"sql": "acme_heavy:Sql"}

@hookimpl
def penstock_extras():
    return {"sql.url": {"postgres*": "postgresql", "*?ssl": "ssl"}, "sql.pool.kind": {"*": "pool"}}
"""

OTHER = """
from penstock import hookimpl

@hookimpl
def penstock_transformers():
    return {"unused": "acme_other:Unused"}
"""


@pytest.fixture
def shop(folder, monkeypatch):
    """A pipeline of a CSV file and a database, with three plugins of which it needs two."""
    # Nothing that happens to be installed beside the kernel may take part.
    elsewhere = [one for one in sys.path if "site-packages" not in one and "/src" not in one]
    monkeypatch.setattr(sys, "path", elsewhere)
    folder.provide("acme-csv", CSV, "1.2")
    folder.provide("acme-sql", SQL, "2.0")
    folder.provide("acme-other", OTHER)
    folder.write("shop.yaml", PIPELINE % "sqlite:///shop.db")
    return folder


def lines_of(done) -> list[str]:
    return done.out.splitlines()


def test_it_prints_the_distributions_that_are_needed_and_imports_no_component(shop, cli):
    done = cli("requires", "shop.yaml")
    assert done.code == 0, done.err
    assert [line.split() for line in lines_of(done)[1:]] == [
        ["penstock", VERSION, "the", "kernel"],
        ["acme-csv", "1.2", "inputs.orders"],
        ["acme-sql", "2.0", "outputs.shop"],
    ]
    assert "acme_heavy" not in sys.modules


def test_the_lines_for_pip_pin_what_is_installed(shop, cli):
    done = cli("requires", "shop.yaml", "--format", "requirements")
    assert lines_of(done) == [f"penstock=={VERSION}", "acme-csv==1.2", "acme-sql==2.0"]


def test_json_says_the_same(shop, cli):
    found = cli("requires", "shop.yaml", "--json").json
    assert found["pipeline"] == "shop"
    assert found["files"] == ["shop.yaml"]
    assert found["problems"] == []
    assert found["distributions"][1] == {
        "name": "acme-csv",
        "version": "1.2",
        "extras": [],
        "needed_for": ["inputs.orders"],
        "requirement": "acme-csv==1.2",
    }


@pytest.mark.parametrize(
    ("url", "requirement"),
    [
        ("postgresql://db/shop", "acme-sql[postgresql]==2.0"),
        ("postgresql://db/shop?ssl", "acme-sql[postgresql,ssl]==2.0"),
        ("sqlite:///shop.db?ssl", "acme-sql[ssl]==2.0"),
        ("${HOST_OF_NOBODY:-postgresql://db/shop}", "acme-sql[postgresql]==2.0"),
    ],
)
def test_an_option_may_need_an_extra(shop, cli, url, requirement):
    shop.write("shop.yaml", PIPELINE % url)
    assert requirement in lines_of(cli("requires", "shop.yaml", "--format", "requirements"))


def test_so_may_a_nested_option(shop, cli):
    text = (PIPELINE % "sqlite:///a.db").replace("table: orders", "pool: {kind: large}")
    shop.write("shop.yaml", text)
    done = cli("requires", "shop.yaml", "--format", "requirements")
    assert "acme-sql[pool]==2.0" in lines_of(done)


def test_a_missing_plugin_is_in_the_list_and_named_with_its_install_line(shop, cli):
    text = (PIPELINE % "sqlite:///a.db").replace("use: csv", "use: json")
    shop.write("shop.yaml", text)
    done = cli("requires", "shop.yaml", "--format", "requirements")
    assert done.code == 4
    assert lines_of(done) == [f"penstock=={VERSION}", "acme-sql==2.0", "penstock-input-json"]
    assert done.err == (
        "shop.yaml:3:12: inputs.orders.use: no input named 'json'; "
        "it comes with penstock-input-json: pip install penstock-input-json\n"
    )
    assert "not installed" in cli("requires", "shop.yaml").out
    asked = cli("requires", "shop.yaml", "--json")
    assert asked.code == 4
    assert [problem.rpartition("; ")[2] for problem in asked.json["problems"]] == [
        "it comes with penstock-input-json: pip install penstock-input-json"
    ]


def test_variables_need_not_be_set(shop, cli):
    text = (PIPELINE % "sqlite:///a.db").replace("orders.csv", "'${FILE_OF_NOBODY:?name the file}'")
    shop.write("shop.yaml", text.replace("table: orders", "retry: '${COUNT_OF_NOBODY}'"))
    done = cli("requires", "shop.yaml")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("sqlite:///a.db", "${URL_OF_NOBODY}", "outputs.shop.url"),
        ("use: csv", "use: '${KIND_OF_NOBODY}'", "inputs.orders.use"),
    ],
)
def test_unless_what_is_needed_depends_on_one(shop, cli, old, new, path):
    shop.write("shop.yaml", (PIPELINE % "sqlite:///a.db").replace(old, new))
    done = cli("requires", "shop.yaml")
    assert done.code == 3
    assert f"{path}: what is needed depends on a variable that is not set; set it\n" in done.err


def test_a_file_that_is_wrong_is_reported_as_ever(shop, cli):
    shop.write("shop.yaml", (PIPELINE % "sqlite:///a.db").replace("pipes:", "pips:"))
    done = cli("requires", "shop.yaml")
    assert done.code == 3
    assert "did you mean 'pipes'?" in done.err


def test_a_placeholder_that_is_written_wrongly_is_reported(shop, cli):
    shop.write("shop.yaml", PIPELINE % "${a.b.c}")
    done = cli("requires", "shop.yaml")
    assert done.code == 3
    assert "nothing provides the placeholder '${a.b.c}'" in done.err


@pytest.mark.parametrize("answer", ["'found' if name == 'vault.key' else None", "1 / 0"])
def test_who_resolves_a_placeholder_is_needed_even_if_it_cannot_answer_now(shop, cli, answer):
    shop.provide(
        "acme-vault",
        "from penstock import hookimpl\n\n@hookimpl\ndef penstock_resolve(name):\n"
        f"    return {answer}\n",
        "3.1",
    )
    text = (PIPELINE % "sqlite:///a.db").replace("orders.csv", "'${vault.key}'")
    shop.write("shop.yaml", text)
    done = cli("requires", "shop.yaml")
    assert "acme-vault 3.1 ${vault.key}".split() in [line.split() for line in lines_of(done)]
    shop.write("shop.yaml", PIPELINE % "sqlite:///a.db")
    assert "acme-vault" not in cli("requires", "shop.yaml").out


def test_engines_syntaxes_and_brokers_count_too(shop, cli):
    shop.provide(
        "acme-odd",
        "from penstock import hookimpl\nimport json\n\n"
        "@hookimpl\ndef penstock_engines():\n    return {'far': 'acme_heavy:Far'}\n\n"
        "@hookimpl\ndef penstock_brokers():\n    return {'bus': 'acme_heavy:Bus'}\n\n"
        "@hookimpl\ndef penstock_syntaxes():\n    return {'odd': Odd}\n\n"
        "class Odd:\n    def parse(self, text, name):\n"
        "        from penstock.spec import Document\n"
        "        return Document(json.loads(text), {}, name)\n",
    )
    shop.write(
        "shop.odd",
        '{"brokers": {"b": {"use": "bus"}}, "engine": "far", "pipes": {"p": ["i"]},'
        ' "inputs": {"i": {"use": "stream", "broker": "b", "stream": "s"}}}',
    )
    done = cli("requires", "shop.odd")
    assert done.code == 0, done.err
    assert [line.split() for line in lines_of(done)[2:]] == [
        ["acme-odd", "1.0", "*.odd,", "brokers.b,", "engine"]
    ]


def test_modules_beside_the_file_are_named_and_installed_ones_are_distributions(numbers, cli):
    numbers.write("plugins.py", "from penstock import hookimpl\n")
    numbers.write(
        "numbers.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        transformers: {a: {use: "pluggy:HookspecMarker"}, b: {use: "json:loads"}}
        pipes: {main: [count, a, b]}
        """,
    )
    done = cli("requires", "numbers.yaml")
    assert done.code == 0, done.err
    assert lines_of(done)[-1] == "and, beside the file: plugins.py, functions.py"
    assert [line.split()[0] for line in lines_of(done)[1:3]] == ["penstock", "pluggy"]


def test_a_module_that_nobody_brings_is_missing(shop, cli):
    shop.write("shop.yaml", "inputs: {a: {use: 'nowhere.at_all:f'}}\npipes: {p: [a]}\n")
    done = cli("requires", "shop.yaml")
    assert done.code == 4
    assert done.err == (
        "shop.yaml:1:14: inputs.a.use: no distribution brings the module 'nowhere', nor does it "
        "stand beside the file; install what brings it, or put it there\n"
    )


def test_json_and_a_format_exclude_each_other(shop, cli):
    done = cli("requires", "shop.yaml", "--json", "--format", "requirements")
    assert done.code == 2
    assert "--json and --format exclude each other; choose one" in done.out


@pytest.mark.parametrize("command", ["lock", "image", "install"])
def test_a_command_of_a_package_that_is_missing_is_named_with_it(shop, cli, command):
    done = cli(command, "shop.yaml")
    assert done.code == 4
    assert done.err == (
        f"no command named {command!r}; it comes with penstock-deploy: pip install penstock-deploy\n"
    )
