"""What runs jobs inside one child, as the storage thread sees it: threads, an event loop, and one set of slots."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection, Sequence

from .. import outcome
from ..brokers.records import Claimed, Outcome
from ..errors import Cancelled, LostLease
from ..retry import NEVER
from .attempt import Attempt, Tasks, now
from .batching import Batching
from .coroutines import LoopPool
from .deadlines import PATIENCE, Deadlines
from .slots import Results, Slots
from .threads import ThreadPool
from .transactional import Transactional


class Executors:
    """Runs claimed jobs in at most `concurrency` slots; outcomes come to `results`.

    `on_stuck` hears of attempts that do not stop at their time limits. `app` and `log_level` are for isolated jobs;
    without `app` (a worker inside the user's own process) those run on a thread. `transactional` runs the tasks that
    complete in transactions of their own. `wake_broker` ends the storage thread's wait inside the broker. `on_idle` is
    called in each thread that has found no further job.
    """

    def __init__(
        self,
        tasks: Tasks,
        page: memoryview,
        concurrency: int,
        *,
        wake_broker: Callable[[], None],
        on_stuck: Callable[[Attempt], None] | None = None,
        patience: float = PATIENCE,
        app: str | None = None,
        log_level: str = "INFO",
        transactional: Transactional | None = None,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        self.slots = Slots(concurrency, page)
        self.results = Results(wake_broker)
        self.batching = Batching()
        self._deadlines = Deadlines(self.slots, on_stuck, patience)
        self._threads = ThreadPool(
            tasks,
            self.slots,
            self.results,
            self._deadlines,
            app=app,
            log_level=log_level,
            transactional=transactional,
            on_idle=on_idle,
        )
        self._loop = LoopPool(tasks, self.slots, self.results, self._deadlines, transactional)
        self._pools = (self._threads, self._loop)
        self._on_loop = frozenset(
            name for name, task in tasks.items() if task.is_async and not (task.isolate and app is not None)
        )
        _alive.add(self)

    @property
    def waiting(self) -> int:
        """Jobs that were handed out and have not begun."""
        return len(self._threads.jobs) + len(self._loop.jobs)

    def hand_out(self, jobs: Sequence[Claimed]) -> None:
        """Take a fresh batch and wake as many executors as it is worth."""
        if self._on_loop:
            self._loop.jobs.extend([job for job in jobs if job.task in self._on_loop])
            self._threads.jobs.extend([job for job in jobs if job.task not in self._on_loop])
        else:
            self._threads.jobs.extend(jobs)
        self._wake(self.batching.threads_at_first(len(self._threads.jobs)))

    def widen(self) -> None:
        """Wake more executors when the batch takes longer than was thought."""
        waiting = len(self._threads.jobs)
        busy = self.slots.busy()
        self._wake(self.batching.threads_by_now(waiting, busy) - busy if waiting else 0)

    def take_back(self) -> list[Outcome]:
        """Return the jobs that have not begun, as outcomes that hand them back uncharged."""
        return [outcome.handed_back(job) for pool in self._pools for job in pool.empty()]

    def stop(self, jobs: Collection[tuple[int, int]]) -> None:
        """Stop the jobs given as (row id, fence): running ones are interrupted, waiting ones never begin."""
        for attempt in self.slots.running():
            if (attempt.job.n, attempt.job.fence) in jobs:
                attempt.current.cancelled = True
                attempt.runner.interrupt(attempt, Cancelled)
        for pool in self._pools:
            for job in pool.remove(jobs):
                error = Cancelled("it was asked to stop before it started")
                self.results.put(outcome.raised(job, error, NEVER, now(), now()))
                self.results.report()

    def abandon(self) -> None:
        """Stop everything: somebody else may run these jobs now."""
        for pool in self._pools:
            pool.empty()
        for attempt in self.slots.running():
            attempt.current.lost = True
            attempt.runner.interrupt(attempt, LostLease)

    def close(self) -> None:
        """End the threads that run nothing; one that does is left to the end of the process."""
        for part in (*self._pools, self._deadlines):
            part.close()

    def _wake(self, threads: int) -> None:
        free = self.slots.free
        coroutines = min(len(free) - (threads > 0), len(self._loop.jobs))
        if coroutines > 0:
            self._loop.wake([free.popleft() for _ in range(coroutines)])
        for _ in range(min(threads, len(free))):
            self._threads.wake(free.popleft())


_alive: weakref.WeakSet[Executors] = weakref.WeakSet()


def _after_fork() -> None:
    """After a fork by a task, in its child: a body that returns there ends its process, and takes no parent's job."""
    for executors in list(_alive):
        for pool in executors._pools:
            pool.forget()


os.register_at_fork(after_in_child=_after_fork)
