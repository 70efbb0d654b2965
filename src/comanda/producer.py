"""The process's write path in both colours.

Threads commit by themselves (`group_commit`). Coroutines hand their jobs to one storage thread and await the same
commits by a future: no event loop is blocked by a database and no verb is written twice (style guide section 6).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from .brokers.base import Broker
from .brokers.records import Enqueued, NewJob
from .errors import EnqueueUncertain
from .group_commit import GroupCommit, error_for_caller
from .ids import to_text

T = TypeVar("T")

_Waiting = tuple[Sequence[NewJob], "asyncio.Future[list[Enqueued]]"]
_Work = Callable[[], None]


class Producer:
    """Enqueues through one broker. Thread-safe; usable from any number of event loops."""

    def __init__(self, broker: Broker, deadline: float) -> None:
        self._broker = broker
        self._deadline = deadline
        self._reset()

    def _reset(self) -> None:
        self._commits = GroupCommit(self._broker.enqueue, self._deadline)
        self._lock = threading.Lock()
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._gathered: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Waiting]] = WeakKeyDictionary()

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store jobs durably; errors as `GroupCommit.submit`."""
        return self._commits.submit(jobs)

    async def aenqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """The same for coroutines: those that enqueue in one turn of their loop are handed over together."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Enqueued]] = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
        if not gathered:
            loop.call_soon(self._hand_over, loop)
        gathered.append((jobs, future))
        return await future

    async def run(self, step: Callable[[], T]) -> T:
        """Run a blocking broker call on the storage thread and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                answer, error = step(), None
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it belongs to the coroutine that waits
                _call(loop, _settle, [(future, None, raised)])
            else:
                _call(loop, _settle, [(future, answer, error)])

        self._put(work)
        return await future

    def close(self) -> None:
        """End the storage thread after what it has been given."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._work.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def forget(self) -> None:
        """After a fork, in the child: the threads and waiters of the parent do not exist here."""
        self._reset()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._gathered.pop(loop)
        timer = loop.call_later(self._deadline, _give_up, waiting)
        self._put(lambda: self._commit_for(loop, waiting, timer))

    def _commit_for(self, loop: asyncio.AbstractEventLoop, waiting: list[_Waiting], timer: asyncio.TimerHandle) -> None:
        settled: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            answers = self._commits.submit([job for jobs, _ in waiting for job in jobs])
        except BaseException as error:  # noqa: BLE001 - each coroutine raises it in its own frame
            settled = [(future, None, error) for _, future in waiting]
        else:
            start = 0
            for jobs, future in waiting:
                settled.append((future, answers[start : start + len(jobs)], None))
                start += len(jobs)
        _call(loop, timer.cancel)
        _call(loop, _settle, settled)

    def _put(self, work: _Work) -> None:
        with self._lock:
            if self._thread is None:
                self._work = SimpleQueue()
                self._thread = threading.Thread(target=_serve, args=(self._work,), name="comanda-storage", daemon=True)
                self._thread.start()
            self._work.put(work)


def _serve(work: SimpleQueue[_Work | None]) -> None:
    while (step := work.get()) is not None:
        step()


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[..., Any], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
        return


def _settle(settled: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, answer, error in settled:
        if future.done():
            continue
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error_for_caller(error))


def _give_up(waiting: list[_Waiting]) -> None:
    """After the deadline: the storage thread is inside a write, so the jobs may come to exist."""
    _settle([(future, None, EnqueueUncertain(to_text(jobs[0].id))) for jobs, future in waiting])
