"""`penstock new`: a pipeline or a plugin that works as it stands."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ..build import load_pipeline
from ..errors import PenstockError, UsageError
from ..options import Option, options_of
from ..plugins import Plugins
from ..spec import ROLES
from . import common_arguments
from .examples import example_value
from .loading import plugins_of
from .schema import schema
from .showing import print_json

HELP = "write a new pipeline or plugin"

SCHEMA = "penstock.schema.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", metavar="pipeline|plugin", required=True)
    pipeline = what.add_parser("pipeline", help="a pipeline file", description="A pipeline file.")
    pipeline.add_argument("name", help="a name or a file, as orders or orders.yaml")
    pipeline.add_argument("--from", dest="input", metavar="NAME", help="read with this input")
    pipeline.add_argument("--to", dest="output", metavar="NAME", help="write with this output")
    common_arguments(pipeline, pipeline=False)
    plugin = what.add_parser("plugin", help="a package", description="A package with a component.")
    plugin.add_argument("name", help="what pipelines will write after `use:`, as weather")
    plugin.add_argument("--role", required=True, choices=list(ROLES), help="what it does to data")
    common_arguments(plugin, pipeline=False)


def run(options: Any) -> int:
    made = _plugin(options) if options.what == "plugin" else _pipeline(options)
    if options.json:
        print_json([str(path) for path in made])
    else:
        print("\n".join(f"wrote {path}" for path in made), file=sys.stderr)
    return 0


# ---- a pipeline ---------------------------------------------------------------------------------


def _pipeline(options: Any) -> list[Path]:
    file = Path(options.name)
    if not file.suffix:
        file = file.with_name(f"{file.name}.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"a new pipeline is written as YAML, not as {file.suffix!r}",
            where=str(file),
            hint="give a name that ends in .yaml",
        )
    plugins = plugins_of(options)
    made = pipeline_files(file, plugins, options.input, options.output)
    schema_file = file.parent / SCHEMA
    if not schema_file.exists():
        made[schema_file] = json.dumps(schema(plugins)[0], indent=2) + "\n"
    written = _write(made)
    try:
        load_pipeline(file, plugins)
    except PenstockError as error:
        print(f"to be filled in:\n{error}", file=sys.stderr)
    return written


def pipeline_files(
    file: Path, plugins: Plugins, input: str | None, output: str | None
) -> dict[Path, str]:
    """The pipeline file and, when it needs one, the module of functions beside it."""
    name = re.sub(r"\W+", "_", file.stem).strip("_") or "pipeline"
    module = f"{name}_functions"
    sections = [_section(plugins, "input", input, f"{module}:records")]
    steps = ["records"]
    if not (input and output):
        sections.append(
            "transformers:\n"
            f"  # A function of {module}.py, or a name of `penstock list transformers`.\n"
            f'  tidy:\n    use: "{module}:tidy"'
        )
        steps.append("tidy")
    if output:
        sections.append(_section(plugins, "output", output, ""))
        steps.append("written")
    else:
        sections.append("# Without an output, the records are printed.")
    made = {
        file: _filled(
            "pipeline.yaml.txt",
            file=file.name,
            sections="\n\n".join(sections),
            pipe=name,
            steps=", ".join(steps),
        )
    }
    functions = ["function_input.txt"] if not input else []
    functions += ["function_transformer.txt"] if "tidy" in steps else []
    if functions:
        text = "".join(map(_template, functions)).rstrip()
        made[file.parent / f"{module}.py"] = _filled(
            "functions.py.txt", file=file.name, functions=text
        )
    return made


def _section(plugins: Plugins, role: str, use: str | None, function: str) -> str:
    """A section with one component: every option that is required, the others as comments."""
    name = "records" if role == "input" else "written"
    lines = [f"{ROLES[role]}:", f"  {name}:"]
    if use is None:
        return "\n".join([*lines, f'    use: "{function}"', "    count: 3"])
    lines.append(f"    use: {use}")
    for option in options_of(plugins.find(role, use).load()).values():
        lines.append(f"    # {option.help}")
        lines.append(f"    {'' if option.required else '# '}{option.name}: {_value(option)}")
    return "\n".join(lines)


def _value(option: Option) -> str:
    return json.dumps(example_value(option), ensure_ascii=False, default=str)


# ---- a plugin -----------------------------------------------------------------------------------


def _plugin(options: Any) -> list[Path]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", options.name):
        raise UsageError(
            f"{options.name!r} is not a name for a component",
            where="penstock new plugin",
            hint="use lower-case letters, digits and underscores",
        )
    return _write(plugin_files(options.name, options.role))


def plugin_files(name: str, role: str) -> dict[Path, str]:
    """Every file of a package that provides one component."""
    package = f"penstock_{name}"
    distribution = package.replace("_", "-")
    class_name = "".join(part.title() for part in name.split("_")) + role.title()
    values = {
        "name": name,
        "role": role,
        "package": package,
        "distribution": distribution,
        "class_name": class_name,
        "example": _example(name, role),
    }
    root = Path(distribution)
    source = root / "src" / package
    templates = {
        root / "pyproject.toml": "pyproject.toml.txt",
        root / "README.md": "README.md.txt",
        root / "CHANGELOG.md": "CHANGELOG.md.txt",
        source / "__init__.py": "__init__.py.txt",
        source / "plugin.py": "plugin.py.txt",
        source / f"{role}.py": f"{role}.py.txt",
        root / "tests" / f"test_{role}.py": f"test_{role}.py.txt",
    }
    made = {path: _filled(template, **values) for path, template in templates.items()}
    made[source / "py.typed"] = ""
    return made


_EXAMPLES: dict[str, dict[str, Any]] = {
    "input": {"count": 10},
    "inspector": {"field": "id"},
    "transformer": {"field": "city"},
    "output": {"path": "out.jsonl"},
}


def _example(name: str, role: str) -> str:
    """A whole pipeline with the component; the other end is a stand-in that every kernel has."""
    options = "".join(f", {key}: {json.dumps(value)}" for key, value in _EXAMPLES[role].items())
    mine = f"  mine: {{use: {name}{options}}}"
    if role == "input":
        return f"inputs:\n{mine}\npipes:\n  main: [mine]"
    values = '[{id: 1, city: "oslo"}]'
    stand_in = f'inputs:\n  records: {{use: "penstock.testing:ListInput", values: {values}}}'
    return f"{stand_in}\n{ROLES[role]}:\n{mine}\npipes:\n  main: [records, mine]"


# ---- files --------------------------------------------------------------------------------------


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _filled(template: str, **values: str) -> str:
    return Template(_template(template)).substitute(values)


def _write(made: Mapping[Path, str]) -> list[Path]:
    """Write new files; nothing at all when one of them is there already."""
    for path in made:
        if path.exists():
            raise UsageError(
                "is there already", where=str(path), hint="choose another name, or remove it"
            )
    try:
        for path, text in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}",
            where=str(error.filename),
            hint="choose another folder",
        ) from error
    return list(made)
