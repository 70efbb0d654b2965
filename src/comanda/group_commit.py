"""One write path a process: callers that arrive together share a transaction and its durable commit (SQ1, R42).

A thread that finds nobody committing leads exactly one batch and hands the lead to the first waiter; nobody waits to
fill a batch. A leader that served until nobody waited starved one of 32 threads: 1 call against 1,037.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from .brokers.base import ENQUEUE_LIMIT
from .brokers.records import Enqueued, NewJob
from .errors import BrokerTimeout, ComandaError, EnqueueUncertain
from .ids import to_text

BATCH_BYTES = 16 * 1024 * 1024
"""Payload bytes in one transaction at most (design section 3)."""

Commit = Callable[[Sequence[NewJob]], list[Enqueued]]


class _Request:
    """One caller and its jobs. `turn` is released when it is answered or has to lead."""

    __slots__ = ("answers", "error", "jobs", "lead", "taken", "turn")

    def __init__(self, jobs: Sequence[NewJob]) -> None:
        self.jobs = jobs
        self.answers: list[Enqueued] = []
        self.error: BaseException | None = None
        self.lead = False
        self.taken = False
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit:
    """Gathers enqueues of many threads into few commits. `deadline` in seconds bounds each call (R24)."""

    def __init__(self, commit: Commit, deadline: float) -> None:
        self._commit = commit
        self._deadline = deadline
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._busy = False

    def submit(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store `jobs` and return the answers in their order, after the commit that made them durable.

        Raises BrokerTimeout when the deadline passed before the write was sent (there is no job), EnqueueUncertain
        when it passed after, and what the broker raised otherwise.
        """
        request = _Request(jobs)
        with self._lock:
            if self._busy:
                self._waiting.append(request)
            else:
                self._busy = request.lead = True
        if not request.lead:
            self._wait(request)
        if request.lead:
            self._lead(request)
        if request.error is not None:
            raise request.error
        return request.answers

    def _wait(self, request: _Request) -> None:
        if request.turn.acquire(timeout=self._deadline):
            return
        with self._lock:
            if request.lead or not request.turn.locked():
                return  # answered or called to lead in this very moment
            if request.taken:
                raise EnqueueUncertain(to_text(request.jobs[0].id))
            self._waiting.remove(request)
        raise BrokerTimeout(
            f"enqueue waited {self._deadline:g} s behind other writes of this process; nothing was written"
        )

    def _lead(self, own: _Request) -> None:
        with self._lock:
            batch = self._take(own)
        try:
            self._commit_all(batch)
        finally:
            with self._lock:
                if self._waiting:
                    heir = self._waiting.popleft()
                    heir.lead = heir.taken = True
                    heir.turn.release()
                else:
                    self._busy = False
            for request in batch:
                if request is not own:
                    request.turn.release()

    def _take(self, own: _Request) -> list[_Request]:
        """Return the leader's request and those that wait, up to the limits of one transaction."""
        batch = [own]
        jobs, size = len(own.jobs), _bytes(own)
        while self._waiting:
            following = self._waiting[0]
            jobs, size = jobs + len(following.jobs), size + _bytes(following)
            if jobs > ENQUEUE_LIMIT or size > BATCH_BYTES:
                break
            following.taken = True
            batch.append(self._waiting.popleft())
        return batch

    def _commit_all(self, batch: list[_Request]) -> None:
        jobs = batch[0].jobs if len(batch) == 1 else [job for request in batch for job in request.jobs]
        try:
            answers = self._commit(jobs)
        except BaseException as error:  # noqa: BLE001 - every caller of the batch gets its own copy; interrupts pass on as well
            for request in batch:
                request.error = error_for_caller(error)
            batch[0].error = error
            return
        start = 0
        for request in batch:
            request.answers = answers[start : start + len(request.jobs)]
            start += len(request.jobs)


def _bytes(request: _Request) -> int:
    return sum(len(job.payload) for job in request.jobs)


def error_for_caller(error: BaseException) -> BaseException:
    """Return a caller's own copy of a shared commit's error: one object would collect everybody's tracebacks."""
    if isinstance(error, ComandaError):
        copy = type(error).__new__(type(error))
        copy.__dict__.update(error.__dict__)
        copy.args = error.args
        return copy
    if isinstance(error, Exception):
        return error
    return BrokerTimeout(f"the write was interrupted by {type(error).__name__} in another thread; enqueue again")
