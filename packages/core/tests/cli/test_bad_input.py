"""Bad input, and what it gets: a sentence, the right exit code, and never a traceback."""

from __future__ import annotations

import os
import sys
from textwrap import dedent

import pytest

PARTS = """
import os
from pathlib import Path

from penstock import Output, RecordInput, component, option

@component
class Numbers(RecordInput):
    upto: int = option(help="How far.", default=3)
    start: int = option(help="Where to begin.", default=1)

    def check(self):
        if self.start > self.upto:
            raise ValueError("start must not be after upto")

    def records(self, skip):
        yield from range(self.start, self.upto + 1)

@component
class Lines(Output):
    path: Path = option(help="File to write.")

    def open(self, context):
        super().open(context)
        self.file = open(self.path, "w")

    def write(self, batch):
        self.file.writelines(f"{record}\\n" for record in batch.records)

    def flush(self):
        self.file.flush()

    def close(self):
        if hasattr(self, "file"):
            self.file.close()

class Unrelated:
    pass

NUMBER = 7

def no_record(*, upto=3):
    return upto

def plain(record):
    return record
"""

GOOD = """
inputs:
  numbers: {use: "parts:Numbers"}
pipes:
  main: [numbers]
"""


@pytest.fixture
def parts(folder):
    folder.write("parts.py", PARTS)
    return folder


def refused(folder, text, *arguments, code, name="a.yaml"):
    """The sentences with which `penstock check` refuses a file."""
    folder.write(name, text)
    done = folder.penstock("check", name, *arguments)
    assert done.code == code, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    return done.err.splitlines()


