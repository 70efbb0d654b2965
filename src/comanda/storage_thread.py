"""The thread on which coroutines have blocking broker calls done: no event loop is blocked by a database."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from .errors import copied
from .joining import join

T = TypeVar("T")

_log = logging.getLogger("comanda.storage")


class StorageThread:
    """One thread a process, begun by the first step. Steps run in the order in which they were put."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """After a fork, in the child: the thread and the coroutines that wait for it do not exist here."""
        self._lock = threading.Lock()
        self._steps: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, step: Callable[[], object]) -> None:
        """Have `step` run soon."""
        with self._lock:
            if self._thread is None:
                self._steps = SimpleQueue()
                self._thread = threading.Thread(target=_serve, args=(self._steps,), name="comanda-storage", daemon=True)
                self._thread.start()
            self._steps.put(step)

    async def run(self, step: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """Run `step` there and return what it returns, or raise what it raises.

        `undo` runs there too, with that answer, when the coroutine was cancelled meanwhile and nobody gets it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        awaited = _Awaited(self, step, undo, future)
        self.put(awaited.run)
        try:
            return await future
        except asyncio.CancelledError:
            # Cancelled after the answer came, before this coroutine went on: the future itself cannot tell.
            if future.done() and not future.cancelled() and future.exception() is None:
                awaited.discard(future.result())
            raise

    def close(self) -> None:
        """End the thread after what it has been given."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._steps.put(None)
        join(thread)


class _Awaited(Generic[T]):
    """A step that a coroutine awaits."""

    def __init__(
        self,
        thread: StorageThread,
        step: Callable[[], T],
        undo: Callable[[T], object] | None,
        future: asyncio.Future[T],
    ) -> None:
        self._thread = thread
        self._step = step
        self._undo = undo
        self._future = future

    def run(self) -> None:
        loop = self._future.get_loop()
        try:
            answer = self._step()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the coroutine that waits
            call(loop, fail, self._future, error)
        else:
            if not call(loop, self._settle, answer):
                self.discard(answer)

    def discard(self, answer: T) -> None:
        """Nobody gets this answer."""
        if self._undo is not None:
            self._thread.put(partial(self._undo, answer))

    def _settle(self, answer: T) -> None:
        if self._future.done():
            self.discard(answer)
        else:
            self._future.set_result(answer)


def _serve(steps: SimpleQueue[Callable[[], object] | None]) -> None:
    while (step := steps.get()) is not None:
        try:
            step()
        except Exception:  # noqa: BLE001 - what a step has to say to a coroutine it says by its future; this is the rest
            _log.exception("a step on the storage thread failed")


def call(loop: asyncio.AbstractEventLoop, callback: Callable[..., Any], *arguments: Any) -> bool:
    """Have `callback` called on a loop; False when the loop was closed meanwhile and nobody waits any more."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        return False
    return True


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Raise `error` in whoever awaits `future`, if somebody still does."""
    if not future.done():
        future.set_exception(copied(error))
