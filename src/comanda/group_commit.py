"""One write path a process: callers that arrive together share a transaction and its durable commit (SQ1, R42).

A thread that finds nobody committing leads exactly one batch and hands the lead to the first waiter; nobody waits to
fill a batch. A leader that served until nobody waited starved one of 32 threads: 1 call against 1,037.

A caller may be interrupted anywhere (Ctrl-C, a task's time limit raised in its thread). So each step of handing on the
lead is one that can be done again, and whoever leaves by an exception does it again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from .brokers.base import ENQUEUE_LIMIT
from .brokers.records import Enqueued, NewJob
from .errors import BrokerTimeout, BrokerUnavailable, EnqueueUncertain, copied
from .ids import to_text
from .shield import carried

BATCH_BYTES = 16 * 1024 * 1024
"""Payload bytes in one transaction at most (design section 3)."""

Commit = Callable[[Sequence[NewJob]], list[Enqueued]]


class _Request:
    """One caller and its jobs. `turn`, for those who wait, is released when they are answered or have to lead.

    What most requests never change is said once, by the class, and there is no __init__: each enqueue makes one.
    """

    jobs: Sequence[NewJob]
    answers: list[Enqueued] | None = None
    error: BaseException | None = None
    lead = False
    taken = False
    batch: Sequence[_Request] = ()
    heir: _Request | None = None
    turn: threading.Lock

    def will_wait(self) -> None:
        """Make the lock that its caller will wait for."""
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit:
    """Gathers enqueues of many threads into few commits. `deadline` in seconds bounds the wait for others (R24)."""

    def __init__(self, commit: Commit, deadline: float) -> None:
        self._commit = commit
        self._deadline = deadline
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._busy = False

    def submit(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store `jobs` and return the answers in their order, after the commit that made them durable.

        Raises BrokerTimeout when the deadline passed before the write was sent (there is no job), EnqueueUncertain
        when it passed after or the store failed during the commit, and what the broker raised otherwise.
        """
        request = _Request()
        request.jobs = jobs
        try:
            with self._lock:
                if self._busy:
                    request.will_wait()
                    self._waiting.append(request)
                else:
                    self._busy = request.lead = True
                    request.batch = (request,)  # while nobody is committing nobody waits
            if not request.lead:
                self._wait(request)
            if request.lead:
                up = carried()
                if up is None:
                    self._lead(request)
                else:
                    with up:  # the others of the batch shall not suffer from this thread's time limit
                        self._lead(request)
        except BaseException:
            self._leave(request)
            raise
        if request.answers is None:
            raise request.error or _uncertain(request)
        return request.answers

    def _wait(self, request: _Request) -> None:
        if request.turn.acquire(timeout=self._deadline):
            return
        with self._lock:
            if request.lead or not request.turn.locked():
                return  # answered or called to lead in this very moment
            if request.taken:
                raise _uncertain(request)
            self._waiting.remove(request)
        raise BrokerTimeout(
            f"enqueue waited {self._deadline:g} s behind other writes of this process; nothing was written"
        )

    def _lead(self, own: _Request) -> None:
        """Commit one batch, answer its callers and hand the lead on."""
        if not own.batch:
            with self._lock:
                self._take(own)
        batch = own.batch
        alone = len(batch) == 1
        try:
            answers = self._commit(own.jobs if alone else [job for request in batch for job in request.jobs])
        except Exception as error:  # noqa: BLE001 - every caller of the batch gets its own copy
            self._refuse(batch, error)
        else:
            if alone:
                own.answers = answers
            else:
                _share_out(batch, answers)
        self._leave(own)

    def _take(self, own: _Request) -> None:
        """Fill the batch with the leader's request and those that wait, up to the limits of one transaction."""
        own.batch = batch = [own]
        jobs, size = len(own.jobs), _bytes(own)
        while self._waiting:
            following = self._waiting[0]
            jobs, size = jobs + len(following.jobs), size + _bytes(following)
            if jobs > ENQUEUE_LIMIT or size > BATCH_BYTES:
                break
            batch.append(following)
            following.taken = True
            del self._waiting[0]

    def _refuse(self, batch: Sequence[_Request], error: Exception) -> None:
        for request in batch:
            request.error = _answer_to(request, error)
        if isinstance(error, BrokerTimeout):
            self._refuse_waiting(error)

    def _refuse_waiting(self, error: BrokerTimeout) -> None:
        """Answer those who waited while the store was out of reach for a whole deadline.

        With the lead they would begin another deadline: 9.5 s instead of 5 were measured (R24).
        """
        with self._lock:
            for request in self._waiting:
                request.error = copied(error)
                request.turn.release()
            self._waiting.clear()

    def _leave(self, own: _Request) -> None:
        """Hand the lead on and let the batch go; what was taken and has no answer may have been written or not."""
        with self._lock:
            if own.lead:
                if self._waiting:
                    # No call between these four: CPython raises what interrupts a thread at calls and jumps.
                    own.heir = heir = self._waiting[0]
                    heir.lead = heir.taken = True
                    del self._waiting[0]
                else:
                    self._busy = False
                own.lead = False
            elif not own.taken and own in self._waiting:
                self._waiting.remove(own)
            for request in own.batch if own.heir is None else (*own.batch, own.heir):
                if request is not own and request.taken and request.turn.locked():
                    request.turn.release()
            own.batch = ()  # it holds its own request: a cycle for each enqueue


def _share_out(batch: Sequence[_Request], answers: list[Enqueued]) -> None:
    start = 0
    for request in batch:
        request.answers = answers[start : start + len(request.jobs)]
        start += len(request.jobs)


def _bytes(request: _Request) -> int:
    return sum(len(job.payload) for job in request.jobs)


def _uncertain(request: _Request) -> EnqueueUncertain:
    return EnqueueUncertain(to_text(request.jobs[0].id))


def _answer_to(request: _Request, error: Exception) -> Exception:
    """Return what a caller gets to hear of an error of the commit."""
    if isinstance(error, BrokerUnavailable) and error.may_have_written:
        answer: Exception = EnqueueUncertain(to_text(request.jobs[0].id), f"{error}, and that during the commit")
        answer.__cause__ = error
        return answer
    return error if request.lead else copied(error)