FILES = {
    "a component that is not declared": (
        GOOD.replace("[numbers]", "[numbers, tidy]"),
        "a.yaml:5:19: pipes.main.1: no component named 'tidy'; declare it first",
    ),
    "a component that is misspelt": (
        GOOD.replace("[numbers]", "[nubmers]"),
        "a.yaml:5:10: pipes.main.0: no component named 'nubmers'; did you mean 'numbers'?",
    ),
    "an option of the wrong type": (
        GOOD.replace('Numbers"', 'Numbers", upto: many'),
        "a.yaml:3:35: inputs.numbers.upto: must be a whole number, got 'many'",
    ),
    "an unknown option": (
        GOOD.replace('Numbers"', 'Numbers", uptoo: 3'),
        "a.yaml:3:35: inputs.numbers.uptoo: no such option; did you mean 'upto'?",
    ),
    "options that do not go together": (
        GOOD.replace('Numbers"', 'Numbers", start: 9'),
        "a.yaml:3:3: inputs.numbers: start must not be after upto",
    ),
    "a circle": (
        GOOD.replace(
            "pipes:", 'transformers:\n  t: {use: "parts:plain"}\n  u: {use: "parts:plain"}\npipes:'
        ).replace("[numbers]", "[numbers, t, u]\n  back: [u, t]"),
        "a.yaml:8:3: pipes.main: records would go round in a circle: u -> t -> u; "
        "a component can feed only what comes after it",
    ),
    "a pipe without an input": (
        GOOD.replace("pipes:", 'transformers:\n  t: {use: "parts:plain"}\npipes:').replace(
            "[numbers]", "[t]"
        ),
        "a.yaml:7:10: pipes.main.0: a pipe must begin with an input, 't' is a transformer; "
        "put an input first, or branch from a component of another pipe",
    ),
    "no pipes": (
        GOOD.split("pipes:")[0],
        "a.yaml:2:1: declares no pipes; say in which order the components work, as in "
        "`pipes: {main: [input, output]}`",
    ),
    "an empty pipe": (
        GOOD.replace("[numbers]", "[]"),
        "a.yaml:5:3: pipes.main: must be a list of component names, got []",
    ),
    "a time-out that nobody would keep": (
        GOOD.replace('Numbers"', 'Numbers", timeout: 3s'),
        "a.yaml:3:35: inputs.numbers.timeout: this engine cannot enforce a timeout; "
        "leave it out, or use an engine with processes of its own",
    ),
    "a broker that is not declared": (
        GOOD.replace('"parts:Numbers"', "stream, broker: bus, stream: s"),
        "a.yaml:3:26: inputs.numbers.broker: no broker named 'bus'; declare it under brokers",
    ),
    "a wrong policy": (
        GOOD.replace('Numbers"', 'Numbers", on_error: stopp'),
        "a.yaml:3:35: inputs.numbers.on_error: must be 'collect', 'skip', 'stop' or 'retry', "
        "got 'stopp'; did you mean 'stop'?",
    ),
    "a wrong retry": (
        GOOD.replace('Numbers"', 'Numbers", retry: {tries: 3, delay: soon}'),
        "a.yaml:3:53: inputs.numbers.retry.delay: must be a duration such as '30s' or '1.5h', "
        "got 'soon'",
    ),
    "a negative retry": (
        GOOD.replace('Numbers"', 'Numbers", retry: -1'),
        "a.yaml:3:35: inputs.numbers.retry: must not be negative, got -1",
    ),
    "a variable that is not set": (
        GOOD.replace('Numbers"', 'Numbers", upto: "${SURELY_NOT_SET}"'),
        "a.yaml:3:35: inputs.numbers.upto: variable 'SURELY_NOT_SET' is not set; ",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_with(parts, what):
    text, sentence = FILES[what]
    [line] = refused(parts, text, code=3)
    assert line.startswith(sentence)


PLUGINS = {
    "an unknown name": (
        GOOD.replace('"parts:Numbers"', "numbrs"),
        "a.yaml:3:13: inputs.numbers.use: no input named 'numbrs'; see `penstock list inputs`",
    ),
    "a first-party name that is not installed": (
        GOOD.replace('"parts:Numbers"', "json"),
        "a.yaml:3:13: inputs.numbers.use: no input named 'json'; it comes with "
        "penstock-input-json: pip install penstock-input-json",
    ),
    "an engine that is not there": (
        f"{GOOD}engine: thread\n",
        "a.yaml:6:1: engine.use: no engine named 'thread'; did you mean 'threads'?",
    ),
    "a module that is not there": (
        GOOD.replace("parts:Numbers", "prats:Numbers"),
        "a.yaml:3:13: inputs.numbers.use: prats:Numbers: there is no module 'prats'",
    ),
    "a class that is not there": (
        GOOD.replace("parts:Numbers", "parts:Nubmers"),
        "a.yaml:3:13: inputs.numbers.use: parts:Nubmers: 'parts' has no 'Nubmers'; "
        "did you mean 'Numbers'?",
    ),
    "a module without an attribute": (
        GOOD.replace("parts:Numbers", "parts:"),
        "a.yaml:3:13: inputs.numbers.use: 'parts:' names no attribute; write 'package.module:name'",
    ),
    "a class of another role": (
        GOOD.replace("parts:Numbers", "parts:Lines"),
        "a.yaml:3:13: inputs.numbers.use: 'parts:Lines' is not an input; "
        "it must derive from penstock.Input",
    ),
    "a class that is no component": (
        GOOD.replace("parts:Numbers", "parts:Unrelated"),
        "a.yaml:3:13: inputs.numbers.use: 'parts:Unrelated' is not an input; ",
    ),
    "something that is no component": (
        GOOD.replace("parts:Numbers", "parts:NUMBER"),
        "a.yaml:3:13: inputs.numbers.use: 'parts:NUMBER' is neither a component class nor a "
        "function",
    ),
    "a function that takes no record": (
        GOOD.replace("pipes:", 'transformers:\n  t: {use: "parts:no_record"}\npipes:'),
        "a.yaml:5:7: transformers.t.use: parts:no_record: parts:no_record must take a record as "
        "its first argument",
    ),
    "a module that raises": (
        GOOD.replace("parts:Numbers", "raising:Numbers"),
        "a.yaml:3:13: inputs.numbers.use: raising:Numbers: cannot be imported: "
        "ZeroDivisionError: division by zero; mend the module",
    ),
    "a module that exits": (
        GOOD.replace("parts:Numbers", "exiting:Numbers"),
        "a.yaml:3:13: inputs.numbers.use: exiting:Numbers: cannot be imported: SystemExit: 3; "
        "mend the module",
    ),
}


@pytest.mark.parametrize("what", PLUGINS)
def test_a_pipeline_that_uses(parts, what):
    parts.write("raising.py", "1 / 0\n")
    parts.write("exiting.py", "raise SystemExit(3)\n")
    text, sentence = PLUGINS[what]
    [line] = refused(parts, text, "--no-plugins", code=4)
    assert line.startswith(sentence)


def test_every_problem_is_told_at_once_in_the_order_of_the_file(parts):
    lines = refused(
        parts,
        """
        colour: 1
        inputs:
          numbers: {use: "parts:Numbers", uptoo: 3}
          more: {use: "parts:Numbers", upto: many}
        transformers:
          gone: {use: nowhere}
        pipes:
          main: [numbers, nubmers]
        """,
        "--no-plugins",
        code=3,
    )
    assert [line.split(": ")[1] for line in lines] == [
        "colour",
        "inputs.numbers.uptoo",
        "inputs.more.upto",
        "transformers.gone.use",
        "pipes.main.1",
    ]


def test_every_missing_plugin_is_told_at_once(parts):
    lines = refused(
        parts,
        """
        inputs: {a: {use: nowhere_a}, b: {use: nowhere_b}}
        pipes: {main: [a, b]}
        """,
        code=4,
    )
    assert len(lines) == 2


def test_missing_plugins_are_told_in_the_order_of_the_file(parts):
    lines = refused(
        parts,
        """
        engine: nowhere_engine
        pipes: {main: [a, b]}
        outputs: {b: {use: nowhere_b}}
        inputs: {a: {use: nowhere_a}}
        """,
        code=4,
    )
    assert [line.split(": ")[1] for line in lines] == [
        "engine.use",
        "outputs.b.use",
        "inputs.a.use",
    ]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.yaml", None, "a.yaml: "),
        ("a.ini", "x", "a.ini: no syntax for the suffix 'ini'; there are .json, "),
        ("a.yaml", "", "a.yaml: "),
        ("a.yaml", "[1, 2]", "a.yaml"),
        ("a.yaml", "colour: 1", "a.yaml"),
        ("a.json", "{", "a.json:1"),
        ("a.toml", "a = ", "a.toml:1"),
    ],
)
def test_a_file_that_is_no_pipeline(folder, name, text, sentence):
    if text is not None:
        folder.write(name, text)
    done = folder.penstock("check", name)
    assert done.code == 3
    assert done.err.startswith(sentence)
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_a_folder_in_place_of_a_file(folder):
    (folder / "a.yaml").mkdir()
    done = folder.penstock("run", "a.yaml")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("a.yaml: ")


