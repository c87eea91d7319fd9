"""A recorded case passes as it stands, and holds nothing that is nobody's business."""

from __future__ import annotations

import pytest

PIPELINE = """
inputs: {orders: {use: csv, path: orders.csv}}
transformers: {tidy: {use: fields, cast: {amount: decimal, day: date}, where: "amount > 0"}}
outputs: {store: {use: "shop:store"}}
pipes: {orders: [orders, tidy, store]}
"""

ORDERS = """\
id,amount,day,email,note
1,1.50,2026-11-20,ada@home.example,ask ada@home.example
2,0,2026-11-20,bea@home.example,costs ${FREE} and $${MORE}
3,many,2026-11-20,ada@home.example,
4,2,2026-11-21,cem@home.example,"a ""quote"", ü and a
line"
"""


@pytest.fixture
def recorded(shop):
    shop.write("orders.yaml", PIPELINE)
    shop.write("orders.csv", ORDERS)
    return shop


def test_it_passes_as_it_stands(recorded):
    done = recorded.penstock("test", "--record", "orders.yaml", "-n", "4")
    assert done.code == 0, done.err
    assert done.err == (
        "wrote orders.test.yaml: records: 4 of orders\n"
        "redacted: email; look through the file before you share it\n"
    )
    text = (recorded.path / "orders.test.yaml").read_text()
    assert "home.example" not in text
    assert text.count("email-1@example.com") > 2
    assert '"$decimal": "1.50"' in text
    assert recorded.penstock("test").code == 0
    assert not (recorded.path / "stored").exists()
    assert not (recorded.path / ".penstock").exists()


@pytest.mark.parametrize("change", ["amount > 0", "decimal"])
def test_it_fails_when_the_pipeline_is_another(recorded, change):
    recorded.penstock("test", "--record", "orders.yaml")
    other = {"amount > 0": "amount > 1.7", "decimal": "float"}[change]
    recorded.write("orders.yaml", PIPELINE.replace(change, other))
    assert recorded.penstock("test").code == 7


def test_only_so_many_records_are_read(recorded):
    recorded.penstock("test", "--record", "orders.yaml", "-n", "2")
    text = (recorded.path / "orders.test.yaml").read_text()
    assert '"read": 2' in text


def test_further_fields_are_redacted_on_request(recorded):
    recorded.penstock("test", "--record", "orders.yaml", "--redact", "note", "--redact", "id")
    text = (recorded.path / "orders.test.yaml").read_text()
    assert "quote" not in text
    assert recorded.penstock("test").code == 0


@pytest.mark.parametrize("name", ["sample.test.json", "deep/sample.test.yml"])
def test_where_it_is_written(recorded, name):
    (recorded.path / "deep").mkdir()
    assert recorded.penstock("test", "--record", "orders.yaml", "-o", name).code == 0
    assert recorded.penstock("test", name).code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.yaml", "a.yaml: is no name for a recorded test; call it NAME.test.yaml\n"),
        ("a.test.toml", "a.test.toml: is no name for a recorded test; call it NAME.test.yaml\n"),
        ("no/a.test.yaml", "no: there is no such folder; make it first\n"),
        ("/proc/a.test.yaml", "/proc/a.test.yaml: cannot be written: "),
        ("old.test.yaml", "old.test.yaml: is there already; choose another with --output\n"),
    ],
)
def test_where_it_cannot_be_written(recorded, name, message):
    recorded.write("old.test.yaml", "mine")
    done = recorded.penstock("test", "--record", "orders.yaml", "-o", name)
    assert done.code == 2
    assert done.err.startswith(message)
    assert (recorded.path / "old.test.yaml").read_text() == "mine"


def test_a_pipeline_whose_results_differ_each_time_is_not_recorded(recorded):
    recorded.write(
        "orders.yaml",
        PIPELINE.replace(
            'fields, cast: {amount: decimal, day: date}, where: "amount > 0"', '"shop:chance"'
        ),
    )
    done = recorded.penstock("test", "--record", "orders.yaml")
    assert done.code == 1
    assert done.err.startswith(
        "orders.yaml: the same sample comes to something else each time: store, record 1, chance"
    )
    assert not list(recorded.path.glob("*.test.*"))


SECRETIVE = """
from penstock import Input, Output, RecordInput, Transformer, component, option

@component
class Login(RecordInput):
    password: str = option(help="The password.", secret=True)

    def records(self, skip):
        yield {"id": 1, "url": f"db://{self.password}@host"}

@component
class Adds(Transformer):
    token: str = option(help="A token.", secret=True)

    def transform(self, record):
        return {**record, "by": self.token}

def nothing(record):
    return record

def odd():
    yield {"x": object()}

class Breaks(Input):
    def read(self, positions):
        raise ValueError("torn")

class Endless(Input):
    finite = False
    told = []

    def read(self, positions):
        from penstock import Batch
        yield Batch([1, 2], "", None, 2)
        while True:
            yield None

    def commit(self, positions):
        self.told.append(positions)
"""


