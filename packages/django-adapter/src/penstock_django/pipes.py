"""A pipe: one step of a pipeline, put together with others by inheritance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from .registry import pipeline
from .units import save_now

if TYPE_CHECKING:
    from .sessions import Session

__all__ = ["Bag", "Pipe", "PipeBreak", "PipeContinue", "PipeError", "PipeIgnore"]


class PipeContinue(BaseException):
    """Stop the processing of this item. What it has done so far stays; `value` is its result."""

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value


class PipeIgnore(BaseException):
    """Roll this item back, and go on with the next one."""


class PipeBreak(BaseException):
    """Roll this item back, keep those before it, and do not process the rest."""


class PipeError(Exception):
    """Stop, and roll back every item of the run."""


class Bag(dict[str, Any]):
    """A dict whose keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"nobody has put {name!r} there") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"nobody has put {name!r} there") from None


class Pipe:
    """One step. Override `prepare`, `process` or `finish`, call `super()` and return its value.

    `self.item` is the item, `self.old_results` what it gave the last time. What is put on `self`
    lives for this item, on `self.local` for all items of this run of the pipeline, on
    `self.context` for the session: pipelines that this one depends on or triggers find it there.
    """

    depends: ClassVar[Sequence[str]] = ()
    """Pipelines that run before, over the same items and with the same context."""
    force_direct_save: ClassVar[bool] = False
    track: ClassVar[bool] = True
    """Whether it is noted what an item gave; without it nothing is replaced the next time."""
    _enable_reparse: ClassVar[bool] = True

    Ignore = PipeIgnore
    Break = PipeBreak
    Continue = PipeContinue
    Error = PipeError
    register = staticmethod(pipeline)

    def __init__(self, session: Session, local: Bag, item: Any = None) -> None:
        self.session = session
        self.local = local
        self.context = session.context
        self.item = item
        self.old_results: Sequence[Any] = ()
        self._to_save: list[Any] = []

    # ---- what a pipe overrides ------------------------------------------------------------------

    def prepare(self, items: Any) -> Any:
        """Called once with all items, on a pipe of its own; the items to process are returned."""
        return items

    def process(self) -> Any:
        """Called for each item, on a pipe of its own; what is returned is its result, if it is not
        None."""
        return self.item

    def finish(self, results: list[Any]) -> Any:
        """Called once with the results, when every item was processed; not after an error."""
        return results

    # ---- what a pipe calls ----------------------------------------------------------------------

    def add_to_save(
        self, *objects: Any, direct_save: bool | None = None, return_list: bool | None = None
    ) -> Any:
        """Save model objects, many at once, when the item is done; they are what the item gave, and
        are replaced when it is processed again.

        With `direct_save` they are saved now, and have their primary keys. The object is returned,
        or the tuple of several; `return_list` says which of the two.
        """
        if direct_save is None:
            direct_save = self.force_direct_save or self.session.direct_save
        if direct_save:
            save_now(self.session, objects)
        else:
            self._to_save.extend(objects)
        as_list = len(objects) != 1 if return_list is None else return_list
        return objects if as_list else objects[0]

    def _continue(self, value: Any = None, ignore: bool = False) -> NoReturn:
        """Stop this item and keep what it did; its result is `value`, or the item. With `ignore` it
        has none."""
        raise PipeContinue(None if ignore else self.item if value is None else value)

    def ignore(self, message: str | None = None) -> NoReturn:
        """Roll this item back and go on; the message is logged."""
        raise PipeIgnore(message)

    def _break(self) -> NoReturn:
        """Roll this item back and stop; items before it stay."""
        raise PipeBreak

    def remember(self, tracks: Sequence[Any]) -> None:
        """Called before what the item gave the last time is deleted: it is in `old_results`."""
        from .tracking import created_by

        self.old_results = created_by(tracks)

    @classmethod
    def eval(cls, item: Any, **options: Any) -> Any:
        """Run this pipe alone over one item: its result, or None."""
        from .sessions import get_session

        session = get_session(**options)
        session.run([item], pipe=cls)
        return session.results[0] if session.results else None
