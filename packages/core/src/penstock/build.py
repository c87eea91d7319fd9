"""From a specification to a pipeline that can run: find the classes, make the components, connect.

Every problem is collected before any is raised, so that a file is reported whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import isclass, isroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .broker import Broker
from .components import Component, Input, Inspector, Output, Transformer, from_function
from .dialect import read_document, read_spec
from .errors import ConfigError, PluginError, Problem, UsageError, nearest
from .graph import Graph, Node, plan
from .journal import Report
from .made import Instance, Made, Stream, file_of, hash_of
from .native import set_reserved
from .options import read_options, short
from .parts import Parts
from .plugins import Plugins, load
from .reparse import plan_of
from .runs import Display, EpochLimits, Run
from .spec import ComponentSpec, Document, PipelineSpec, PipeStep, Settings
from .store import MemoryStore, Store

if TYPE_CHECKING:
    from .schedule import Clock

__all__ = ["Pipeline", "build", "load_beside", "load_pipeline", "pipeline_of"]

_BASES: Mapping[str, type] = {
    "input": Input,
    "inspector": Inspector,
    "transformer": Transformer,
    "output": Output,
}


@dataclass
class Pipeline:
    """A built pipeline: run it as often as you like, each time with fresh components."""

    spec: PipelineSpec
    plugins: Plugins
    made: dict[str, Made]
    engine: Any
    engine_name: str = "inline"
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def state_folder(self) -> Path | None:
        """Where the state of this pipeline is kept when nobody says otherwise."""
        folder = self.spec.directory
        return folder / ".penstock" if folder else None

    def graph(self) -> Graph:
        """New components, connected."""
        roles = {name: spec.role for name, spec in self.spec.components.items()}
        shape = plan(self.spec.pipes, roles)
        nodes = [self.made[component].node(name) for name, component in shape.instances.items()]
        edges = list(shape.edges)
        leading = {left for left, _ in edges}
        loose = [node.name for node in nodes if node.name not in leading and node.role != "output"]
        if loose:
            nodes.append(_printing(self.plugins, {node.name for node in nodes}))
            edges.extend((name, nodes[-1].name) for name in loose)
        return Graph(nodes, edges, shape.after)

    def start(
        self,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        max_records: int | None = None,
        max_seconds: float | None = None,
        fresh: bool = False,
        reparse: bool = False,
        graph: Graph | None = None,
        display: Display | None = None,
    ) -> Run:
        """A run that is ready to `execute`; UsageError when a `reparse` is not possible."""
        epoch = self.spec.epoch
        graph = graph or self.graph()
        refused = plan_of(graph.nodes.values()).refused if reparse else None
        if refused is not None:
            raise refused
        return Run(
            graph,
            self.engine,
            pipeline=self.name,
            store=store or MemoryStore(),
            hooks=self.plugins.hooks,
            clock=clock,
            limits=EpochLimits(**epoch) if epoch else EpochLimits(),
            max_records=max_records,
            max_seconds=max_seconds,
            fresh=fresh,
            reparse=reparse,
            engine_name=self.engine_name,
            config_hash=self.config_hash,
            display=display,
        )

    def run(
        self, *, store: Store | None = None, clock: Clock | None = None, restarts: int = 5
    ) -> Report:
        """Run once and return the report; raises what ended a run that failed. What may be over
        soon, as a lost connection, is met by starting again, `restarts` times without progress."""
        from .supervise import supervise

        if store is None and self.state_folder is not None:
            from .stores.sqlite import SqliteStore

            store = SqliteStore(self.state_folder)
        store = store or MemoryStore()
        store.open()
        try:
            run, report = supervise(self, store, clock=clock, restarts=restarts)
        finally:
            store.close()
        if run.error is not None:
            raise run.error
        return report

    @property
    def config_hash(self) -> str:
        whole = "".join(sorted(made.config_hash for made in self.made.values()))
        return hash_of(whole)


def load_pipeline(
    source: str | Path | Mapping[str, Any],
    plugins: Plugins | None = None,
    *,
    settings: Iterable[str] = (),
    engine: str | None = None,
) -> Pipeline:
    """Read and build a pipeline from a file.

    `settings` are texts "component.option=value" that replace what the file says; `engine` the name
    of the engine to use instead of the file's, whose options are `settings` of "engine". A
    `plugins.py` beside the file is registered first.
    """
    plugins = plugins or Plugins()
    path = Path(str(source))
    beside = path.parent / "plugins.py"
    document = read_document(path, plugins)
    if beside.is_file():
        plugins.register_file(beside)
    spec = read_spec(document, plugins)
    if engine is not None:
        _must_mean_an_engine(engine, plugins)
        if spec.engine is None or spec.engine.use != engine:
            spec.engine = _engine(engine)
    for text in settings:
        _override(spec, text)
    return build(spec, plugins)


def build(spec: PipelineSpec, plugins: Plugins) -> Pipeline:
    """Make every component once, so that every mistake is seen, and check how they connect."""
    builder = _Builder(spec, plugins)
    pipeline = builder.pipeline()
    builder.raise_problems()
    return pipeline


def pipeline_of(
    pipes: Sequence[Sequence[Component]],
    plugins: Plugins | None = None,
    *,
    name: str = "pipeline",
    engine: str | None = None,
) -> Pipeline:
    """A pipeline from component objects; one object in several pipes is one component."""
    plugins = plugins or Plugins()
    spec = PipelineSpec(name)
    made: dict[str, Made] = {}
    names: dict[int, str] = {}
    for index, pipe in enumerate(pipes):
        steps = []
        for one in pipe:
            if id(one) not in names:
                names[id(one)] = own = _fresh_name(one, made)
                role = _role_of(one)
                component_spec = ComponentSpec(own, role, type(one).__name__)
                spec.components[own] = component_spec
                made[own] = Instance(component_spec, type(one), {}, instance=one)
            steps.append(PipeStep(names[id(one)]))
        spec.pipes[str(index + 1)] = steps
    if engine is not None:
        spec.engine = _engine(engine)
    builder = _Builder(spec, plugins)
    chosen, engine_name = builder.engine()
    builder.check_pipes()
    builder.raise_problems()
    return Pipeline(spec, plugins, made, chosen, engine_name)


def _role_of(one: Any) -> str:
    for role, base in _BASES.items():
        if isinstance(one, base):
            return role
    if hasattr(one, "process") and not isclass(one):
        return "transformer"
    raise UsageError(
        f"{short(one)} is not a component", hint="give inputs, inspectors, transformers and outputs"
    )


def _fresh_name(one: Any, taken: Mapping[str, Any]) -> str:
    name = type(one).__name__
    for role in ("Input", "Output", "Inspector", "Transformer"):
        name = name.removesuffix(role) or name
    name = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    number, fresh = 2, name
    while fresh in taken:
        fresh, number = f"{name}{number}", number + 1
    return fresh


class _Builder:
    def __init__(self, spec: PipelineSpec, plugins: Plugins) -> None:
        self.spec = spec
        self.plugins = plugins
        self.problems: list[Problem] = spec.document.problems if spec.document else []
        self.missing: list[Problem] = []
        self.parts = Parts(spec, plugins, self.make, self.problems)

    def raise_problems(self) -> None:
        """Raise everything that was found; a problem in the file outweighs a missing plugin."""
        if self.problems:
            raise ConfigError(_once([*self.problems, *self.missing]))
        if self.missing:
            raise PluginError(
                "\n".join(map(str, sorted(self.missing, key=lambda problem: problem.order)))
            )

    def wrong(
        self,
        what: str,
        path: Sequence[str | int],
        hint: str | None = None,
        document: Document | None = None,
    ) -> None:
        document = document or self.spec.document
        if document is not None:
            self.problems.append(document.problem(what, *path, hint=hint))
        else:
            self.problems.append(Problem(what, ".".join(map(str, path)), hint=hint))

    def pipeline(self) -> Pipeline:
        made = {}
        for component in self.spec.components.values():
            one = self.parts.component(component)
            if one is not None:
                made[component.name] = one
        engine, engine_name = self.engine()
        self.check_pipes()
        self.check_timeouts(engine)
        pipeline = Pipeline(self.spec, self.plugins, made, engine, engine_name)
        used = {step.name for pipe in self.spec.pipes.values() for step in pipe}
        used = self.parts.used_by(used)
        files = [one for name, one in made.items() if name in used]
        self.check_files([*files, *(part for one in files for part in self.parts.parts_of(one))])
        pipeline.warnings.extend(
            f"{name} stands in no pipe" for name in self.spec.components if name not in used
        )
        return pipeline

    def make(self, component: ComponentSpec) -> Made | None:
        """Find the class and check the options; None when either is wrong."""
        if not component.use:
            return None
        try:
            if component.use == "stream" and "broker" in component.options:
                return self.make_stream(component)
            cls, plugin, version = self.find(component)
        except PluginError as error:
            self.not_found(component, error)
            return None
        return self.with_options(component, cls, plugin, version)

    def with_options(
        self, component: ComponentSpec, cls: Any, plugin: str, version: str
    ) -> Made | None:
        parts, wrong = self.parts.of(component, cls)
        made_parts = {
            option: {name: part.component() for name, part in found.items()}
            for option, found in parts.items()
        }
        options = {**component.options, **made_parts}
        values, problems = read_options(cls, options, self.directory(component))
        for problem in problems:
            if problem.path in wrong or (wrong and not problem.path):
                continue  # it follows from what has been said of the parts
            path = [*component.path, *(problem.path.split(".") if problem.path else ())]
            self.wrong(problem.what, path, problem.hint, component.document)
        if problems or wrong:
            return None
        made = Made(component, cls, values, plugin, version, parts)
        try:
            self.check_spool(component, made.component())
        except ConfigError as error:
            for problem in error.problems:
                self.wrong(problem.what, component.path, problem.hint, component.document)
            return None
        return made

    def directory(self, component: ComponentSpec) -> Path | None:
        return (component.document or self.spec).directory

    def check_spool(self, component: ComponentSpec, made: Any) -> None:
        if component.settings.spool and made.capability != "ephemeral":
            self.wrong(
                f"only an input that cannot be read again is spooled; this is {made.capability}",
                [*component.path, "spool"],
                "leave it out",
            )

    def find(self, component: ComponentSpec) -> tuple[Any, str, str]:
        """The class of a component, and which plugin it comes from."""
        if ":" not in component.use:
            provided = self.plugins.find(component.role, component.use)
            return provided.load(), provided.plugin, provided.version
        directory = self.directory(component)
        if directory is not None:
            found = load_beside(component.use, directory)
        else:
            found = load(component.use)
        base = _BASES.get(component.role)
        if isclass(found):
            if base is not None and not issubclass(found, _accepted(component.role)):
                raise PluginError(
                    f"{component.use!r} is not {_a(component.role)}",
                    hint=f"it must derive from penstock.{base.__name__}",
                )
            return found, component.use.partition(":")[0], ""
        if isroutine(found) and component.role in _BASES:
            made = from_function(component.role, found, component.use)
            return made, component.use.partition(":")[0], ""
        raise PluginError(f"{component.use!r} is neither a component class nor a function")

    def not_found(self, component: ComponentSpec, error: PluginError) -> None:
        what = f"{error.where}: {error.what}" if error.where else error.what
        path = [*(component.path or (component.name,)), "use"]
        document = component.document or self.spec.document
        place = document.place(*path) if document else None
        self.missing.append(Problem(what, ".".join(map(str, path)), place, error.hint))

    def make_stream(self, component: ComponentSpec) -> Made | None:
        """An input or output of a broker: its options are the broker method's arguments."""
        options = dict(component.options)
        broker_spec = self.broker_of(component, options.pop("broker"))
        if broker_spec is None or not broker_spec.use:
            return None
        provided = self.plugins.find("broker", broker_spec.use)
        broker = self.with_options(broker_spec, provided.load(), provided.plugin, provided.version)
        if broker is None:
            return None
        if "stream" not in options:
            path = [*component.path, "stream"]
            self.wrong("is required", path, "name the stream", component.document)
            return None
        declared = cast(Broker, broker.component()).stream_class(component.role)
        if declared is not None:
            plain = replace(component, options=options)
            checked = self.with_options(plain, declared, provided.plugin, provided.version)
            if checked is None:
                return None
            options = checked.values
        return Stream(component, None, options, provided.plugin, provided.version, broker=broker)

    def broker_of(self, component: ComponentSpec, given: Any) -> ComponentSpec | None:
        """The broker of a stream, by its name or declared in its place."""
        path = (*component.path, "broker")
        if isinstance(given, Mapping):
            document = self.parts.document(component)
            return self.parts.in_place("broker", "broker", path, given, document)
        found = self.spec.brokers.get(given) if isinstance(given, str) else None
        if found is None:
            near = nearest(str(given), self.spec.brokers)
            hint = f"did you mean {near!r}?" if near else "declare it under brokers"
            self.wrong(f"no broker named {short(given)}", path, hint, component.document)
        return found

    def engine(self) -> tuple[Any, str]:
        spec = self.spec.engine or _engine("inline")
        try:
            provided = self.plugins.find("engine", spec.use)
            made = self.with_options(spec, provided.load(), provided.plugin, provided.version)
        except PluginError as error:
            self.not_found(spec, error)
            made = None
        return (made.component() if made else None), spec.use

    def check_timeouts(self, engine: Any) -> None:
        for component in self.spec.components.values():
            if component.settings.timeout is not None and not getattr(
                engine, "enforces_timeout", False
            ):
                self.wrong(
                    "this engine cannot enforce a timeout",
                    [*component.path, "timeout"],
                    "leave it out, or use an engine with processes of its own",
                )

    def check_files(self, made: Sequence[Made]) -> None:
        """No output may overwrite what the pipeline reads or what another output writes."""
        read = {
            file: one.spec.name
            for one in made
            if one.spec.role == "input" and (file := file_of(one)) is not None
        }
        written: dict[str, str] = {}
        for one in made:
            file = file_of(one) if one.spec.role == "output" else None
            if file is None:
                continue
            path = [*one.spec.path, "path"]
            if file in read:
                what = f"is also read by input {read[file]!r}"
                self.wrong(what, path, "write to another file")
            elif file in written:
                what = f"is also written by output {written[file]!r}"
                self.wrong(what, path, "give each a file of its own")
            else:
                written[file] = one.spec.name

    def check_pipes(self) -> None:
        spec = self.spec
        later = {step.name for steps in spec.pipes.values() for step in steps[1:]}
        for pipe, steps in spec.pipes.items():
            if not steps:
                continue
            first = steps[0]
            role = spec.components[first.name].role
            if role != "input" and first.name not in later:
                self.wrong(
                    f"a pipe must begin with an input, {first.name!r} is {_a(role)}",
                    first.path or ("pipes", pipe, 0),
                    "put an input first, or branch from a component of another pipe",
                )
        try:
            plan(spec.pipes, {name: one.role for name, one in spec.components.items()})
        except ConfigError as error:
            for problem in error.problems:
                self.wrong(problem.what, problem.path.split("."), problem.hint)


