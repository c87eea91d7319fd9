"""Plugins: found through entry points, imported only when a name they provide is needed.

A `Plugins` object is made by whoever needs one and passed on; there is no global registry.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from io import StringIO
from pathlib import Path
from threading import current_thread, main_thread
from types import FunctionType, MethodType, ModuleType
from typing import Any

from .errors import PluginError, nearest
from .hookspecs import EXTRAS, PROJECT, PROVIDERS, Hooks

__all__ = ["GROUP", "Distribution", "Plugins", "Provided", "load"]

IMPORT_SECONDS = 20.0
"""An entry module holds names and import strings, so it takes milliseconds."""

GROUP = "penstock.plugins.v1"
"""The entry-point group; its number grows when a hook changes in a way that breaks plugins."""


@dataclass
class Distribution:
    """An installed plugin: where it came from and, if it could not be loaded, why."""

    name: str
    version: str
    entry: str
    module: str
    state: str = "found"  # found, loaded, disabled or broken
    reason: str = ""
    names: dict[str, list[str]] = field(default_factory=dict)
    hooks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Provided:
    """A name that a plugin provides, as "module:Class" or as the object itself."""

    kind: str
    name: str
    target: Any
    plugin: str
    version: str

    def load(self) -> Any:
        """Import what the name stands for."""
        if not isinstance(self.target, str):
            return self.target
        try:
            return load(self.target)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self.kind} {self.name!r} cannot be imported: {type(error).__name__}: {error}",
                where=self.plugin,
                hint="reinstall or remove the plugin",
            ) from error


class Plugins:
    """What is installed, and what it provides."""

    def __init__(self, *, discover: bool = True, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._manager = _manager()
        self._manager.add_hookspecs(Hooks)
        self._disabled = {one.strip() for one in environ.get("PENSTOCK_DISABLE", "").split(",")} - {
            ""
        }
        self._discover = discover
        self._known: dict[str, Distribution] | None = None
        self._provided: dict[str, dict[str, list[Provided]]] = {}
        self._sources: dict[int, Distribution] = {}

    @property
    def hooks(self) -> Any:
        """The hook relay, for those who call the hooks of the second group."""
        self._load_all()
        return self._manager.hook

    def register(self, plugin: Any, name: str = "", version: str = "") -> None:
        """Add an object or module with hook implementations, as `plugins.py` beside a pipeline."""
        self._load_all()
        name = name or getattr(plugin, "__name__", type(plugin).__name__)
        one = Distribution(name, version, name, name, state="loaded")
        self._add(one, plugin)
        self._provided.clear()

    def register_file(self, path: Path) -> None:
        """Add a Python file as a plugin; refused when somebody else may write to it."""
        refuse_if_shared(path)
        import importlib.util

        name = f"_penstock_local_{abs(hash(str(path.resolve())))}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise PluginError("is not a Python file", where=str(path))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"cannot be imported: {type(error).__name__}: {error}",
                where=str(path),
                hint="mend the file",
            ) from error
        self.register(module, str(path))

    def distributions(self) -> list[Distribution]:
        """Every plugin that was found, with its state; loads them all."""
        self._load_all()
        for kind in PROVIDERS:
            self.names(kind)
        for one in list((self._known or {}).values()):
            self.extras(one.name, "")
        return list((self._known or {}).values())

    def names(self, kind: str) -> dict[str, list[Provided]]:
        """Every name of a kind with those who provide it."""
        self._load_all()
        if kind not in self._provided:
            self._provided[kind] = self._collect(kind)
        return self._provided[kind]

    def find(self, kind: str, name: str) -> Provided:
        """Who provides `name`; `distribution/name` chooses between several."""
        chosen, _, short = name.rpartition("/")
        providers = self.names(kind).get(short, [])
        if chosen:
            providers = [one for one in providers if one.plugin == chosen]
        if not providers:
            raise PluginError(**self._missing(kind, name))
        if len(providers) > 1:
            both = " and ".join(one.plugin for one in providers)
            raise PluginError(
                f"{kind} named {name!r} is provided by {both}",
                hint=f"write '{providers[0].plugin}/{name}' or set PENSTOCK_DISABLE",
            )
        return providers[0]

    def extras(self, distribution: str, name: str) -> dict[str, dict[str, str]]:
        """What a plugin says of the extras that a component of its may need: for each option of it
        patterns of values, with the extra that such a value needs."""
        self._load_all()
        found: dict[str, dict[str, str]] = {}
        for implementation in getattr(self._manager.hook, EXTRAS).get_hookimpls():
            one = self._sources[id(implementation.plugin)]
            answers = self._answers(one, implementation) if one.name == distribution else ()
            for path, patterns in answers:
                component, _, option = path.partition(".")
                if component == name:
                    found[option] = dict(patterns)
        return found

    def _missing(self, kind: str, name: str) -> dict[str, Any]:
        from .known import distribution_of

        what = f"no {kind} named {name!r}"
        owner = distribution_of(kind, name)
        if owner in self._disabled:
            return {
                "what": what,
                "hint": f"{owner} provides it and PENSTOCK_DISABLE switches it off",
            }
        for one in (self._known or {}).values():
            if one.name == owner and one.state == "broken":
                return {"what": f"{what}: {owner} is broken: {one.reason}", "hint": "reinstall it"}
        if owner:
            return {"what": what, "hint": f"it comes with {owner}: pip install {owner}"}
        near = nearest(name, self.names(kind)) or nearest(name.rpartition("/")[2], self.names(kind))
        hint = f"did you mean {near!r}?" if near else f"see `penstock list {kind}s`"
        broken = [one.name for one in (self._known or {}).values() if one.state == "broken"]
        if broken:
            hint += f"; or mend {' and '.join(broken)}, see `penstock plugins`"
        return {"what": what, "hint": hint}

    # ---- discovery ------------------------------------------------------------------------------

    def _load_all(self) -> None:
        if self._known is not None:
            return
        self._known = {}
        from . import __version__, builtin

        self._add(Distribution("penstock", __version__, "builtin", builtin.__name__), builtin)
        if not self._discover:
            return
        for one in entry_points():
            if self._known.setdefault(f"{one.name}/{one.entry}", one) is not one:
                continue  # installed twice, as in place and in an environment: the first counts
            if one.name in self._disabled or one.entry in self._disabled:
                one.state, one.reason = "disabled", "by PENSTOCK_DISABLE"
                continue
            self._load_one(one)

    def _load_one(self, one: Distribution) -> None:
        """Import an entry module, whatever it raises: one bad plugin must not stop the others."""
        try:
            with watched() as said:
                module = import_module(one.module)
            self._add(one, module)
            if text := said.getvalue().strip():
                one.reason = f"it printed {text.splitlines()[0]!r} while it was imported"
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            one.state = "broken"
            one.reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if isinstance(error, _TooSlowError):
                one.reason = str(error)

    def _add(self, one: Distribution, plugin: Any) -> None:
        assert self._known is not None
        self._known[f"{one.name}/{one.entry}"] = one
        one.hooks = list(self._hooks_of(one, plugin))
        self._manager.register(plugin, name=f"{one.name}/{one.entry}")
        one.state = "loaded"
        self._sources[id(plugin)] = one

    def _hooks_of(self, one: Distribution, plugin: Any) -> Iterator[str]:
        """The names of its hooks; PluginError for one that does not exist: pluggy would accept it
        and never call it."""
        for attribute in dir(plugin):
            options = self._manager.parse_hookimpl_opts(plugin, attribute)
            if options is None:
                continue
            name = options.get("specname") or attribute
            spec = getattr(Hooks, name, None)
            if spec is None:
                near = nearest(name, [hook for hook in dir(Hooks) if hook.startswith(PROJECT)])
                hint = f"did you mean {near!r}?" if near else None
                raise PluginError(f"there is no hook {name!r}", where=one.name, hint=hint)
            taken = _arguments(getattr(plugin, attribute))
            for argument in taken - _arguments(spec) - {"self"}:
                raise PluginError(f"hook {name!r} has no argument {argument!r}", where=one.name)
            yield name

    def _collect(self, kind: str) -> dict[str, list[Provided]]:
        found: dict[str, list[Provided]] = {}
        hook = getattr(self._manager.hook, PROVIDERS[kind])
        for implementation in hook.get_hookimpls():
            one = self._sources[id(implementation.plugin)]
            answers = self._answers(one, implementation)
            if answers:
                one.names[kind] = [name for name, _ in answers]
            for name, target in answers:
                found.setdefault(name, []).append(
                    Provided(kind, name, target, one.name, one.version)
                )
        return found

    def _answers(self, one: Distribution, implementation: Any) -> Sequence[tuple[str, Any]]:
        hook = implementation.function.__name__
        try:
            answers = list(dict(implementation.function()).items())
        except (Exception, SystemExit) as error:
            one.state, one.reason = "broken", f"{hook}: {type(error).__name__}: {error}"
            return ()
        check = _wrong_extra if hook == EXTRAS else _wrong_answer
        wrong = next(filter(None, map(check, answers)), None)
        if wrong is not None:
            one.state, one.reason = "broken", f"{hook}: {wrong}"
            return ()
        return answers


class _TooSlowError(BaseException):
    """A plugin that hangs may catch every Exception."""


@contextmanager
def watched(seconds: float = IMPORT_SECONDS) -> Iterator[StringIO]:
    """While somebody's module is imported: what it prints is kept from the data on standard output,
    and when it hangs it is left, where there are signals for that."""
    with redirect_stdout(StringIO()) as said:
        if not hasattr(signal, "setitimer") or current_thread() is not main_thread():
            yield said
            return

        def give_up(*_: object) -> None:
            raise _TooSlowError(f"it was not imported within {seconds:g} s")

        before = signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield said
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _wrong_answer(answer: tuple[Any, Any]) -> str | None:
    """What is wrong with a name and its target, if anything is."""
    from .options import short

    name, target = answer
    if not isinstance(name, str) or not name:
        return f"a name must be text, got {short(name)}"
    # A command may be a module or an object; what is neither of these nor callable is a mistake.
    if isinstance(target, str) or callable(target) or hasattr(target, "run"):
        return None
    return f"{short(name)} must stand for 'module:attribute' or a class, got {short(target)}"


def _wrong_extra(answer: tuple[Any, Any]) -> str | None:
    from .options import short

    option, patterns = answer
    if not isinstance(option, str) or "." not in option:
        return f"must name an option as in 'sql.url', got {short(option)}"
    texts = (
        [text for pair in patterns.items() for text in pair] if isinstance(patterns, dict) else [0]
    )
    if all(isinstance(text, str) for text in texts):
        return None
    return f"{short(option)} must stand for patterns with extras, got {short(patterns)}"


def _arguments(function: Any) -> set[str]:
    from inspect import signature

    return set(signature(function).parameters)


def load(target: str) -> Any:
    """Import "module:attribute"; the attribute may be dotted."""
    module, _, attribute = target.partition(":")
    if not attribute:
        raise PluginError(f"{target!r} names no attribute", hint="write 'package.module:name'")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise PluginError(f"there is no module {module!r}", where=target) from error
        raise
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = nearest(part, [name for name in dir(found) if not name.startswith("_")])
            raise PluginError(
                f"{module!r} has no {part!r}",
                where=target,
                hint=f"did you mean {near!r}?" if near else "mend the name",
            ) from None
    return found


def refuse_if_shared(path: Path) -> None:
    """Code that somebody else may change is not run on a user's behalf."""
    if path.is_dir():
        raise PluginError("is a folder", where=str(path), hint="name the file in it")
    if os.name != "posix":
        return
    try:
        about = path.stat()
    except OSError as error:
        raise PluginError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if about.st_mode & stat.S_IWOTH or (
        about.st_mode & stat.S_IWGRP and about.st_gid != os.getgid()
    ):
        raise PluginError("others may write to it", where=str(path), hint=f"chmod go-w {path}")
    if about.st_uid not in (0, os.getuid()):
        raise PluginError("it belongs to somebody else", where=str(path), hint="make it your own")


