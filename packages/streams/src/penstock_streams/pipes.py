"""A typed function as a pipe: the components that feed it, put together by its signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from penstock import Component, ConfigError, Input

from .calls import Call, Valid
from .codecs import decoder_of
from .expressions import Expr
from .joins import JoinInput
from .keys import Key
from .signatures import Signature, signature_of
from .trees import Join, name_of
from .window import Window

__all__ = ["pipe"]


def pipe(
    function: Callable[..., Any],
    inputs: Mapping[Any, Input],
    *,
    join: Join | None = None,
    window: Window | None = None,
    provide: Mapping[Any, Any] | None = None,
    decode: Mapping[Any, Callable[[Any], Any]] | None = None,
    encode: Mapping[Any, Callable[[Any], Any]] | None = None,
    disorder: str = "collect",
    calling: type[Call] = Call,
) -> list[Component]:
    """The components of a pipe that ends with `function`; outputs are up to you.

    `inputs` gives for each element type, or each name in `join`, the input that it is read from;
    `window` says which elements `list[A]` is, with keys of an `A`. `provide` has what else the
    function takes, by type or argument; `decode` and `encode` replace how objects of a type are
    made of records and back; `calling` is the class of the last component. ConfigError says what
    does not fit the signature.

        run([*pipe(speed, {Location: csv}), JsonOutput(path="speeds.jsonl")])
    """
    signature = signature_of(function)
    decode = dict(decode or {})
    call = calling(
        function=function,
        provide=dict(provide or {}),
        decode=decode,
        encode=dict(encode or {}),
        names=_names(signature),
    )
    _check(signature, join, window)
    if join is None:
        own = _input_of(signature.element, inputs, signature)
        if window is None:
            return [own, call]
        decoded = decode.get(signature.element) or decoder_of(signature.element)
        custom = signature.element in decode
        keyed = _keyed(window, (lambda record: decoded(record)) if custom else None)
        return [own, Valid(decode=decoded), keyed, call]
    call.tree = join.tree()  # type: ignore[misc]
    source = _join(join, inputs, signature, decode, disorder)
    if window is None:
        return [source, call]
    first = name_of(join.first)
    decoded = source.decode.get(first) or (lambda record: record)
    return [source, _keyed(window, lambda record: decoded(record[first])), call]


def _check(signature: Signature, join: Join | None, window: Window | None) -> None:
    name = signature.name
    if signature.windowed and window is None:
        raise ConfigError(f"{name}: takes a list of elements; say with window which ones")
    if window is not None and not signature.windowed:
        raise ConfigError(
            f"{name}: takes one element, and a window is many; make its first argument a list"
        )
    if window is not None and window.aggregate:
        raise ConfigError(f"{name}: takes the elements of a window, so leave out aggregate")
    if signature.matches and join is None:
        raise ConfigError(f"{name}: takes matches; say with join what is joined")
    if join is None:
        return
    streams = [name_of(one) for one in join.streams()]
    asked = [signature.element, *(match.right for match in signature.matches)]
    for kind in asked:
        if name_of(kind) not in streams:
            raise ConfigError(f"{name}: {name_of(kind)} does not stand in the join")
    if name_of(signature.element) != streams[0]:
        raise ConfigError(
            f"{name}: its first argument is {name_of(signature.element)}, and the join begins with "
            f"{streams[0]}"
        )
    pairs = {(on.to, name_of(stream)) for stream, on in join.conditions()}
    for match in signature.matches:
        if (name_of(match.left), name_of(match.right)) not in pairs:
            raise ConfigError(
                f"{name}: argument {match.name!r}: {name_of(match.right)} is not joined to "
                f"{name_of(match.left)}"
            )


def _names(signature: Signature) -> dict[str, str]:
    if not signature.matches:
        return {}
    names = {signature.first: name_of(signature.element)}
    return {**names, **{match.name: name_of(match.right) for match in signature.matches}}


def _input_of(kind: Any, inputs: Mapping[Any, Input], signature: Signature) -> Input:
    for key, one in inputs.items():
        if key is kind or name_of(key) == name_of(kind):
            return one
    raise ConfigError(f"{signature.name}: no input is given for {name_of(kind)}")


def _join(
    join: Join,
    inputs: Mapping[Any, Input],
    signature: Signature,
    decode: Mapping[Any, Callable[[Any], Any]],
    disorder: str,
) -> JoinInput:
    streams = join.streams()
    decoders = {
        name_of(one): decode.get(one) or decoder_of(one) for one in streams if isinstance(one, type)
    }
    return JoinInput(
        inputs={name_of(one): _input_of(one, inputs, signature) for one in streams},
        on={name_of(stream): on for stream, on in join.conditions()},
        shape="nested",
        decode=decoders,
        disorder=disorder,  # type: ignore[arg-type]
    )


def _keyed(window: Window, element: Callable[[Any], Any] | None) -> Window:
    """The window with keys that are read from the element in a record."""
    if element is None:
        return window

    def inside(given: Any) -> Any:
        key = Key(given, attributes=True)
        if isinstance(given, Expr):
            return _Inside(given, element)
        return lambda record: key.function(element(record))

    changed: dict[str, Any] = {}
    for name in ("time", "key"):
        if getattr(window, name) is not None:
            changed[name] = inside(getattr(window, name))
    if window.by:
        raise ConfigError("a window of joined or decoded elements takes no by")
    return replace(window, **changed)


class _Inside(Expr):
    """An expression of the element in a record."""

    __slots__ = ("element", "expression")

    def __init__(self, expression: Expr, element: Callable[[Any], Any]) -> None:
        self.expression, self.element = expression, element

    def source(self, code: Any) -> str:
        inner = self.expression.function(attributes=True)
        return f"{code.name(inner)}({code.name(self.element)}(r))"

    def of_nothing(self) -> Any:
        return self.expression.of_nothing()

    def __repr__(self) -> str:
        return repr(self.expression)
