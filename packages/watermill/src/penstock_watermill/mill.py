"""The mill: reads what a function's signature asks for, calls it, sends what it returns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock import (
    Batch,
    Component,
    ConfigError,
    Failure,
    MemoryStore,
    Output,
    Report,
    RunError,
    Store,
    Transformer,
)
from penstock.build import pipeline_of
from penstock_streams import Window as StreamWindow
from penstock_streams import pipe
from penstock_streams.calls import Call, Valid
from penstock_streams.codecs import decoder_of, encode
from penstock_streams.signatures import Signature, signature_of

from .brokers import DataKey, MessageBroker
from .injection import provisions
from .joining import JoinTree, Window
from .saving import Saved, SavedCall

__all__ = ["WaterMill"]

logger = logging.getLogger("watermill.mill")


class WaterMill:
    """Reads a stream, or streams that are joined, and gives their elements to `process_func`.

    Either `stream_cls`, a class or a `window` of one, or `join_tree` says what is read. Results go
    to the stream of their class, in `output_broker` if there is one. `explicit_return_types` are
    those of results that are saved by `save_results`. `state` is the folder in which positions are
    kept, for brokers whose streams go on where the last run ended.
    """

    def __init__(
        self,
        broker: MessageBroker,
        process_func: Callable[..., Any],
        stream_cls: Any = None,
        join_tree: JoinTree | None = None,
        serializers: Mapping[Any, Callable[[Any], dict[str, Any]]] | None = None,
        deserializers: Mapping[Any, Callable[[dict[str, Any]], Any]] | None = None,
        injector: Any = None,
        output_broker: MessageBroker | None = None,
        explicit_return_types: Sequence[Any] | None = None,
        *,
        state: Path | str | None = None,
    ) -> None:
        assert (stream_cls is None) != (join_tree is None), (
            "give one of stream_cls and join_tree: what is read"
        )
        self.broker = broker
        self.process_func = process_func
        self.stream_cls = stream_cls
        self.join_tree = join_tree
        self.serializers = dict(serializers or {})
        self.deserializers = dict(deserializers or {})
        self.injector = injector
        self.output_broker = output_broker or broker
        self.explicit_return_types = explicit_return_types
        self.state = Path(state) if state is not None else None
        self._saved = Saved()
        self._call: _Call

    def run(self) -> Report:
        """Run until the streams end; the report says what became of every element.

        Raises what the function raised. What cannot be an element, or is out of order, is a dead
        letter: it is logged and in the report.
        """
        signature = signature_of(self.process_func)
        pipes = self._pipes(signature)
        pipeline = pipeline_of(pipes, name=self._name(signature))
        for component in pipeline.spec.components.values():
            if component.role == "transformer":
                component.settings.on_error = "stop"  # what the function raises leaves the mill
        store = self._store()
        try:
            report = pipeline.run(store=store, restarts=0)
        except RunError as error:
            raise self._call.raised or error from None
        for group in report.failures:
            logger.warning("%s × %s (as at %s)", group.count, group.message, group.example)
        for node in report.nodes:
            for stream, counts in node.observations.items():
                if isinstance(counts, Mapping) and counts.get("unmatched"):
                    logger.info("%s elements of %s had no match", counts["unmatched"], stream)
        return report

    def save_results(self, data_key: DataKey, results: Any = None) -> None:
        """Give the results for the elements that the function took with this key: one, a list, None
        or EndOfStream. May be called on any thread; until then nothing is committed."""
        self._saved.put(data_key, results)

    # ---- how it is put together -----------------------------------------------------------------

    def _name(self, signature: Signature) -> str:
        group = getattr(self.broker, "consumer_group_name", "watermill")
        return f"{group}-{signature.name}"

    def _store(self) -> Store:
        if self.state is None and not self.broker.lasting:
            return MemoryStore()
        from penstock.stores.sqlite import SqliteStore

        return SqliteStore(self.state or Path(".penstock"))

    def _pipes(self, signature: Signature) -> list[list[Component]]:
        kinds = self._results(signature)
        components = self._components(signature, kinds)
        if not kinds:
            return [[*components, _Nowhere()]]
        outputs = [[*self._only(kind, kinds), self.output_broker.output(kind)] for kind in kinds]
        first, *others = outputs
        last = components[-1]
        return [[*components, *first], *([last, *other] for other in others)]

    def _components(self, signature: Signature, kinds: Sequence[Any]) -> list[Component]:
        join = self.join_tree.join if self.join_tree is not None else None
        streams = join.streams() if join is not None else [self._stream()]
        expression = (
            self.join_tree.window_expression
            if self.join_tree is not None
            else getattr(self.stream_cls, "window_expression", None)
        )
        provide = {
            **provisions(self.injector, signature.provided),
            WaterMill: self,
            DataKey: DataKey,
        }
        components = pipe(
            self.process_func,
            {kind: self.broker.input(kind) for kind in streams},
            join=join,
            window=None if expression is None else StreamWindow(kind="change", key=expression),
            provide=provide,
            decode=self.deserializers,
            encode=self._encoders(kinds),
            calling=_Call,
        )
        call = components[-1]
        assert isinstance(call, _Call)
        self._call = call
        if join is None and expression is None:
            kind = signature.element
            decode = self.deserializers.get(kind) or decoder_of(kind)
            components = [components[0], Valid(decode=decode), call]
        if DataKey in signature.provided.values():
            return [*components[:-1], SavedCall(call, self._saved)]
        return components

    def _stream(self) -> Any:
        return self.stream_cls.cls if isinstance(self.stream_cls, Window) else self.stream_cls

    def _results(self, signature: Signature) -> list[Any]:
        if self.explicit_return_types is not None:
            return list(self.explicit_return_types)
        if signature.results is None:
            return []
        for kind in signature.results:
            if not isinstance(kind, type):
                raise ConfigError(
                    f"{signature.name}: cannot tell the stream of results of type {kind!r}; "
                    "annotate the class"
                )
        return list(signature.results)

    def _encoders(self, kinds: Sequence[Any]) -> dict[Any, Callable[[Any], Any]]:
        """Serializers; with several kinds of results, each is marked with its own."""
        if len(kinds) < 2:
            return dict(self.serializers)
        return {kind: _marking(kind, self.serializers.get(kind, encode)) for kind in kinds}

    def _only(self, kind: Any, kinds: Sequence[Any]) -> list[Component]:
        return [_Only(kind)] if len(kinds) > 1 else []


class _Call(Call):
    """Remembers what the function raised, which leaves the mill as it is."""

    raised: Exception | None = None

    def transform(self, record: Any) -> Iterator[Any]:
        try:
            yield from super().transform(record)
        except Exception as error:
            self.raised = error
            raise


class _Result(dict[str, Any]):
    """A record that knows of which class it was."""

    kind: Any = None


def _marking(kind: Any, serialize: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def serialized(value: Any) -> Any:
        made = _Result(serialize(value))
        made.kind = kind
        return made

    return serialized


class _Only(Transformer):
    """Passes on the results of one class."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def transform(self, record: Any) -> Any:
        return dict(record) if record.kind is self.kind else None


class _Nowhere(Output):
    """Takes the results of a function that has none."""

    delivery = "keyed"

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        return None
