"""Which distributions a pipeline needs: told from the names in its file, and no component is
imported for it.

What is missing is told too, as far as it is known: so the answer can also be what to install.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import __version__, placeholders
from .dialect import dialect_of, parse, resolvers_for
from .errors import ConfigError, PluginError, Problem
from .known import distribution_of
from .native import read_component
from .plugins import Plugins, Provided
from .spec import ComponentSpec, Document
from .syntaxes import read_text

__all__ = ["Requirement", "Requirements", "requirements_of"]


@dataclass
class Requirement:
    """A distribution, and what in the file needs it. `version` is the installed one, "" without."""

    name: str
    version: str
    extras: list[str] = field(default_factory=list)
    needed_for: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """As pip and uv read it."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}{f'=={self.version}' if self.version else ''}"


@dataclass
class Requirements:
    """What a pipeline needs to run.

    `files` are those it is written in: the pipeline file, and modules and `plugins.py` beside it.
    `problems` are the plugins that are missing or broken, one for each place that names one.
    """

    pipeline: str
    distributions: list[Requirement]
    files: list[Path]
    problems: list[Problem]


def requirements_of(path: Path, plugins: Plugins) -> Requirements:
    """Read a pipeline file and say what it needs. Variables need not be set, unless something
    depends on one: raises ConfigError then, and for everything else that is wrong with the file."""
    return _Search(path, plugins).requirements()