@pytest.mark.parametrize(
    ("setting", "code", "sentence"),
    [
        ("numbers", 2, "--set 'numbers' is not of the form component.option=value"),
        ("nubmers.upto=3", 2, "--set 'nubmers.upto=3': no component named 'nubmers'; did you mean"),
        ("zzz.upto=3", 2, "--set 'zzz.upto=3': no component named 'zzz'"),
        ("numbers.upto=[1", 2, "--set 'numbers.upto=[1': not JSON: "),
        ("numbers.upto=[1]", 3, "a.yaml:3:3: inputs.numbers.upto: must be a whole number, got [1]"),
        (
            "numbers.on_error=drop",
            3,
            "a.yaml:3:3: inputs.numbers.on_error: must be 'collect', 'skip'",
        ),
        ("numbers.retry=-1", 3, "a.yaml:3:3: inputs.numbers.retry: must not be negative, got -1"),
        ("engine.lanes=3", 3, "a.yaml:2:1: engine.lanes: no such option"),
    ],
)
def test_a_setting(parts, setting, code, sentence):
    parts.write("a.yaml", GOOD)
    done = parts.penstock("check", "a.yaml", "--set", setting)
    assert done.code == code
    assert done.err.startswith(sentence)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
@pytest.mark.parametrize(("command", "argument"), [("run", "--max-records"), ("runs", "--limit")])
def test_a_number_of_nothing(cli, command, argument, value):
    done = cli(command, f"{argument}={value}")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"{argument}: must be a whole number of at least 1, got {value!r}\n"


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", ""])
def test_no_time_at_all(cli, value):
    done = cli("run", f"--max-seconds={value}")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"--max-seconds: must be a number of seconds above 0, got {value!r}\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("threds", "did you mean 'threads'?"), ("zzz", "see `penstock list engines`")],
)
def test_an_engine_that_nobody_knows(parts, name, hint):
    parts.write("a.yaml", GOOD)
    done = parts.penstock("run", "a.yaml", "--no-plugins", "--engine", name)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"--engine: no engine named {name!r}; {hint}\n"


