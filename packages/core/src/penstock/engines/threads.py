"""The threads engine: a thread per node, with queues bounded in batches and bytes between them.

A full queue blocks whoever fills it, so a slow output stops the reader. The first error anywhere
stops every thread and is raised on the caller's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..batch import EPOCH_END, Batch, size_of
from ..combine import ENDED
from ..options import ByteSize, component, option
from ..runs import copy_of

if TYPE_CHECKING:
    from ..runs import NodeRun, Run

__all__ = ["ThreadsEngine"]

_LOOKS = 8


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


@component
class ThreadsEngine:
    """Run every node on a thread of its own."""

    queue_batches: int = option(
        help="Batches that may wait before a node.", default=16, check=_positive
    )
    queue_bytes: ByteSize = option(
        help="Estimated bytes that may wait before a node; one batch is always let in.",
        default=16 * 1024 * 1024,
        example="16MiB",
        check=_positive,
    )

    def execute(self, run: Run) -> None:
        threads = _Threads(run, self.queue_batches, self.queue_bytes)
        run.waiting = threads.waiting
        run.left_over = threads.left_over
        run.polled = True
        threads.start()
        try:
            run.drive(threads.batches(), threads.push, threads.settle)
        except _RunOverError:
            pass  # an error on one of the threads got here first; it is raised below
        except BaseException as error:
            threads.error = threads.error or error  # the threads need not finish what they do
            raise
        finally:
            threads.stop()
        threads.raise_error()


class _RunOverError(Exception):
    """Ends a thread of a run that is over."""


class _Queue:
    """Batches waiting before one node. All queues of a run share one condition's lock."""

    def __init__(self, changed: Condition, batches: int, size: int) -> None:
        self.changed = changed
        self.limit, self.size_limit = batches, size
        self.waiting: deque[tuple[Any, int]] = deque()
        self.size = 0

    def full(self) -> bool:
        return len(self.waiting) >= self.limit or (
            bool(self.waiting) and self.size >= self.size_limit
        )


class _Threads:
    """The threads of one run and what they share."""

    def __init__(self, run: Run, batches: int, size: int) -> None:
        self.run = run
        self.lock = Condition()
        self.queues: dict[str, _Queue] = {}
        self.conditions: dict[str, Condition] = {}
        self.under_way = 0
        self.error: BaseException | None = None
        self.over = False
        self.threads: list[Thread] = []
        for node in run.nodes.values():
            # One lock, one condition per queue: a hand-over wakes only the thread it concerns.
            changed = Condition(self.lock._lock)  # type: ignore[attr-defined]
            self.queues[node.name] = _Queue(changed, batches, size)
            target = self._read if node.role == "input" else self._work
            self.threads.append(
                Thread(target=self._guard, args=(target, node), name=node.name, daemon=True)
            )

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        with self.lock:
            self.over = True
            for queue in self.queues.values():
                queue.changed.notify_all()
        cut_off = self.error is not None or self.run.stopping is not None
        until = monotonic() + (1.0 if cut_off else 5.0)
        for thread in self.threads:
            # A thread inside a blocking read of a client cannot be woken; it is a daemon.
            thread.join(timeout=max(0.0, until - monotonic()))

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def waiting(self) -> dict[str, int]:
        """Batches in each queue. No lock: who asks wants to look, not to hold up the threads."""
        return {name: len(queue.waiting) for name, queue in self.queues.items()}

    # ---- what the run calls ---------------------------------------------------------------------

    def batches(self) -> Iterator[tuple[str, Any]]:
        """What the readers' threads have read, in turn; as `combine.in_turn`. Comes back at least
        every 50 ms, so that a run can stop while every reader is blocked."""
        waiting = [node for node in self.run.nodes.values() if node.role == "input"]
        while waiting:
            quiet = True
            for node in list(waiting):
                if self.run.graph.after.get(node.name, set()) & {one.name for one in waiting}:
                    continue
                taken = self._take(self.queues[node.name], wait=0.05 if len(waiting) == 1 else 0.0)
                if taken is ENDED:
                    waiting.remove(node)
                quiet = quiet and taken is None
                if taken is not None:
                    yield node.name, taken
            if quiet and waiting:
                yield "", None

    def left_over(self, node: NodeRun) -> Iterator[Batch]:
        """What an input's thread has read and nobody has taken, in the order it was read. Until
        nothing comes: it may have had more in hand than there was room for. Not for ever: whoever
        sends may never pause."""
        component: Any = node.component
        for look in range(_LOOKS):
            with self.lock:
                waiting = self.queues[node.name].waiting
                taken = [batch for batch, _ in waiting if batch not in (ENDED, EPOCH_END)]
                waiting.clear()
                self.queues[node.name].size = 0
                # With the lock held, so that what is in hand cannot come between these.
                partial = component.partial()
                self.queues[node.name].changed.notify_all()
            yield from taken
            if partial is not None:
                yield partial
                return
            if look and not taken:
                return
            self.run.clock.sleep(0.05)

    def push(self, node: NodeRun, batch: Batch) -> None:
        """Put a batch before a node; waits while its queue is full."""
        size = size_of(batch)
        queue = self.queues[node.name]
        with self.lock:
            while queue.full() and not self.over and self.error is None:
                queue.changed.wait()
            self._check()
            queue.waiting.append((batch, size))
            queue.size += size
            self.under_way += 1
            queue.changed.notify_all()

    def settle(self) -> None:
        """Wait until no batch is waiting or being worked on."""
        with self.lock:
            while self.under_way and self.error is None:
                self.lock.wait()
        self.raise_error()

    # ---- the threads ----------------------------------------------------------------------------

    def _guard(self, target: Callable[[NodeRun], None], node: NodeRun) -> None:
        try:
            target(node)
        except _RunOverError:
            pass  # the run is over, and whoever ended it says why
        except BaseException as error:
            with self.lock:
                if self.error is None:
                    self.error = error
                self.lock.notify_all()
                for queue in self.queues.values():
                    queue.changed.notify_all()

    def _read(self, node: NodeRun) -> None:
        queue = self.queues[node.name]
        for batch in self.run.reader(node):
            if batch is None:
                if self.over:
                    return
                continue
            size = size_of(batch)
            with self.lock:
                while queue.full() and not self.over and self.error is None:
                    queue.changed.wait()
                self._check()
                queue.waiting.append((batch, size))
                queue.size += size
                queue.changed.notify_all()
        with self.lock:
            queue.waiting.append((ENDED, 0))
            queue.changed.notify_all()

    def _work(self, node: NodeRun) -> None:
        queue = self.queues[node.name]
        while True:
            with self.lock:
                while not queue.waiting and not self.over and self.error is None:
                    queue.changed.wait()
                self._check()
                batch, size = queue.waiting.popleft()
                queue.size -= size
                queue.changed.notify_all()
            for out in self.run.work(node, batch):
                for successor, copied in node.successors:
                    self.push(successor, copy_of(out) if copied else out)
            with self.lock:
                self.under_way -= 1
                if not self.under_way:
                    self.lock.notify_all()

    def _take(self, queue: _Queue, wait: float) -> Any:
        with self.lock:
            if not queue.waiting and wait and not self.over and self.error is None:
                queue.changed.wait(wait)
            if self.error is not None:
                raise self.error
            if not queue.waiting:
                return None
            batch, size = queue.waiting.popleft()
            queue.size -= size
            queue.changed.notify_all()
            return batch

    def _check(self) -> None:
        """With the lock held: leave when the run is over."""
        if self.over or self.error is not None:
            raise _RunOverError
