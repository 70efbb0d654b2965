"""Asynchronous tasks: one event loop on a thread of its own, one asyncio.Task for each running job."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Sequence
from functools import cached_property

from ..brokers.records import Outcome
from .attempt import Attempt, Interrupt, Tasks, begin, now
from .deadlines import Deadlines
from .execute import acall
from .slots import Results, Slots
from .transactional import Transactional
from .waiting import PROMPT, Waiting

_log = logging.getLogger("comanda.worker")


class LoopPool(Waiting):
    """Runs coroutine jobs; one coroutine works for each slot it is given."""

    def __init__(
        self,
        tasks: Tasks,
        slots: Slots,
        results: Results,
        deadlines: Deadlines,
        transactional: Transactional | None,
    ) -> None:
        super().__init__()
        self._tasks = tasks
        self._slots = slots
        self._results = results
        self._deadlines = deadlines
        self._transactional = transactional
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._handles: dict[Attempt, asyncio.Task[None]] = {}
        self._reported = 0
        self._closing = False
        self._forked = False

    def wake(self, slots: Sequence[int]) -> None:
        """Let coroutines take jobs, one in each of these slots: one hand-over for the whole batch."""
        self._loop.call_soon_threadsafe(self._begin, slots)

    def interrupt(self, attempt: Attempt, kind: Interrupt) -> bool:
        """Cancel the coroutine of `attempt`; False when it was interrupted before."""
        with self._lock:
            if attempt.interrupted is not None:
                return False
            attempt.interrupted = kind
        self._loop.call_soon_threadsafe(self._cancel, attempt)
        return True

    def kill(self, attempt: Attempt) -> bool:
        """A coroutine that swallows its cancellation cannot be ended by force."""
        return False

    def close(self) -> None:
        """End the loop. A coroutine that still runs is left as it is: the process is about to end."""
        self._closing = True
        if self._thread is not None and not self._handles:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def forget(self) -> None:
        """After a fork, in the child: a coroutine that returns here must not go on with its parent's jobs."""
        self.jobs.clear()
        self._forked = True

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop, started by the first batch: a child without coroutines has none."""
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(loop,), name="comanda-loop", daemon=True)
        self._thread.start()
        return loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not self._closing:
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - SystemExit in a task's own asyncio.Task gets as far as here
                _log.error("a background coroutine of a task raised %s; the loop goes on", type(error).__name__)
        if self._transactional is not None:
            loop.run_until_complete(self._transactional.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _begin(self, slots: Sequence[int]) -> None:
        self._reported = now()
        for slot in slots:
            self._next(slot)

    def _next(self, slot: int) -> None:
        """Start the next job in this slot, or give the slot back."""
        while True:
            try:
                job = self.jobs.popleft()
            except IndexError:
                if self._forked:
                    os._exit(0)
                self._results.report_idle(last=self._slots.give_back(slot))
                return
            self._slots.page[slot] = job.n
            attempt = begin(job, self._tasks, now())
            if isinstance(attempt, Attempt):
                self._start(slot, attempt)
                return
            self._results.put(attempt)

    def _start(self, slot: int, attempt: Attempt) -> None:
        attempt.runner = self
        self._slots.occupy(slot, attempt)
        self._handles[attempt] = self._loop.create_task(self._run(slot, attempt), context=attempt.context())
        if attempt.deadline is not None:
            self._deadlines.watch(attempt.deadline)

    async def _run(self, slot: int, attempt: Attempt) -> None:
        if attempt.task.transactional and self._transactional is not None:
            outcome = await self._transactional.arun(attempt, lambda: acall(attempt))
        else:
            outcome = await acall(attempt)
        self._end(slot, attempt, outcome)

    def _end(self, slot: int, attempt: Attempt, outcome: Outcome) -> None:
        del self._handles[attempt]
        self._slots.vacate(slot)
        self._results.put(outcome)
        if not 0 <= outcome.finished_at - self._reported <= PROMPT:
            self._results.report()
            self._reported = outcome.finished_at
        self._next(slot)

    def _cancel(self, attempt: Attempt) -> None:
        handle = self._handles.get(attempt)
        if handle is not None:
            handle.cancel()