def test_an_engine_of_a_plugin_that_is_not_there_is_a_missing_plugin(parts):
    parts.write("a.yaml", GOOD)
    done = parts.penstock("run", "a.yaml", "--engine", "acme/threads")
    assert done.code == 4
    assert "engine.use: no engine named 'acme/threads'; " in done.err


# ---- plugins ------------------------------------------------------------------------------------

HOOK = """
from penstock import hookimpl

@hookimpl
def penstock_inputs():
    return {"numbers": "parts:Numbers"}
"""


def test_two_plugins_with_one_name(parts):
    parts.provide("acme-numbers", HOOK)
    parts.provide("other-numbers", HOOK)
    (parts / "parts.py").rename(parts / "site" / "parts.py")
    text = GOOD.replace('"parts:Numbers"', "numbers")
    [line] = refused(parts, text, code=4)
    assert line == (
        "a.yaml:3:13: inputs.numbers.use: input named 'numbers' is provided by acme-numbers and "
        "other-numbers; write 'acme-numbers/numbers' or set PENSTOCK_DISABLE"
    )
    chosen = text.replace("use: numbers", "use: acme-numbers/numbers")
    parts.write("chosen.yaml", chosen)
    assert parts.penstock("run", "chosen.yaml", "-q").out == "1\n2\n3\n"
    assert parts.penstock("check", "a.yaml", PENSTOCK_DISABLE="other-numbers").code == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise SystemExit", "SystemExit"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def (", "SyntaxError: invalid syntax"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named"),
    ],
)
def test_a_plugin_that_cannot_be_imported_does_no_harm(parts, text, reason):
    parts.provide("acme-torn", text)
    parts.write("a.yaml", GOOD)
    done = parts.penstock("run", "a.yaml", "-q")
    assert (done.code, done.out, done.err) == (0, "1\n2\n3\n", "")
    assert f"broken  {reason}" in parts.penstock("plugins").out


@pytest.mark.parametrize("answer", ["{7: 'a:b', 'c': 'd:e'}", "{'c': 7}", "{None: None}"])
def test_a_plugin_that_answers_nonsense_does_no_harm(parts, answer):
    parts.provide("acme-torn", HOOK.replace('{"numbers": "parts:Numbers"}', answer))
    parts.write("a.yaml", GOOD)
    assert parts.penstock("run", "a.yaml", "-q").out == "1\n2\n3\n"
    for command in (["list"], ["list", "--json"], ["plugins"]):
        done = parts.penstock(*command)
        assert (done.code, done.err) == (0, "")
    assert "broken  penstock_inputs: " in done.out


def test_a_name_that_a_broken_plugin_may_have_provided(parts):
    parts.provide("acme-torn", "1 / 0")
    [line] = refused(parts, GOOD.replace('"parts:Numbers"', "numbers"), code=4)
    assert line.endswith("; or mend acme-torn, see `penstock plugins`")


def test_plugins_py_beside_the_pipeline(parts):
    parts.write("plugins.py", HOOK).chmod(0o644)
    (parts / "site").mkdir()
    (parts / "parts.py").rename(parts / "site" / "parts.py")
    parts.write("a.yaml", GOOD.replace('"parts:Numbers"', "numbers"))
    assert parts.penstock("run", "a.yaml", "-q").out == "1\n2\n3\n"


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_plugins_py_that_others_may_write_is_not_run(parts):
    parts.write("plugins.py", "raise SystemExit('was run')").chmod(0o666)
    [line] = refused(parts, GOOD, code=4)
    file = parts / "plugins.py"
    assert line in (
        "plugins.py: others may write to it; chmod go-w plugins.py",
        f"{file}: others may write to it; chmod go-w {file}",
    )


def test_plugins_py_that_fails(parts):
    parts.write("plugins.py", "1 / 0").chmod(0o644)
    [line] = refused(parts, GOOD, code=4)
    assert line.endswith(
        "plugins.py: cannot be imported: ZeroDivisionError: division by zero; mend the file"
    )


@pytest.mark.parametrize("name", ["gone.py", "parts.txt"])
def test_a_plugin_file_that_is_none(parts, name):
    parts.write("parts.txt", "").chmod(0o644)
    parts.write("a.yaml", GOOD)
    done = parts.penstock("check", "a.yaml", "--plugin", name)
    assert done.code == 4
    assert done.err.startswith(f"{name}: ")


