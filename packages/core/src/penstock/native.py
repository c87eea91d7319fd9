"""The native dialect: inputs, inspectors, transformers, outputs, brokers and pipes.

What every key means stands in DESIGN and in `docs/reference`; this module only checks the shape of
a document and reads it into a `PipelineSpec`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from .errors import nearest
from .options import ByteSize, Duration, component, option, read_options, short
from .spec import RESERVED, ROLES, ComponentSpec, Document, PipelineSpec, PipeStep, Settings

__all__ = [
    "SECTIONS",
    "EpochOptions",
    "NativeDialect",
    "ReservedOptions",
    "RetryOptions",
    "read_component",
    "reserved_keys",
    "set_reserved",
]

SECTIONS = (
    "name",
    "description",
    "version",
    *ROLES.values(),
    "brokers",
    "pipes",
    "engine",
    "epoch",
    "tests",
)
"""Every key at the top of a native file, in the order in which people write them."""

_OF_INPUTS = ("key", "spool")
_NAME = re.compile(r"[^\s.@/:]+")


@component
class EpochOptions:
    """When an epoch ends."""

    records: int | None = option(help="After this many records read.", default=None)
    bytes: ByteSize | None = option(
        help="After records of about this size in memory.", default=None, example="64MiB"
    )
    seconds: Duration | None = option(help="After this time.", default=10.0)


@component
class RetryOptions:
    """How often a failing record is tried again, and how long to wait before."""

    tries: int = option(help="How often.")
    delay: Duration = option(help="First pause; it doubles with every try.", default=0.1)


@component
class ReservedOptions:
    """The keys that mean the same in every component, checked as options are."""

    use: str = option(help="What the component is: a name, or 'package.module:attribute'.")
    description: str = option(help="What it is for, for people.", default="")
    on_error: Literal["collect", "skip", "stop", "retry"] = option(
        help="What becomes of a failing record: collect sets it aside, skip drops it, "
        "stop ends the run.",
        default="collect",
    )
    retry: int | RetryOptions = option(
        help="How often a failing record is tried again, or a mapping of tries and delay.",
        default=0,
    )
    timeout: Duration | None = option(help="Longest time for one batch.", default=None)
    optional: bool = option(help="Go on without the component when it fails.", default=False)
    key: str | None = option(help="Field to index the records read by.", default=None)
    spool: bool = option(
        help="Keep what is read in a durable log first, for an input that cannot be read again.",
        default=False,
    )


def reserved_keys(kind: str) -> tuple[str, ...]:
    """The keys of `ReservedOptions` that a component of this kind may have."""
    if kind not in ROLES:
        return ("use", "description")
    keys = RESERVED if kind in ("input", "output") else RESERVED[:-1]
    return (*keys, *_OF_INPUTS) if kind == "input" else keys


class NativeDialect:
    """Reads the native file; YAML, TOML and JSON alike."""

    def recognises(self, document: Document) -> bool:
        return not document.data.keys().isdisjoint(("pipes", *ROLES.values()))

    def read(self, document: Document) -> PipelineSpec:
        """What `tests` holds is for whoever runs tests: it is wrong for them alone."""
        document.problems = [
            problem for problem in document.problems if problem.path.split(".")[0] != "tests"
        ]
        return _Reader(document).pipeline()


def read_component(
    document: Document, role: str, name: str, path: tuple[str | int, ...], entry: Any
) -> ComponentSpec:
    """Read what stands at `path` of any document as one component of a native file."""
    made = _Reader(document).component(role, name, path, entry)
    made.document = document
    return made


def set_reserved(component: ComponentSpec, key: str, value: Any, document: Document) -> bool:
    """Let a reserved key have this value, as if the file said so; False if it is none of those that
    this component may have."""
    if key not in RESERVED and not (component.role == "input" and key in _OF_INPUTS):
        return False
    if key in ("use", "description"):
        setattr(component, key, value)
        return True
    reader = _Reader(document)
    values, problems = read_options(ReservedOptions, {"use": component.use, key: value})
    for problem in problems:
        reader.wrong(problem.what, *component.path, *problem.path.split("."), hint=problem.hint)
    read = reader.settings(component.role, component.path, values)
    changed = ["retry", "retry_delay"] if key == "retry" else [key]
    if read.on_error != values.get("on_error", read.on_error):  # the old spelling of `retry: 3`
        changed.append("retry")
    for name in changed:
        setattr(component.settings, name, getattr(read, name))
    return True


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document

    def wrong(self, what: str, *path: str | int, hint: str | None = None) -> None:
        self.document.problems.append(self.document.problem(what, *path, hint=hint))

    def pipeline(self) -> PipelineSpec:
        document = self.document
        for key in document.data:
            if key not in SECTIONS and key != "$schema" and not _hidden(key):
                near = nearest(str(key), SECTIONS)
                hint = f"did you mean {near!r}?" if near else f"there are {', '.join(SECTIONS)}"
                self.wrong("no such section", key, hint=hint)
        if document.data.get("version", 1) != 1:
            self.wrong(f"must be 1, got {short(document.data['version'])}", "version")
        spec = PipelineSpec(name=self.text("name") or _stem(document), document=document)
        spec.description = self.text("description")
        for role, section in ROLES.items():
            self.components(role, section, spec)
        for name, path, entry in self.entries("brokers"):
            spec.brokers[name] = self.component("broker", name, path, entry)
        self.pipes(spec)
        spec.engine = self.engine()
        spec.epoch = self.epoch()
        return spec

    def text(self, key: str) -> str:
        value = self.document.data.get(key, "")
        if not isinstance(value, str):
            self.wrong(f"must be text, got {short(value)}", key, hint="write it in quotes")
            return ""
        return value

    def entries(self, section: str) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
        found = self.document.data.get(section)
        if found is None:
            return
        if not isinstance(found, Mapping):
            self.wrong(f"must be a mapping of names, got {short(found)}", section)
            return
        for name, entry in found.items():
            if not _hidden(name):
                yield str(name), (section, name), entry

    def components(self, role: str, section: str, spec: PipelineSpec) -> None:
        for name, path, entry in self.entries(section):
            if not _NAME.fullmatch(name):
                self.wrong("a name cannot hold spaces or any of . @ / :", *path)
            made = self.component(role, name, path, entry)
            earlier = spec.components.setdefault(name, made)
            if earlier is not made:
                article = "an" if earlier.role[0] in "aeiou" else "a"
                self.wrong(
                    f"{short(name)} is the name of {article} {earlier.role} already",
                    *path,
                    hint="give it a name of its own",
                )

    def component(
        self, role: str, name: str, path: tuple[str | int, ...], entry: Any
    ) -> ComponentSpec:
        """The component; one that cannot be understood has an empty `use`."""
        if isinstance(entry, str):
            entry = {"use": entry}
        if not isinstance(entry, Mapping):
            self.wrong(f"must be a mapping with 'use', got {short(entry)}", *path)
            return ComponentSpec(name, role, "", path=path)
        reserved = {key: entry[key] for key in entry if key in RESERVED}
        options = {key: entry[key] for key in entry if key not in RESERVED and not _hidden(key)}
        if role == "input":
            reserved |= {key: options.pop(key) for key in _OF_INPUTS if key in options}
        values, problems = read_options(ReservedOptions, reserved)
        for problem in problems:
            where = problem.path.split(".")
            if where == ["use"] and "use" not in entry:
                near = nearest("use", options)
                hint = (
                    f"did you mean 'use' by {near!r}?"
                    if near
                    else "say what it is, as in `use: csv`"
                )
                self.wrong("has no 'use'", *path, hint=hint)
            else:
                self.wrong(problem.what, *path, *where, hint=problem.hint)
        settings = self.settings(role, path, values)
        return ComponentSpec(
            name,
            role,
            values.get("use", ""),
            options,
            settings,
            values.get("description", ""),
            path,
        )

    def settings(
        self, role: str, path: tuple[str | int, ...], values: Mapping[str, Any]
    ) -> Settings:
        settings = Settings(key=values.get("key"), timeout=values.get("timeout"))
        settings.spool = values.get("spool", False)
        settings.optional = values.get("optional", False)
        settings.on_error = values.get("on_error", "collect")
        if settings.on_error == "retry":  # the old spelling of `retry: 3`
            settings.on_error, settings.retry = "collect", 3
        retry = values.get("retry", 0)
        if isinstance(retry, RetryOptions):
            settings.retry, settings.retry_delay = retry.tries, retry.delay
        elif retry:
            settings.retry = retry
        if settings.retry < 0:
            self.wrong(f"must not be negative, got {settings.retry!r}", *path, "retry")
        if settings.optional and role not in ("input", "output"):
            self.wrong(
                f"an {role} cannot be optional"
                if role[0] == "i"
                else f"a {role} cannot be optional",
                *path,
                "optional",
                hint="only inputs and outputs can",
            )
        return settings

    def pipes(self, spec: PipelineSpec) -> None:
        if "pipes" not in self.document.data:
            self.wrong(
                "declares no pipes",
                hint="say in which order the components work, as in "
                "`pipes: {main: [input, output]}`",
            )
            return
        for pipe, path, steps in self.entries("pipes"):
            if not isinstance(steps, list) or not steps:
                what = f"must be a list of component names, got {short(steps)}"
                is_name = isinstance(steps, str) and steps
                self.wrong(what, *path, hint=f"write [{short(steps)[1:-1]}]" if is_name else None)
                continue
            spec.pipes[pipe] = [
                step
                for index, entry in enumerate(steps)
                if (step := self.step(spec, (*path, index), entry)) is not None
            ]

    def step(self, spec: PipelineSpec, path: tuple[str | int, ...], entry: Any) -> PipeStep | None:
        mix = False
        if isinstance(entry, Mapping) and len(entry) == 1:
            (word, name), *_ = entry.items()
            if word not in ("mix", "append"):
                self.wrong(
                    f"must be a name, or 'mix' or 'append' with an input, got {short(entry)}", *path
                )
                return None
            mix, entry = word == "mix", name
            if (
                isinstance(entry, str)
                and entry in spec.components
                and spec.components[entry].role != "input"
            ):
                self.wrong(f"only an input can be {word}ed, {short(entry)} is not one", *path)
                return None
        if not isinstance(entry, str):
            self.wrong(f"must be the name of a component, got {short(entry)}", *path)
            return None
        if entry not in spec.components:
            near = nearest(entry, spec.components)
            hint = f"did you mean {near!r}?" if near else "declare it first"
            self.wrong(f"no component named {short(entry)}", *path, hint=hint)
            return None
        return PipeStep(entry, mix, path)

    def engine(self) -> ComponentSpec | None:
        entry = self.document.data.get("engine")
        return None if entry is None else self.component("engine", "engine", ("engine",), entry)

    def epoch(self) -> dict[str, Any]:
        entry = self.document.data.get("epoch")
        if entry is None:
            return {}
        if not isinstance(entry, Mapping):
            self.wrong(
                f"must be a mapping of 'records', 'bytes' and 'seconds', got {short(entry)}",
                "epoch",
            )
            return {}
        values, problems = read_options(EpochOptions, entry)
        for problem in problems:
            self.wrong(problem.what, "epoch", *problem.path.split("."), hint=problem.hint)
        return values


def _hidden(key: Any) -> bool:
    return isinstance(key, str) and key.startswith(("x-", "_"))


def _stem(document: Document) -> str:
    return Path(document.name).stem or "pipeline"
