"""One package for each fault that a plugin can have: each is refused in a sentence that names the
rule, and everything else of the installation goes on working."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PLUGIN = """
from penstock import hookimpl

@hookimpl
def penstock_{kind}s():
    return {{"{name}": "acme_bad.part:Part"}}
"""
INPUT = """
from penstock import RecordInput, component, option

@component
class Part(RecordInput):
    '''Counts.'''

    count: int = option(help="How far.")
    token: str = option(help="Who we are.", default="", secret=True)

    def records(self, skip):
        return ({{"n": n}} for n in range(skip + 1, self.count + 1))
{more}
"""
STAGE = """
from penstock import {base}, component

@component
class Part({base}):
    '''Does something.'''
{more}
"""
OUTPUT = """
import json
from pathlib import Path
from penstock import Output, component, option

@component
class Part(Output):
    '''Writes lines.'''

    path: Path = option(help="Where.")

    def open(self, context):
        super().open(context)
        self.held = []

    def write(self, batch):
        self.held += [json.dumps(record, default=str) for record in batch.records]

    def flush(self):
        with self.path.open("a") as file:
            for line in self.held[{first}:]:
                print(line, file=file)
        self.held = []
"""
INPUTS = """
import pytest
from penstock_testkit import InputSuite
from acme_bad.part import Part

class TestPart(InputSuite):
    @pytest.fixture
    def source(self):
        return lambda count: (Part(count=count), [{"n": n + 1} for n in range(count)])
"""
STAGES = """
import pytest
from penstock_testkit import StageSuite
from acme_bad.part import Part

class TestPart(StageSuite):
    @pytest.fixture
    def stage(self):
        return Part()
"""
OUTPUTS = """
import itertools, json
import pytest
from penstock_testkit import OutputSuite
from acme_bad.part import Part

class TestPart(OutputSuite):
    @pytest.fixture
    def destination(self, tmp_path):
        numbers = itertools.count()

        def destination():
            path = tmp_path / f"out{next(numbers)}"
            path.touch()
            return Part(path=path), lambda: list(map(json.loads, path.read_text().splitlines()))

        return destination
"""
METADATA = "Metadata-Version: 2.1\nName: acme-bad\nVersion: 1.0\nSummary: Something\n"
NEEDS = "Requires-Dist: penstock<2,>=0.1\n"


@dataclass
class Bad:
    """A package: what its files say. The defaults are those of one that has no fault."""

    plugin: str = PLUGIN.format(kind="input", name="bad")
    part: str = INPUT.format(more="")
    suites: str = INPUTS
    metadata: str = METADATA + NEEDS
    says: str = ""
    listed: str = ""
    commands: list[str] = field(default_factory=list)


COUNTS = """
    def open(self, context):
        super().open(context)
        self.count = 0

    def transform(self, record):
        self.count += 1
        return {**record, "nr": self.count}

    def snapshot(self):
        return self.count

    def restore(self, state):
        self.count = 0
