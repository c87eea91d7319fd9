"""`penstock run`: what goes where, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

SLOW = """
import time
from pathlib import Path

def records():
    for number in range(100_000):
        time.sleep(0.001)
        yield number

def heavy(record):
    Path("hangs").touch()
    time.sleep(60)
"""


def test_data_goes_to_stdout_and_all_else_to_stderr(numbers):
    done = numbers.penstock("run", "numbers.yaml")
    assert done.code == 6
    assert done.out == '{"n": 2}\n{"n": 4}\n{"n": 8}\n'
    assert "read 4 = written 3 + filtered 0 + dead 1" in done.err
    assert "1 record was set aside; see it with: penstock errors numbers.yaml\n" in done.err


def test_several_dead_letters_are_them(cli, numbers):
    numbers.write(
        "my numbers.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        outputs: {kept: {use: "functions:keep", path: nowhere/at/all}}
        pipes: {main: [count, kept]}
        """,
    )
    done = cli("run", "my numbers.yaml")
    assert done.code == 6
    assert done.err.endswith(
        "3 records were set aside; see them with: penstock errors 'my numbers.yaml'\n"
    )


def test_a_run_without_dead_letters_ends_with_0(numbers):
    assert numbers.penstock("run", "numbers.yaml", "--set", "count.upto=2").code == 0


def test_a_setting_may_be_of_a_key_that_every_component_has(cli, numbers):
    assert cli("run", "numbers.yaml", "-q").code == 6
    assert cli("run", "numbers.yaml", "--set", "allowed.on_error=skip", "-q").code == 0
    assert cli("run", "numbers.yaml", "--set", "allowed.on_error=stop", "-q").code == 1
    assert cli("run", "numbers.yaml", "--set", "allowed.retry=2", "-q").code == 6
    assert cli("errors", "numbers.yaml", "--json").json[0]["attempts"] > 2
    assert cli("run", "numbers.yaml", "--set", "allowed.use=functions:double", "-q").code == 0
    assert cli("run", "numbers.yaml", "--set", "allowed.description=none", "-q").code == 6


def test_the_key_of_an_input_may_be_set(cli, numbers):
    assert cli("run", "numbers.yaml", "--set", "count.key=m", "-q").code == 6
    assert cli("runs", "numbers.yaml", "--key", "2").out.startswith("no record with the key")


def test_quiet_shows_nothing_but_the_data(cli, numbers):
    done = cli("run", "numbers.yaml", "--quiet")
    assert (done.code, done.err) == (6, "")


def test_the_report_as_json(cli, numbers):
    numbers.write(
        "to_file.yaml",
        (numbers / "numbers.yaml")
        .read_text()
        .replace("pipes:", 'outputs:\n  kept: {use: "functions:keep"}\npipes:')
        .replace("doubled]", "doubled, kept]"),
    )
    done = cli("run", "to_file.yaml", "--json", "--quiet")
    assert done.json["balance"]["read"] == 4
    assert done.json["letters"] == 1
    assert (numbers / "written.txt").read_text() == "2\n4\n8\n"