def test_secret_options_never_appear(shop):
    shop.write("secretive.py", SECRETIVE)
    shop.write(
        "a.yaml",
        """
        inputs: {login: {use: "secretive:Login", password: hunter22}}
        transformers: {same: {use: "secretive:nothing"}}
        pipes: {a: [login, same]}
        """,
    )
    done = shop.penstock("test", "--record", "a.yaml")
    text = (shop.path / "a.test.yaml").read_text()
    assert "hunter22" not in text + done.out + done.err
    assert "db://redacted@host" in text
    assert shop.penstock("test").code == 0


def test_secrets_of_a_broker_do_not_either(shop):
    shop.write("plugins.py", BUS)
    (shop.path / "plugins.py").chmod(0o600)
    shop.write(
        "a.yaml",
        """
        brokers: {bus: {use: bus, password: hunter22}}
        inputs: {login: {use: stream, broker: bus, stream: logins}}
        pipes: {a: [login]}
        """,
    )
    assert shop.penstock("test", "--record", "a.yaml").code == 0
    assert "hunter22" not in (shop.path / "a.test.yaml").read_text()
    assert shop.penstock("test").code == 0


BUS = """
from penstock import Broker, component, hookimpl, option
from penstock.testing import ListInput

@component
class Bus(Broker):
    password: str = option(help="The password.", secret=True)

    def input(self, stream, *, group=None, codec=None):
        return ListInput(values=[{"url": f"bus://{self.password}@{stream}"}])

@hookimpl
def penstock_brokers():
    return {"bus": Bus}
"""


def test_nothing_is_written_when_results_hold_a_secret(shop):
    shop.write("secretive.py", SECRETIVE)
    shop.write(
        "a.yaml",
        """
        inputs: {login: {use: "secretive:Login", password: hunter22}}
        transformers: {adds: {use: "secretive:Adds", token: t0ken0}}
        pipes: {a: [login, adds]}
        """,
    )
    done = shop.penstock("test", "--record", "a.yaml")
    assert done.code == 1
    assert done.err == (
        "penstock test --record: what the pipeline gives holds a secret of its options; nothing was "
        "written; leave the secret out of the records\n"
    )
    assert not (shop.path / "a.test.yaml").exists()


def test_an_endless_input_gives_what_it_has_and_is_told_nothing(shop):
    shop.write("secretive.py", SECRETIVE)
    shop.write("a.yaml", 'inputs: {a: {use: "secretive:Endless"}}\npipes: {a: [a]}\n')
    assert shop.penstock("test", "--record", "a.yaml").code == 0
    assert shop.penstock("test").code == 0
    import sys

    assert sys.modules["secretive"].Endless.told == []


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("secretive:odd", "a: record 1 cannot be written to a file; use a fake input\n"),
        ("secretive:Breaks", "a: ValueError: torn\n"),
    ],
)
def test_what_cannot_be_recorded(shop, use, message):
    shop.write("secretive.py", SECRETIVE)
    shop.write("a.yaml", f'inputs: {{a: {{use: "{use}"}}}}\npipes: {{a: [a]}}\n')
    done = shop.penstock("test", "--record", "a.yaml")
    assert (done.code, done.err) == (1, message)


def test_what_the_redacted_sample_comes_to_may_be_a_failure(recorded):
    """The amounts are no numbers any more, and the pipeline stops at the first."""
    stops = PIPELINE.replace("use: fields,", "use: fields, on_error: stop,")
    recorded.write("orders.yaml", stops)
    recorded.write("orders.csv", "id,amount,day\n1,1.5,2026-11-20\n")
    done = recorded.penstock("test", "--record", "orders.yaml", "--redact", "amount")
    assert done.code == 0, done.err
    assert "status: failed" in (recorded.path / "orders.test.yaml").read_text()
    assert recorded.penstock("test").code == 0


def test_plugins_that_are_given_take_part(recorded):
    recorded.write("louder.py", LOUDER)
    (recorded.path / "louder.py").chmod(0o600)
    recorded.write("orders.yaml", PIPELINE.replace('"shop:store"', "loud"))
    given = ["--plugin", "louder.py"]
    assert recorded.penstock("test", "--record", "orders.yaml", *given).code == 0
    assert recorded.penstock("test", *given).code == 0


LOUDER = """
from penstock import Output, hookimpl

class Loud(Output):
    def write(self, batch):
        raise RuntimeError("written")

@hookimpl
def penstock_outputs():
    return {"loud": Loud}
"""


def test_rows_that_cannot_be_read_are_left_out_and_counted(recorded):
    recorded.write("orders.csv", "id,amount,day\n1,1,2026-11-20\n2,1\n")
    done = recorded.penstock("test", "--record", "orders.yaml")
    assert done.err.endswith("1 records could not be read and are left out\n")
    assert recorded.penstock("test").code == 0
