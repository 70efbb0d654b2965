"""Synchronous tasks: persistent threads that take jobs from one deque (PY3, PY4)."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from ..brokers.records import Claimed, Outcome
from ..clock import Micros
from .attempt import Attempt, Tasks, begin, now
from .deadlines import Deadlines
from .execute import call
from .interrupt import Interruptible
from .isolation import Isolation
from .slots import Results, Slots
from .transactional import Transactional
from .waiting import PROMPT, Waiting

_log = logging.getLogger("comanda.worker")


class ThreadPool(Waiting):
    """Runs synchronous and isolated jobs; a thread works for each slot it is given."""

    def __init__(
        self,
        tasks: Tasks,
        slots: Slots,
        results: Results,
        deadlines: Deadlines,
        *,
        app: str | None,
        log_level: str,
        transactional: Transactional | None,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.tasks = tasks
        self.slots = slots
        self.results = results
        self.deadlines = deadlines
        self.app = app
        self.log_level = log_level
        self.transactional = transactional
        self.on_idle = on_idle
        self.idle: deque[_Thread] = deque()
        self.forked = False
        self.closed = False

    def wake(self, slot: int) -> None:
        """Let one more thread take jobs, in this slot. The thread that slept last is warm, so it comes first."""
        try:
            thread = self.idle.pop()
        except IndexError:
            thread = _Thread(self)
        thread.serve(slot)

    def close(self) -> None:
        """End the idle threads. One that still runs a job ends after it, or with the process: it is a daemon."""
        self.closed = True
        for thread in list(self.idle):
            thread.end()
        if self.transactional is not None:
            self.transactional.close()

    def forget(self) -> None:
        """After a fork, in the child: a body that returns here must not go on with its parent's jobs."""
        self.jobs.clear()
        self.forked = True


def _rest(on_idle: Callable[[], None]) -> None:
    try:
        on_idle()
    except Exception:  # noqa: BLE001 - a framework's own code, and the thread lives on
        _log.exception("letting go after the last job failed")


class _Thread:
    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._bell: SimpleQueue[int | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="comanda-job", daemon=True)
        self._thread.start()

    def serve(self, slot: int) -> None:
        self._bell.put(slot)

    def end(self) -> None:
        self._bell.put(None)
        self._thread.join()

    def _run(self) -> None:
        pool = self._pool
        interruptible = Interruptible()
        while (slot := self._bell.get()) is not None:
            self._drain(slot, interruptible)
            if pool.forked:
                os._exit(0)
            if pool.closed:
                return
            pool.idle.append(self)
            pool.results.report_idle(last=pool.slots.give_back(slot))
            if pool.on_idle is not None:
                _rest(pool.on_idle)

    def _drain(self, slot: int, interruptible: Interruptible) -> None:
        pool = self._pool
        take, put, page = pool.jobs.popleft, pool.results.put, pool.slots.page
        started = reported = now()
        while True:
            try:
                job = take()
            except IndexError:
                return
            page[slot] = job.n
            outcome = self._execute(slot, job, started, interruptible)
            put(outcome)
            started = outcome.finished_at
            if not 0 <= started - reported <= PROMPT:
                pool.results.report()
                reported = started

    def _execute(self, slot: int, job: Claimed, started: Micros, interruptible: Interruptible) -> Outcome:
        pool = self._pool
        attempt = begin(job, pool.tasks, started)
        if isinstance(attempt, Outcome):
            return attempt
        if attempt.task.isolate and pool.app is not None:
            return Isolation(attempt, pool.app, pool.log_level, pool.deadlines).run(pool.slots, slot)
        if attempt.task.transactional and pool.transactional is not None:
            return pool.transactional.run(attempt, lambda: self._call(slot, attempt, interruptible))
        return self._call(slot, attempt, interruptible)

    def _call(self, slot: int, attempt: Attempt, interruptible: Interruptible) -> Outcome:
        pool = self._pool
        attempt.runner = interruptible
        pool.slots.occupy(slot, attempt)
        if attempt.deadline is not None:
            pool.deadlines.watch(attempt.deadline)
        value, error = interruptible.call(attempt, call)
        pool.slots.vacate(slot)
        if error is None:
            return attempt.returned(value, now())
        return attempt.raised(error, now())