_CALLED = (FunctionType, MethodType, staticmethod, classmethod)


def _manager() -> Any:
    """A manager that passes over what is surely no hook of a module. pluggy looks at each attribute
    in a way that runs no code of theirs, which took most of the time of a start."""
    import pluggy

    class Manager(pluggy.PluginManager):
        def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
            if type(plugin) is ModuleType:
                value = vars(plugin).get(name)
                if not isinstance(value, _CALLED) or not hasattr(value, f"{PROJECT}_impl"):
                    return None
            return super().parse_hookimpl_opts(plugin, name)

    return Manager(PROJECT)


def entry_points() -> Iterator[Distribution]:
    """The entry points of our group, first on the path first.

    Reads `entry_points.txt` of each installed distribution itself: `importlib.metadata` parses
    every distribution of an environment for the same answer. What is not a plain folder on the
    path, as a zip file, is left to `importlib.metadata`.
    """
    seen: set[str] = set()
    odd = False
    for folder in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(folder or "."))
        except NotADirectoryError:
            odd = True
            continue
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and name not in seen:
                seen.add(name)
                yield from _read_entries(os.path.join(folder or ".", name))
    if odd:
        yield from _metadata_entries(seen)


def _read_entries(folder: str) -> Iterator[Distribution]:
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return
    if f"[{GROUP}]" not in text:
        return
    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")
    for entry, module in _section(text):
        yield Distribution(name.replace("_", "-").lower(), version, entry, module)


def _section(text: str) -> Iterator[tuple[str, str]]:
    inside = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == f"[{GROUP}]"
        elif inside and "=" in line and not line.startswith("#"):
            entry, _, module = line.partition("=")
            yield entry.strip(), module.strip()


def _metadata_entries(seen: set[str]) -> Iterator[Distribution]:
    from importlib import metadata

    for one in metadata.distributions():
        path = getattr(one, "_path", None)
        if path is not None and path.name in seen:
            continue
        for entry in one.entry_points:
            if entry.group == GROUP:
                yield Distribution(
                    str(one.metadata["Name"]).lower(), one.version, entry.name, entry.value
                )
