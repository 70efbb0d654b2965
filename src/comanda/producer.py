"""The process's write path in both colours.

Threads commit by themselves (`group_commit`). Coroutines hand their jobs to one storage thread and await the same
commits by a future: no event loop is blocked by a database and no verb is written twice (style guide section 6).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from .brokers.base import ENQUEUE_LIMIT, Broker
from .brokers.records import Enqueued, NewJob
from .errors import BrokerTimeout, EnqueueUncertain
from .group_commit import BATCH_BYTES, GroupCommit
from .ids import to_text
from .storage_thread import StorageThread, call, fail
from .transactions import innermost, refuse_inside

T = TypeVar("T")

_Waiting = tuple[Sequence[NewJob], "asyncio.Future[list[Enqueued]]"]


class Producer:
    """Enqueues through one broker. Thread-safe; usable from any number of event loops."""

    def __init__(self, broker: Broker, deadline: float) -> None:
        self._broker = broker
        self._deadline = deadline
        self._storage = StorageThread()
        self._reset()

    def _reset(self) -> None:
        self._commits = GroupCommit(self._broker.enqueue, self._deadline)
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store jobs durably; errors as `GroupCommit.submit`, ConfigurationError inside `app.transaction()`."""
        if innermost.get() is not None:
            refuse_inside(self._broker)
        return self._commits.submit(jobs)

    async def aenqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """The same for coroutines: those that enqueue in one turn of their loop are handed over together.

        A coroutine that is cancelled before its jobs were handed over leaves none behind; later, there may be some.
        """
        refuse_inside(self._broker)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Enqueued]] = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            loop.call_soon(self._hand_over, loop)
        gathered.append((jobs, future))
        return await future

    async def run(self, step: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """Run a blocking broker call on the storage thread; see `StorageThread.run`."""
        return await self._storage.run(step, undo)

    def close(self) -> None:
        """End the storage thread after what it has been given."""
        self._storage.close()

    def forget(self) -> None:
        """After a fork, in the child: the threads and waiters of the parent do not exist here."""
        self._reset()
        self._storage.forget()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        for waiting in _transactions(self._gathered.pop(loop)):
            handed = _Handed(loop, waiting)
            timer = loop.call_later(self._deadline, handed.give_up)
            self._storage.put(partial(handed.commit, self._commits, timer))


class _Handed:
    """Coroutines of one loop that share a commit: handed over in time, or given up before the write was sent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, waiting: list[_Waiting]) -> None:
        self._loop = loop
        self._waiting = waiting
        self._lock = threading.Lock()
        self._sent = False
        self._given_up = False

    def commit(self, commits: GroupCommit, timer: asyncio.TimerHandle) -> None:
        """On the storage thread: store the jobs of those who still wait."""
        with self._lock:
            if self._given_up:
                return
            self._sent = True
        waiting = [(jobs, future) for jobs, future in self._waiting if not future.cancelled()]
        try:
            answers = commits.submit([job for jobs, _ in waiting for job in jobs]) if waiting else []
        except EnqueueUncertain as error:
            call(self._loop, self._fail_each, error.reason)
        except Exception as error:  # noqa: BLE001 - each coroutine raises it in its own frame
            call(self._loop, _fail_all, waiting, error)
        else:
            call(self._loop, _settle, waiting, answers)
        call(self._loop, timer.cancel)

    def give_up(self) -> None:
        """On the loop, after the deadline."""
        with self._lock:
            self._given_up = not self._sent
        if self._given_up:
            error = BrokerTimeout("enqueue waited behind other work of this process; nothing was written")
            _fail_all(self._waiting, error)
        else:
            self._fail_each("the deadline passed after the write was sent")

    def _fail_each(self, reason: str) -> None:
        for jobs, future in self._waiting:
            fail(future, EnqueueUncertain(to_text(jobs[0].id), reason))


def _transactions(waiting: list[_Waiting]) -> list[list[_Waiting]]:
    """Cut what one turn of a loop gathered into transactions of a size that others may have to wait for."""
    cut: list[list[_Waiting]] = [[]]
    count = size = 0
    for jobs, future in waiting:
        length = sum(len(job.payload) for job in jobs)
        if cut[-1] and (count + len(jobs) > ENQUEUE_LIMIT or size + length > BATCH_BYTES):
            cut.append([])
            count = size = 0
        cut[-1].append((jobs, future))
        count, size = count + len(jobs), size + length
    return cut


def _settle(waiting: list[_Waiting], answers: list[Enqueued]) -> None:
    start = 0
    for jobs, future in waiting:
        if not future.done():
            future.set_result(answers[start : start + len(jobs)])
        start += len(jobs)


def _fail_all(waiting: list[_Waiting], error: Exception) -> None:
    for _, future in waiting:
        fail(future, error)