class _Search:
    def __init__(self, path: Path, plugins: Plugins) -> None:
        self.path = path
        self.plugins = plugins
        self.found: dict[str, Requirement] = {}
        self.files = [path]
        self.missing: list[Problem] = []
        self.wrong: list[Problem] = []
        self.unset: set[str] = set()
        self.add("penstock", __version__, "the kernel")

    def requirements(self) -> Requirements:
        document = self.document()
        dialect, reader = dialect_of(document, self.plugins)
        self.provided(dialect, "the dialect")
        spec = reader.read(document)
        self.wrong += [one for one in document.problems if one.path not in self.unset]
        for component in (*spec.components.values(), *spec.brokers.values()):
            self.component(component, document)
        for one in filter(None, (spec.engine, spec.store)):
            self.component(one, document)
        if self.wrong:
            raise ConfigError(self.wrong)
        first, *rest = self.found.values()
        distributions = [first, *sorted(rest, key=lambda one: one.name)]
        missing = sorted(self.missing, key=lambda problem: problem.order)
        return Requirements(spec.name, distributions, self.files, missing)

    def document(self) -> Document:
        """The file, its placeholders replaced; those without a value are noted in `unset`."""
        text = read_text(self.path)
        suffix = self.path.suffix.lstrip(".")
        document = parse(text, suffix, str(self.path), self.plugins)
        self.provided(self.plugins.find("syntax", suffix.lower()), f"*.{suffix}")
        document.path = self.path.absolute()
        beside = self.path.parent / "plugins.py"
        if beside.is_file():
            self.plugins.register_file(beside)
            self.files.append(beside)
        resolvers = [*resolvers_for(document), self.ask_plugins]
        data, problems, _ = placeholders.expand(document, resolvers)
        # Again, as if every variable were set: what is wrong now is wrong with the file.
        _, lasting, _ = placeholders.expand(document, [_any_variable, *resolvers])
        document.data = data
        document.problems.extend(lasting)
        self.unset |= {one.path for one in problems} - {one.path for one in lasting}
        return document

    def ask_plugins(self, name: str) -> str | None:
        for hook in reversed(self.plugins.hooks.penstock_resolve.get_hookimpls()):
            try:
                answer = hook.function(*[name][: len(hook.argnames)])
            except (Exception, SystemExit):
                answer = ""  # it knows the name; whether it can be reached from here is no matter
            if answer is not None:
                distribution = hook.plugin_name.rpartition("/")[0]
                for one in self.plugins.distributions():
                    if one.name == distribution:
                        self.add(one.name, one.version, f"${{{name}}}")
                return str(answer)
        return None

    def component(self, component: ComponentSpec, document: Document) -> None:
        path = component.path or (component.name,)
        where = ".".join(map(str, path))
        if f"{where}.use" in self.unset:
            self.depends(document, *path, "use")
        elif ":" in component.use:
            self.module(component.use.partition(":")[0].partition(".")[0], where, document)
        elif component.use and not (component.use == "stream" and "broker" in component.options):
            try:
                provided = self.plugins.find(component.role, component.use)
            except PluginError as error:
                self.not_found(component, where, error, document)
            else:
                self.provided(provided, where)
                self.extras(provided, component, where, document)
        for one in self.inside(component, path, document):
            self.component(one, document)

    def inside(
        self, component: ComponentSpec, path: tuple[str | int, ...], document: Document
    ) -> Iterator[ComponentSpec]:
        """What is declared inside a component: the broker of a stream; the parts of an input, which
        stand in its option `inputs`. Classes know which of their options are such, but none is
        imported here."""
        broker = component.options.get("broker")
        if component.use == "stream" and isinstance(broker, Mapping):
            yield read_component(document, "broker", "broker", (*path, "broker"), broker)
        parts = component.options.get("inputs")
        if component.role == "input" and isinstance(parts, Mapping):
            declared = document.data.get("inputs")
            names = declared.keys() if isinstance(declared, Mapping) else ()
            for name, part in parts.items():
                if "use" in part if isinstance(part, Mapping) else part not in names:
                    where = (*path, "inputs", name)
                    yield read_component(document, "input", str(name), where, part)

    def not_found(
        self, component: ComponentSpec, where: str, error: PluginError, document: Document
    ) -> None:
        what = f"{error.where}: {error.what}" if error.where else error.what
        place = document.place(*component.path, "use")
        self.missing.append(Problem(what, f"{where}.use", place, error.hint))
        known = distribution_of(component.role, component.use)
        if known is not None:
            self.add(known, "", where)

    def provided(self, one: Provided, needed_for: str) -> None:
        if one.version:  # else it is `plugins.py` beside the file, or the caller's own
            self.add(one.plugin, one.version, needed_for)

    def extras(
        self, one: Provided, component: ComponentSpec, where: str, document: Document
    ) -> None:
        """The extras that the options of this component ask for."""
        for option, extras in self.plugins.extras(one.plugin, one.name).items():
            if f"{where}.{option}" in self.unset:
                self.depends(document, *component.path, option)
                continue
            value = _value(component.options, option)
            for pattern, extra in extras.items():
                needed = self.found[one.plugin].extras
                if value is not None and fnmatchcase(str(value), pattern) and extra not in needed:
                    needed.append(extra)
                    needed.sort()

    def depends(self, document: Document, *path: str | int) -> None:
        what = "what is needed depends on a variable that is not set"
        self.wrong.append(document.problem(what, *path, hint="set it"))

    def module(self, name: str, where: str, document: Document) -> None:
        """The distribution or the file that a module of the user's comes from."""
        folder = self.path.parent
        beside = next((p for p in (folder / f"{name}.py", folder / name) if p.exists()), None)
        if beside is not None:
            if beside not in self.files:
                self.files.append(beside)
            return
        found = [] if name in sys.stdlib_module_names else list(_distributions_with(name))
        for distribution, version in found:
            self.add(distribution, version, where)
        if not found and name not in sys.stdlib_module_names:
            what = f"no distribution brings the module {name!r}, nor does it stand beside the file"
            place = document.place(*where.split("."), "use")
            hint = "install what brings it, or put it there"
            self.missing.append(Problem(what, f"{where}.use", place, hint))

    def add(self, name: str, version: str, needed_for: str) -> None:
        one = self.found.setdefault(name, Requirement(name, version))
        if needed_for not in one.needed_for and (name != "penstock" or not one.needed_for):
            one.needed_for.append(needed_for)


def _any_variable(name: str) -> str | None:
    return "?" if "." not in name or name.startswith("env.") else None


def _value(options: Mapping[str, Any], path: str) -> Any:
    """The value of an option; a dotted path leads into a nested one."""
    found: Any = options
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _distributions_with(module: str) -> Iterator[tuple[str, str]]:
    """Who brings a module: names and versions of distributions."""
    from importlib import metadata

    for name in dict.fromkeys(metadata.packages_distributions().get(module, ())):
        yield name.lower().replace("_", "-"), metadata.version(name)
