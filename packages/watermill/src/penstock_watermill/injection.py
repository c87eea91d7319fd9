"""What a processing function takes besides elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Injector", "provisions"]


class Injector:
    """Objects by their types, or functions that make them."""

    def __init__(self) -> None:
        self.prepared: dict[Any, Any] = {}

    def prepare(self, kind: Any, made: Any) -> None:
        """Give `made`, or what it returns when it is called, to arguments of type `kind`."""
        self.prepared[kind] = made


class _Delivered(Mapping[Any, Any]):
    """An injector of somebody else's, which is asked for every type."""

    def __init__(self, injector: Any) -> None:
        self.injector = injector

    def __getitem__(self, kind: Any) -> Any:
        return self.injector.deliver(kind)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def provisions(injector: Any, kinds: Mapping[str, Any]) -> dict[Any, Any]:
    """What an injector gives for the types of these arguments, by type."""
    if injector is None:
        return {}
    if isinstance(injector, Injector):
        return dict(injector.prepared)
    if isinstance(injector, Mapping):
        return dict(injector)
    asked = _Delivered(injector)
    return {kind: asked[kind] for kind in kinds.values()}