def _once(problems: Sequence[Problem]) -> Iterator[Problem]:
    """One problem per place and path: what follows from a first mistake only confuses."""
    seen = set()
    for problem in problems:
        key = (problem.place, problem.path)
        if key not in seen:
            seen.add(key)
            yield problem


def _engine(use: str) -> ComponentSpec:
    return ComponentSpec("engine", "engine", use, path=("engine",))


def _must_mean_an_engine(name: str, plugins: Plugins) -> None:
    """Refuse a name that nobody knows. What only needs installing is a missing plugin instead."""
    from .known import distribution_of

    if plugins.names("engine").get(name.rpartition("/")[2]) or distribution_of("engine", name):
        return
    try:
        plugins.find("engine", name)
    except PluginError as error:
        raise UsageError(error.what, where="--engine", hint=error.hint) from None


def load_beside(use: str, directory: Path) -> Any:
    """Import "module:attribute" with the pipeline's folder first on the path, for this import."""
    import sys

    folder = str(directory)
    sys.path.insert(0, folder)
    try:
        return load(use)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"cannot be imported: {type(error).__name__}: {error}",
            where=use,
            hint="mend the module",
        ) from error
    finally:
        sys.path.remove(folder)


def _accepted(role: str) -> type:
    from .components import Stage

    return Stage if role == "transformer" else _BASES[role]


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _printing(plugins: Plugins, taken: set[str]) -> Node:
    provided = plugins.find("output", "print")
    name = "print" if "print" not in taken else "print@end"
    return Node(
        name, "output", provided.load()(), Settings(), "print", provided.plugin, provided.version
    )


def _override(spec: PipelineSpec, text: str) -> None:
    """Apply "component.option=value"; the value is text that the option's type converts."""
    target, equals, value = text.partition("=")
    name, dot, key = target.partition(".")
    if not (equals and dot and name and key):
        raise UsageError(f"--set {text!r} is not of the form component.option=value")
    found = spec.components.get(name) or spec.brokers.get(name)
    if name == "engine" and found is None:
        found = spec.engine = spec.engine or _engine("inline")
    if found is None:
        near = nearest(name, [*spec.components, *spec.brokers])
        raise UsageError(
            f"--set {text!r}: no component named {name!r}",
            hint=f"did you mean {near!r}?" if near else None,
        )
    parsed: Any = value
    if value[:1] in "[{":
        import json

        try:
            parsed = json.loads(value)
        except ValueError as error:
            raise UsageError(f"--set {text!r}: not JSON: {error}") from None
    document = found.document or spec.document
    if document is None or not set_reserved(found, key, parsed, document):
        found.options[key] = parsed
