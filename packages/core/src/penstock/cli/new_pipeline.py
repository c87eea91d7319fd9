"""The files of a new pipeline: itself, functions for it, sample data, a test, a README."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..options import Option, options_of
from ..plugins import Plugins
from ..spec import ROLES
from .examples import example_value
from .templates import filled, template

__all__ = ["pipeline_files"]

_IMPORTS = "import json\nfrom collections.abc import Iterator\nfrom pathlib import Path\n"
"""What the function that reads needs."""

_SAMPLE = [{"id": 1, "name": " Ada "}, {"id": 2, "name": "Björn"}, {"id": 3, "name": " Chloé"}]


def pipeline_files(
    file: Path, plugins: Plugins, input: str | None, output: str | None
) -> dict[Path, str]:
    """Every file by its path. Sample data are written where the input reads a file of them."""
    name = re.sub(r"\W+", "_", file.stem).strip("_") or "pipeline"
    parts = _Parts(name, plugins, input, output)
    values = {"file": file.name, "stem": file.stem, "pipe": name, **parts.values()}
    made = {file: filled("pipeline/pipeline.yaml", **values)}
    if parts.functions:
        values["functions"] = "".join(map(template, parts.functions)).rstrip()
        values["imports"] = "" if input else _IMPORTS
        made[file.with_name(f"{name}_functions.py")] = filled("pipeline/functions.py", **values)
    if parts.sample:
        made[file.with_name(parts.sample)] = _sample(Path(parts.sample).suffix)
    made[file.with_name(f"{file.stem}.test.yaml")] = filled("pipeline/test.yaml", **values)
    made[file.with_name("README.md")] = filled("pipeline/README.md", **values)
    return made


class _Parts:
    """What stands in the pipeline file; `sample` is the file its input reads, if any."""

    def __init__(self, name: str, plugins: Plugins, input: str | None, output: str | None) -> None:
        self.name = name
        self.plugins = plugins
        self.input = input
        self.output = output
        self.tidied = not (input and output)
        self.sample = "" if input else f"{name}.jsonl"
        self.functions = ["pipeline/function_input"] * (not input)
        self.functions += ["pipeline/function_transformer"] * self.tidied

    def values(self) -> dict[str, str]:
        steps = ["records", *["tidy"] * self.tidied, *["written"] * bool(self.output)]
        return {
            "sections": "\n\n".join(self._sections()),
            "steps": ", ".join(steps),
            "last": steps[-1],
            "expected": json.dumps({"id": 1, "name": "Ada" if self.tidied else " Ada "}),
        }

    def _sections(self) -> Iterator[str]:
        module = f"{self.name}_functions"
        if self.input:
            yield self._section("input", "records", self.input)
        else:
            yield f'inputs:\n  records:\n    use: "{module}:records"\n    path: {self.sample}'
        if self.tidied:
            yield (
                "transformers:\n"
                f"  # A function of {module}.py, or a name of `penstock list transformers`.\n"
                f'  tidy:\n    use: "{module}:tidy"'
            )
        if self.output:
            yield self._section("output", "written", self.output)
        else:
            yield "# Without an output, the records are printed."

    def _section(self, role: str, name: str, use: str) -> str:
        """A section with one component: every option that is required, the others as comments."""
        lines = [f"{ROLES[role]}:", f"  {name}:", f"    use: {use}"]
        for option in options_of(self.plugins.find(role, use).load()).values():
            value = json.dumps(self._value(role, option), ensure_ascii=False, default=str)
            lines.append(f"    # {option.help}")
            lines.append(f"    {'' if option.required else '# '}{option.name}: {value}")
        return "\n".join(lines)

    def _value(self, role: str, option: Option) -> Any:
        value = example_value(option)
        if option.name != "path" or not option.required:
            return value
        suffix = Path(str(value)).suffix
        if role == "output":
            return f"{self.name}_out{suffix}"
        if suffix in _WRITTEN:
            self.sample = f"{self.name}{suffix}"
            return self.sample
        return value


def _sample(suffix: str) -> str:
    return _WRITTEN[suffix]()


def _as_csv() -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(_SAMPLE[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(_SAMPLE)
    return text.getvalue()


def _as_lines() -> str:
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in _SAMPLE)


_WRITTEN = {".csv": _as_csv, ".jsonl": _as_lines}
"""By the suffix of the file, how sample data are written into it."""