def test_a_folder_of_plugins_in_place_of_a_file(parts):
    (parts / "mine").mkdir()
    (parts / "mine").chmod(0o777)
    parts.write("a.yaml", GOOD)
    done = parts.penstock("check", "a.yaml", "--plugin", "mine")
    assert (done.code, done.err) == (4, "mine: is a folder; name the file in it\n")


# ---- where to write -----------------------------------------------------------------------------


def pipeline_to(path):
    return dedent(
        f"""
        inputs: {{numbers: {{use: "parts:Numbers", upto: 100}}}}
        outputs: {{lines: {{use: "parts:Lines", path: {str(path)!r}}}}}
        pipes: {{main: [numbers, lines]}}
        """
    )


def read_only(folder):
    """A folder that not even this user may write to."""
    locked = folder / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if not os.access(locked, os.W_OK):
        return locked
    if sys.platform == "linux" and os.path.isdir("/sys/kernel"):
        return "/sys/kernel"  # root may write everywhere but to what the system keeps to itself
    return pytest.skip("this user may write everywhere")


FILES_OF_ONE_PIPELINE = """
inputs:
  i: {{use: "reader:Reader", path: {read}}}
outputs:
  o: {{use: "parts:Lines", path: {one}}}
  p: {{use: "parts:Lines", path: {other}}}
pipes:
  main: [i, o]
  side: [i, p]
"""

READER = """
from pathlib import Path

from penstock import RecordInput, component, option

@component
class Reader(RecordInput):
    path: Path = option(help="File to read.")

    def records(self, skip):
        yield from ()
"""


def files(read, one, other):
    return FILES_OF_ONE_PIPELINE.format(read=read, one=one, other=other)


@pytest.mark.parametrize("spelling", ["a.txt", "./a.txt", "gone/../a.txt", "link.txt"])
def test_an_output_that_would_overwrite_what_is_read(parts, spelling):
    parts.write("reader.py", READER)
    parts.write("a.txt", "precious")
    (parts / "link.txt").symlink_to("a.txt")
    [line] = refused(parts, files("a.txt", spelling, "b.txt"), code=3)
    assert line == ("a.yaml:5:27: outputs.o.path: is also read by input 'i'; write to another file")
    assert parts.penstock("run", "a.yaml").code == 3
    assert (parts / "a.txt").read_text() == "precious"


def test_two_outputs_that_would_write_one_file(parts):
    parts.write("reader.py", READER)
    [line] = refused(parts, files("a.txt", "b.txt", "./b.txt"), code=3)
    assert line == (
        "a.yaml:6:27: outputs.p.path: is also written by output 'o'; give each a file of its own"
    )


@pytest.mark.parametrize("path", ["'-'", "/dev/null", "'*.txt'", "folder"])
def test_what_is_no_file_of_one_name_may_be_shared(parts, path):
    parts.write("reader.py", READER)
    (parts / "folder").mkdir()
    parts.write("a.yaml", files(path, path, path))
    assert parts.penstock("check", "a.yaml").code == 0


def test_a_component_in_no_pipe_overwrites_nothing(parts):
    parts.write("reader.py", READER)
    parts.write("a.yaml", files("a.txt", "a.txt", "b.txt").replace("main: [i, o]", "main: [i]"))
    assert parts.penstock("check", "a.yaml").code == 0


def test_a_target_folder_that_is_read_only(parts):
    parts.write("a.yaml", pipeline_to(os.path.join(read_only(parts), "out.txt")))
    done = parts.penstock("run", "a.yaml", "-q")
    assert done.code == 1
    assert done.err.startswith("lines: PermissionError: [Errno 13] Permission denied: ")
    assert "Traceback" not in done.err
    assert parts.penstock("check", "a.yaml").code == 0
    assert parts.penstock("check", "a.yaml", "--connect").code == 5


def test_a_target_folder_that_is_not_there(parts):
    parts.write("a.yaml", pipeline_to(parts / "gone" / "out.txt"))
    done = parts.penstock("run", "a.yaml", "-q")
    assert done.code == 1
    assert done.err.startswith("lines: FileNotFoundError: [Errno 2] No such file or directory: ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_full_disk(parts, engine):
    parts.write("a.yaml", pipeline_to("/dev/full"))
    done = parts.penstock("run", "a.yaml", "-q", "--engine", engine)
    assert done.code == 1
    assert done.err == "lines: OSError: [Errno 28] No space left on device\n"