"""

BAD = {
    "leaves on import": Bad(
        plugin="raise SystemExit('bye')", says="cannot be imported", listed="SystemExit: bye"
    ),
    "hangs on import": Bad(
        plugin="import time\ntime.sleep(600)",
        says="was not imported within",
        listed="it was not imported within",
    ),
    "prints on import": Bad(
        plugin="print('hello')" + PLUGIN.format(kind="input", name="bad"),
        says="prints 'hello' while it is imported",
        listed="it printed 'hello' while it was imported",
    ),
    "asks for an unknown hook": Bad(
        plugin=PLUGIN.format(kind="inputt", name="bad"),
        says="there is no hook 'penstock_inputts'; did you mean 'penstock_inputs'?",
        listed="there is no hook 'penstock_inputts'",
    ),
    "duplicates a name": Bad(
        plugin=PLUGIN.format(kind="output", name="print"),
        part=OUTPUT.format(first=0),
        suites=OUTPUTS,
        says="output 'print' is provided by penstock as well",
        listed="output print",
    ),
    "has no metadata": Bad(metadata="", says="metadata", listed="input bad"),
    "pins a sibling exactly": Bad(
        metadata=METADATA + NEEDS + "Requires-Dist: penstock-files==0.1.0\n",
        says="it pins penstock-files==0.1.0",
        listed="input bad",
    ),
    "leaks a secret in its repr": Bad(
        part=INPUT.format(more="")
        + "\n\ndef shown(self):\n    return f'Part({self.token})'\n\n\nPart.__repr__ = shown\n",
        says="the secret is in its repr",
        listed="input bad",
    ),
    "loses a record on flush": Bad(
        plugin=PLUGIN.format(kind="output", name="bad"),
        part=OUTPUT.format(first=1),
        suites=OUTPUTS,
        says="every record is at the destination once",
        listed="output bad",
    ),
    "restores the wrong state": Bad(
        plugin=PLUGIN.format(kind="transformer", name="bad"),
        part=STAGE.format(base="Transformer", more=COUNTS),
        suites=STAGES,
        says="After any batch, a stage that is restored from the snapshot",
        listed="transformer bad",
    ),
    "changes data in an inspector": Bad(
        plugin=PLUGIN.format(kind="inspector", name="bad"),
        part=STAGE.format(
            base="Inspector",
            more="\n    def inspect(self, record):\n        record['seen'] = True\n",
        ),
        suites=STAGES,
        says="What an inspector passes on is what came",
        listed="inspector bad",
    ),
}


def install(bad: Bad, site: Path) -> None:
    """Put the package where an interpreter with this folder on its path finds it."""
    package, about = site / "acme_bad", site / "acme_bad-1.0.dist-info"
    for folder in (package, about):
        folder.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "plugin.py").write_text(bad.plugin)
    (package / "part.py").write_text(bad.part)
    (package / "conformance.py").write_text(bad.suites)
    if bad.metadata:
        (about / "METADATA").write_text(bad.metadata)
    (about / "entry_points.txt").write_text(
        "[penstock.plugins.v1]\nbad = acme_bad.plugin\n\n"
        "[penstock.conformance.v1]\nbad = acme_bad.conformance\n"
    )


def penstock(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The limits of a real run would make these tests wait for what never comes.
    code = (
        "import sys, penstock.plugins, penstock_testkit.packaging as packaging\n"
        "penstock.plugins.Plugins._load_one.__globals__['watched'].__wrapped__.__defaults__ = (2,)\n"
        "packaging.IMPORT_SECONDS = 5\n"
        "from penstock.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "PENSTOCK_CERTIFICATES": str(site / "certificates"),
        },
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )


PIPELINE = (
    'inputs: {a: {use: "penstock.testing:ListInput", values: [{n: 1}]}}\npipes: {main: [a]}\n'
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", BAD)
def test_it_is_refused_for_that_very_reason(fault: str, tmp_path: Path) -> None:
    bad = BAD[fault]
    install(bad, tmp_path)
    done = penstock(tmp_path, "certify", "acme-bad")
    assert done.returncode in (2, 7), done.stderr
    assert bad.says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "certificates").exists()


@pytest.mark.parametrize("fault", BAD)
def test_the_rest_goes_on_working(fault: str, tmp_path: Path) -> None:
    install(BAD[fault], tmp_path)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    listed = penstock(tmp_path, "plugins", "--json")
    assert listed.returncode == 0, listed.stderr
    states = {one["name"]: one["state"] for one in json.loads(listed.stdout)}
    assert states.pop("acme-bad") in ("loaded", "broken")
    assert set(states.values()) == {"loaded"}
    assert BAD[fault].listed in penstock(tmp_path, "plugins").stdout
    run = penstock(tmp_path, "run", "pipeline.yaml", "--quiet")
    # Two plugins have the name of the printing output, so a pipeline has to say which it means.
    if fault == "duplicates a name":
        assert "is provided by penstock and acme-bad" in run.stderr
    else:
        assert (run.returncode, run.stdout) == (0, '{"n": 1}\n'), run.stderr


@pytest.mark.timeout(300)
def test_one_without_a_fault_is_certified(tmp_path: Path) -> None:
    install(Bad(), tmp_path)
    done = penstock(tmp_path, "certify", "acme-bad", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["distribution"], made["version"], made["waivers"]) == ("acme-bad", "1.0", [])
    assert made["components"] == [{"kind": "input", "name": "bad", "promises": "replayable"}]
    assert made["kills_survived"] > 0
    assert made["figures"]["TestPart"]["peak_bytes"] > 0
    assert "kills survived" in penstock(tmp_path, "plugins").stdout
    (tmp_path / "pipeline.yaml").write_text(
        "inputs: {a: {use: bad, count: 2}}\npipes: {main: [a]}\n"
    )
    checked = penstock(tmp_path, "check", "pipeline.yaml").stdout
    assert "  acme-bad: certified " in checked
    (tmp_path / "acme_bad-1.0.dist-info").rename(tmp_path / "acme_bad-2.0.dist-info")
    again = penstock(tmp_path, "plugins").stdout
    assert "its certificate is of version 1.0, so out of date" in again