def test_a_failing_run_ends_with_1_and_names_the_node(cli, functions):
    functions.write("more.py", "def fails(record):\n    raise OSError('gone')\n")
    functions.write(
        "a.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        transformers: {bad: {use: "more:fails", on_error: stop}}
        pipes: {main: [count, bad]}
        """,
    )
    done = cli("run", "a.yaml", "-q")
    assert done.code == 1
    assert done.err == "bad at count:1: OSError: gone; on_error is 'stop'\n"
    assert "Traceback" in cli("run", "a.yaml", "-q", "-v").err


def test_another_engine(cli, numbers):
    assert cli("run", "numbers.yaml", "--engine", "threads", "--json", "-q").out.count("threads")
    done = cli("run", "numbers.yaml", "--engine", "thread")
    assert done.code == 2
    assert "no engine named 'thread'; did you mean 'threads'?" in done.err


def test_options_are_those_of_the_engine_that_is_named(cli, numbers):
    named = ("run", "numbers.yaml", "-q", "--engine", "threads", "--set")
    assert cli(*named, "engine.queue_batches=3").code == 6
    refused = cli(*named, "engine.queue_batches=none")
    assert refused.code == 3
    assert "engine.queue_batches: must be a whole number, got 'none'" in refused.err


def test_an_engine_that_the_file_names_as_well_keeps_its_options(cli, numbers):
    text = (numbers / "numbers.yaml").read_text()
    numbers.write("numbers.yaml", "engine: {use: threads, queue_batches: -1}\n" + text)
    refused = cli("run", "numbers.yaml", "--engine", "threads")
    assert "engine.queue_batches: must be at least 1, got -1" in refused.err
    assert cli("run", "numbers.yaml", "-q", "--engine", "inline").code == 6


def test_state_is_kept_where_it_is_told(cli, numbers):
    done = cli("run", "numbers.yaml", "--state", "elsewhere")
    assert done.err.endswith("see it with: penstock errors numbers.yaml --state elsewhere\n")
    assert (numbers / "elsewhere" / "state.db").is_file()
    assert not (numbers / ".penstock").exists()


def test_state_that_cannot_be_kept_is_a_sentence_and_5(cli, numbers):
    numbers.write("occupied", "")
    done = cli("run", "numbers.yaml", "--state", "occupied/state")
    assert done.code == 5
    assert "choose a folder with --state" in done.err


def test_warnings_stand_in_the_report(cli, numbers):
    text = (numbers / "numbers.yaml").read_text()
    numbers.write("numbers.yaml", text.replace("count, allowed,", "count,"))
    assert "warning: allowed stands in no pipe" in cli("run", "numbers.yaml").err


def close(process):
    for stream in (process.stdout, process.stderr):
        stream.close()


@pytest.fixture
def slow(folder):
    folder.write("slow.py", SLOW)
    folder.write("slow.yaml", 'inputs: {r: {use: "slow:records"}}\npipes: {p: [r]}\n')
    folder.write(
        "stuck.yaml",
        """
        inputs: {r: {use: "slow:records"}}
        transformers: {h: {use: "slow:heavy"}}
        pipes: {p: [r, h]}
        """,
    )
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drains_the_run(slow, number, code, engine):
    process = slow.begin("run", "slow.yaml", "--engine", engine)
    assert process.stdout.readline() == "0\n"
    process.send_signal(number)
    out, err = process.stdout.read(), process.stderr.read()
    close(process)
    assert process.wait(30) == code
    assert "penstock: finishing what was read; once more to stop at once" in err
    written = 1 + len(out.splitlines())
    assert f"read {written} = written {written} + filtered 0 + dead 0" in err
    assert "interrupted" in err
    assert "go on with: penstock run " in err
    assert "Traceback" not in err


def wait_for(path):
    """Until the first batch is in the stage that hangs."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_second_ctrl_c_stops_at_once(slow):
    process = slow.begin("run", "stuck.yaml")
    wait_for(slow / "hangs")
    process.send_signal(signal.SIGINT)
    assert "once more" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    err = process.stderr.read()
    close(process)
    assert process.wait(10) == 130
    assert "penstock: stopped at once" in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_an_epoch_that_cannot_be_finished_within_the_grace_is_given_up(slow, engine):
    process = slow.begin("run", "stuck.yaml", "--grace", "200ms", "--engine", engine)
    wait_for(slow / "hangs")
    process.send_signal(signal.SIGTERM)
    err = process.stderr.read()
    close(process)
    assert process.wait(30) == 143
    assert (
        "warning: the last epoch was given up, it was not finished within 0.2 s; it is read again"
    ) in err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "position" not in slow.penstock("state", "stuck.yaml").out


def test_a_grace_that_is_no_time(cli, slow):
    done = cli("run", "slow.yaml", "--grace", "soon")
    assert done.code == 2
    assert "argument --grace: must be a duration such as '30s' or '1.5h'" in done.err


def test_a_run_is_started_again_after_what_may_be_over_soon(functions):
    functions.write(
        "flaky.py",
        """
        from pathlib import Path
        from penstock import Output, TransientError, component

        @component
        class Flaky(Output):
            def write(self, batch):
                tries = Path("tries")
                count = len(tries.read_text()) if tries.exists() else 0
                tries.write_text("x" * (count + 1))
                if count < 5:
                    raise TransientError("busy")
        """,
    )
    functions.write(
        "a.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        outputs: {out: {use: "flaky:Flaky"}}
        pipes: {main: [count, out]}
        """,
    )
    done = functions.penstock("run", "a.yaml")
    assert done.code == 0
    assert (
        "penstock: out at count:1: TransientError: busy; starting again from the last checkpoint in"
    ) in done.err
    assert "warning: started again after: out at count:1: TransientError: busy" in done.err
    (functions / "tries").unlink()
    done = functions.penstock("run", "a.yaml", "--no-restart")
    assert (done.code, done.err.splitlines()[-1]) == (1, "out at count:1: TransientError: busy")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_reader_that_leaves_ends_the_run_quietly(functions, engine):
    functions.write(
        "many.yaml",
        'inputs: {count: {use: "functions:count", upto: 200000}}\npipes: {p: [count]}\n',
    )
    process = functions.begin("run", "many.yaml", "--engine", engine)
    assert process.stdout.readline() == '{"n": 1}\n'
    process.stdout.close()
    err = process.stderr.read()
    close(process)
    assert process.wait(30) == 141
    assert "penstock: standard output was closed; stopped" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_leaves_a_list_ends_it_quietly(folder):
    process = folder.begin("list", "--json")
    process.stdout.close()
    err = process.stderr.read()
    close(process)
    assert process.wait(30) == 141
    assert err == "penstock: standard output was closed; stopped\n"


def test_a_module_runs_as_the_command_does(folder):
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "--version"],
        env=folder.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "penstock 0.1.0\n"


def test_a_function_that_leaves_fails_the_run(numbers):
    numbers.write("more.py", "import sys\n\ndef leaves(record):\n    sys.exit()\n")
    numbers.write(
        "a.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        transformers: {bad: {use: "more:leaves"}}
        pipes: {main: [count, bad]}
        """,
    )
    done = numbers.penstock("run", "a.yaml")
    assert done.code == 1
    assert "bad at count:1: left with SystemExit; raise RecordError to set" in done.err


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


def shell(folder, line):
    """A line for the shell, where `penstock` is the command."""
    return subprocess.run(
        ["sh", "-c", line.replace("penstock", f"'{sys.executable}' -m penstock")],
        cwd=folder.path,
        env=folder.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@FULL
@pytest.mark.parametrize("upto", [1, 100_000])
def test_a_full_disk_behind_stdout_is_a_sentence(functions, upto):
    functions.write(
        "many.yaml",
        f'inputs: {{count: {{use: "functions:count", upto: {upto}}}}}\npipes: {{p: [count]}}\n',
    )
    done = shell(functions, "penstock run many.yaml -q > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "standard output: the disk is full; make room and run it again\n"


@FULL
@pytest.mark.parametrize("command", ["list", "schema", "--help", "run --help"])
def test_a_full_disk_is_a_sentence_from_every_command(folder, command):
    done = shell(folder, f"penstock {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "standard output: the disk is full; make room and run it again\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_a_closed_stdout_cannot_be_printed_to(functions):
    functions.write("a.yaml", 'inputs: {count: {use: "functions:count"}}\npipes: {p: [count]}\n')
    done = shell(functions, "penstock run a.yaml -q >&-")
    assert done.returncode == 5
    assert done.stderr == ("standard output: is closed; open it, or give the pipeline an output\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_a_closed_stdout_hinders_no_other_command(folder):
    done = shell(folder, "penstock list >&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_ctrl_c_drains_a_run_that_waits_for_standard_input(folder, engine):
    folder.write(
        "f.py", "import sys\n\ndef lines():\n    print('open')\n    yield from sys.stdin\n"
    )
    folder.write("a.yaml", 'inputs: {lines: {use: "f:lines"}}\npipes: {p: [lines]}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "run", "a.yaml", "--engine", engine],
        cwd=folder.path,
        env={**folder.environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGINT)
    code = process.wait(30)  # with its standard input still open
    err = process.stderr.read()
    process.stdin.close()
    close(process)
    assert code == 130
    assert "a: interrupted in" in err
    assert "Traceback" not in err
    assert "Fatal" not in err


def test_two_pipelines_of_one_name_do_not_share_their_state(cli, numbers):
    import json

    import yaml

    document = yaml.safe_load((numbers / "numbers.yaml").read_text())
    assert cli("run", "numbers.yaml", "-q").code == 6
    numbers.write("numbers.json", json.dumps(document))
    says = (
        f"numbers.json: has the same name as {str(numbers / 'numbers.yaml')!r}, 'numbers', and "
        "would share its state; give one of them another name (name: ...), or a folder of its own "
        "with --state\n"
    )
    for command in (["run"], ["state"], ["errors"], ["runs"]):
        done = cli(*command, "numbers.json")
        assert done.code == 2
        assert done.err.replace(f"{numbers.path}/numbers.json", "numbers.json") == says
    assert cli("run", "numbers.json", "-q", "--state", "other").code == 6
    numbers.write("numbers.json", json.dumps({**document, "name": "others"}))
    assert cli("run", "numbers.json", "-q").code == 6


def test_the_state_goes_with_a_file_that_is_renamed_or_moved(cli, numbers):
    assert cli("run", "numbers.yaml", "-q").code == 6
    (numbers / "numbers.yaml").rename(numbers / "numbers.yml")
    assert cli("errors", "numbers.yml").code == 0
    assert cli("run", "numbers.yml", "-q").code == 6
    assert len(cli("runs", "numbers.yml", "--json").json) == 2
