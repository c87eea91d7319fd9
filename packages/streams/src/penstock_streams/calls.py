"""Functions whose signature says what they take: elements, windows, matches, what is provided."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from penstock import ConfigError, Context, Inspector, RecordError, Transformer, component, option

from .codecs import Decode, decoder_of, encode
from .declared import Beside, loaded
from .shapes import Tree
from .signatures import EndOfStream, Signature, signature_of

__all__ = ["Call", "Matches", "Valid"]


class Matches(Mapping[Any, Any]):
    """Matches by the element itself, for elements that cannot be hashed."""

    def __init__(self) -> None:
        self._items: dict[int, tuple[Any, list[Any]]] = {}

    def __setitem__(self, element: Any, matches: list[Any]) -> None:
        self._items[id(element)] = element, matches

    def __getitem__(self, element: Any) -> list[Any]:
        found = self._items.get(id(element))
        if found is not None:
            return found[1]
        for one, matches in self._items.values():
            if one == element:
                return matches
        raise KeyError(element)

    def __iter__(self) -> Iterator[Any]:
        return (element for element, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)


def _function(value: Any) -> None:
    if not callable(value) and not (isinstance(value, str) and ":" in value):
        raise ValueError("must be a function, or its name as 'module:function'")


@component
class Call(Transformer):
    """Call a function with what its signature asks for.

    Records become objects of the annotated types, and results become records. What is wrong with a
    record is said with the name of the field.
    """

    function: Annotated[Any, Beside()] = option(
        help="The function, or its name: 'module:function'.",
        check=_function,
        example="speeds:speed",
    )
    provide: Annotated[dict[Any, Any], Beside()] = option(
        default={},
        help="What else it takes: by argument or, in Python, by type; a value, a function that "
        "makes it when the run begins, or the name of one as 'module:function'.",
        example={"db": "speeds:connect"},
    )
    names: dict[str, str] = option(
        default={},
        help="Of a join: the input whose records an argument is, where it has another name.",
        example={"nexts": "locations"},
    )
    decode: dict[Any, Callable[..., Any]] = option(
        default={}, help="In Python: functions that make of a record an object of that type."
    )
    encode: dict[Any, Callable[..., Any]] = option(
        default={}, help="In Python: functions that make a record of a result of that type."
    )

    tree: ClassVar[Tree | None] = None
    """What the joined records look like, where the signature does not show all of it."""

    def check(self) -> None:
        function = getattr(self.function, "found", self.function)
        if callable(function):
            self._check_provided(signature_of(function))

    def _check_provided(self, signature: Signature) -> None:
        for name, kind in signature.provided.items():
            if kind is not Context and self._provider(name, kind) is None:
                shown = getattr(kind, "__name__", str(kind))
                raise ConfigError(
                    f"{signature.name}: nothing is provided for argument {name!r}; say what with "
                    f"provide, by the name or by the type {shown}"
                )

    def _provider(self, name: str, kind: Any) -> tuple[Any] | None:
        for key, value in self.provide.items():
            if key == name or key is kind:
                return (value,)
        for key, value in self.provide.items():
            if isinstance(key, type) and isinstance(kind, type) and issubclass(key, kind):
                return (value,)
        return None

    # ---- as a stage -----------------------------------------------------------------------------

    def open(self, context: Context) -> None:
        super().open(context)
        self.satisfied = False
        self._made: list[Any] = []
        function = loaded(self.function)
        self._signature = signature = signature_of(function)
        self._check_provided(signature)
        self._call = function
        self._given = {
            name: self._provided(name, kind) for name, kind in signature.provided.items()
        }
        self._yields = inspect.isgeneratorfunction(function)
        self._decode = self._decoder(signature.element)
        if signature.matches:
            self._plan()

    def close(self) -> None:
        while getattr(self, "_made", None):
            close = getattr(self._made.pop(), "close", None)
            if callable(close):
                close()

    def transform(self, record: Any) -> Iterator[Any]:
        if self.satisfied:
            return
        arguments, given = self._arguments(record)
        result = self._call(*arguments, **given)
        if not self._yields and not isinstance(result, Iterator):
            if result is None:
                return
            result = (result,)
        for one in result:
            if isinstance(one, EndOfStream):
                self.satisfied = True
                return
            if one is None:
                raise RecordError(f"{self._signature.name} yielded None; yield results only")
            yield self.encoded(one)

    def encoded(self, result: Any) -> Any:
        """The record of a result."""
        own = self.encode.get(type(result))
        return encode(result) if own is None else own(result)

    def give(self, kind: Any, value: Any) -> None:
        """Give another value to the arguments of this type from now on."""
        for name, asked in self._signature.provided.items():
            if asked is kind:
                self._given[name] = value

    # ---- arguments ------------------------------------------------------------------------------

    def _decoder(self, kind: Any) -> Decode:
        return self.decode.get(kind) or decoder_of(kind)

    def _provided(self, name: str, kind: Any) -> Any:
        if kind is Context:
            return self.context
        found = self._provider(name, kind)
        assert found is not None
        (value,) = found
        if kind is not str:
            value = loaded(value)
        if (isinstance(kind, type) and isinstance(value, kind)) or not callable(value):
            return value
        made = value()
        self._made.append(made)
        return made

    def _arguments(self, record: Any) -> tuple[list[Any], dict[str, Any]]:
        signature = self._signature
        if not signature.matches:
            if signature.windowed:
                records = self._field(record, "records")
                return [[self._decode(one) for one in records]], self._given
            return [self._decode(record)], self._given
        found: dict[str, Any] = {one.name: self._empty(one.left) for one in signature.matches}
        if signature.windowed:
            records = self._field(record, "records")
            element: Any = [self._joined(self._tree, one, found) for one in records]
        else:
            element = self._joined(self._tree, record, found)
        return [element], {**found, **self._given}

    def _field(self, record: Any, name: str) -> Any:
        if not isinstance(record, Mapping) or name not in record:
            what = "a window" if name == "records" else "a nested join"
            raise RecordError(
                f"the record has no {name!r}: {self._signature.name} takes what comes of {what}"
            )
        return record[name]

    # ---- what is joined -------------------------------------------------------------------------

    def _plan(self) -> None:
        """Find for every argument the part of the join that it is."""
        signature = self._signature
        names = {signature.first: self.names.get(signature.first, signature.first)}
        types = {_key(signature.element): signature.first}
        for match in signature.matches:
            names[match.name] = self.names.get(match.name, match.name)
            types[_key(match.right)] = match.name
        self._decoders = {names[signature.first]: self._decode}
        self._pairs: dict[tuple[str, str], str] = {}
        children: dict[str, list[str]] = {name: [] for name in names.values()}
        for match in signature.matches:
            left = types.get(_key(match.left))
            if left is None:
                raise ConfigError(
                    f"{signature.name}: argument {match.name!r} belongs to {match.left!r}, which "
                    "no other argument is"
                )
            self._decoders[names[match.name]] = self._decoder(match.right)
            self._pairs[names[left], names[match.name]] = match.name
            children[names[left]].append(names[match.name])
        self._tree = self.tree or _tree(names[signature.first], children)

    def _empty(self, kind: Any) -> Any:
        return {} if getattr(kind, "__hash__", None) else Matches()

    def _joined(self, tree: Tree, record: Any, found: dict[str, Any]) -> Any:
        """The element of a nested record, its matches put into `found`."""
        if not tree.parts:
            return self._one(tree.name, record)
        element = self._one(tree.name, self._field(record, tree.name))
        for part in tree.parts:
            matches = [self._joined(part, one, found) for one in self._field(record, part.name)]
            argument = self._pairs.get((tree.name, part.name))
            if argument is not None:
                found[argument][element] = matches
        return element

    def _one(self, name: str, record: Any) -> Any:
        decode = self._decoders.get(name)
        return record if decode is None else decode(record)


def _key(kind: Any) -> Any:
    """Types are told apart by what they are; `dict[str, Any]` is made anew each time."""
    return kind if isinstance(kind, type) else repr(kind)


def _tree(name: str, children: Mapping[str, list[str]]) -> Tree:
    return Tree(name, [_tree(child, children) for child in children[name]])


@component
class Valid(Inspector):
    """Set records aside that do not become an object of a type, before they are in a window."""

    decode: Callable[..., Any] = option(help="The function that makes the object, or raises.")

    def inspect(self, record: Any) -> None:
        self.decode(record)
