"""Job: a handle on one enqueued call."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .attempt import Attempt
from .brokers.records import Failure, JobFilter, JobRecord, OperationRecord, State
from .clock import to_datetime
from .errors import JobCancelled, JobExpired, JobFailed, JobNotFound, ResultTimeout
from .ids import to_text
from .loops import forbid_in_loop

if TYPE_CHECKING:
    from .app import Comanda

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Job(Generic[R_co]):
    """One enqueued call of a task; `result()` has the task's return type.

    Attributes read what was last seen of the job; `refresh()` looks again. Each verb has its `a` twin for coroutines.
    """

    __slots__ = ("__weakref__", "_app", "_id", "_record", "_task", "created")

    def __init__(self, app: Comanda, job_id: bytes, task: str, *, created: bool = True) -> None:
        self._app = app
        self._id = job_id
        self._task = task
        self._record: JobRecord | None = None
        self.created = created
        """False when enqueue found an unfinished job with the same unique key, or this id, and made no new one."""

    def __repr__(self) -> str:
        state = self._record.state.value if self._record is not None else "not read yet"
        return f"<Job {self.id} {self._task} {state}>"

    @property
    def id(self) -> str:
        """36 characters; known before the caller's transaction commits."""
        return to_text(self._id)

    @property
    def task(self) -> str:
        """The name of its task."""
        return self._task

    @property
    def state(self) -> State:
        """Where it stood when last read; reads it the first time."""
        return self._seen().state

    @property
    def queue(self) -> str:
        """The queue it was put into."""
        return self._seen().queue

    @property
    def priority(self) -> int:
        """-100 to 100, higher first."""
        return self._seen().priority

    @property
    def enqueued_at(self) -> datetime:
        """When it was enqueued (aware, UTC)."""
        return to_datetime(self._seen().enqueued_at)

    @property
    def run_after(self) -> datetime:
        """When it is or was due (aware, UTC); the next attempt while it waits for a retry."""
        return to_datetime(self._seen().due)

    @property
    def finished_at(self) -> datetime | None:
        """When it ended (aware, UTC); None before."""
        moment = self._seen().finished_at
        return None if moment is None else to_datetime(moment)

    @property
    def attempts(self) -> list[Attempt]:
        """Every execution so far with times, worker and, if it did not succeed, the traceback."""
        return [Attempt.from_record(record) for record in self._whole().attempts or ()]

    @property
    def operations(self) -> list[OperationRecord]:
        """What operators did to it: cancel, retry, reschedule."""
        return list(self._whole().operations or ())

    def refresh(self) -> Job[R_co]:
        """Read the job again and return it; raise JobNotFound when it has been pruned or deleted."""
        forbid_in_loop("refresh", "arefresh")
        return self._refresh()

    async def arefresh(self) -> Job[R_co]:
        """Like `refresh`."""
        return await self._app.producer.run(self._refresh)

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait until the job has ended and return what its task returned.

        `timeout` in seconds; None waits for ever. Raises JobFailed (with the remote traceback), JobCancelled,
        JobExpired, JobNotFound, or ResultTimeout when the job has not ended in time.
        """
        forbid_in_loop("result", "aresult")
        until = _until(timeout)
        while True:
            late = None
            try:
                self._app.runtime.watcher.wait(self._id, _left(until))
            except ResultTimeout as error:
                late = error
            if self._refresh().state.is_terminal:
                return self._result()
            if late is not None:
                raise self._timed_out(timeout) from None

    async def aresult(self, timeout: float | timedelta | None = None) -> R_co:
        """Like `result`."""
        until = _until(timeout)
        while True:
            late = None
            try:
                await self._app.runtime.watcher.await_(self._id, _left(until))
            except ResultTimeout as error:
                late = error
            if (await self.arefresh()).state.is_terminal:
                return self._result()
            if late is not None:
                raise self._timed_out(timeout) from None

    def follow(self, timeout: float | timedelta | None = None) -> Iterator[State]:
        """Yield the state now and at each change of the job until it has ended.

        Changes in quick succession may be seen as one. Raises ResultTimeout when nothing changes for `timeout` seconds.
        """
        forbid_in_loop("follow", "afollow")
        version, state = self._version()
        yield state
        while not state.is_terminal:
            seen = self._app.runtime.watcher.wait(self._id, _seconds(timeout), seen=version, until_terminal=False)
            state, version = self._found(seen)
            yield state

    async def afollow(self, timeout: float | timedelta | None = None) -> AsyncGenerator[State, None]:
        """Like `follow`."""
        version, state = await self._app.producer.run(self._version)
        yield state
        while not state.is_terminal:
            seen = await self._app.runtime.watcher.await_(
                self._id, _seconds(timeout), seen=version, until_terminal=False
            )
            state, version = self._found(seen)
            yield state

    def cancel(self) -> bool:
        """End the job if it waits, ask it to stop if it runs; return False when it had ended already."""
        forbid_in_loop("cancel", "acancel")
        return self._cancel()

    async def acancel(self) -> bool:
        """Like `cancel`."""
        return await self._app.producer.run(self._cancel)

    def retry(self) -> bool:
        """Make an ended job ready again with a fresh budget of attempts; return False when it had not ended."""
        forbid_in_loop("retry", "aretry")
        return self._retry()

    async def aretry(self) -> bool:
        """Like `retry`."""
        return await self._app.producer.run(self._retry)

    def _cancel(self) -> bool:
        return self._operate(self._app.broker.cancel(JobFilter(ids=(self._id,))))

    def _retry(self) -> bool:
        return self._operate(self._app.broker.retry(JobFilter(ids=(self._id,))))

    def _operate(self, done: list[bytes]) -> bool:
        self._refresh()
        return bool(done)

    def _version(self) -> tuple[int, State]:
        state, version = self._found(self._app.broker.states([self._id]).get(self._id))
        return version, state

    def _found(self, seen: tuple[State, int] | None) -> tuple[State, int]:
        if seen is None:
            raise self._not_found()
        return seen

    def _seen(self) -> JobRecord:
        if self._record is None:
            self.refresh()
        return cast(JobRecord, self._record)

    def _whole(self) -> JobRecord:
        """Return the record with its attempts: one that was found in a list has none."""
        if self._seen().attempts is None:
            self.refresh()
        return self._seen()

    def _refresh(self) -> Job[R_co]:
        record = self._app.broker.get([self._id], attempts=True)[0]
        if record is None:
            raise self._not_found()
        self._record = record
        return self

    def _not_found(self) -> JobNotFound:
        return JobNotFound(f"there is no job {self.id}; it was never committed, or it has been deleted or pruned")

    def _result(self) -> R_co:
        record = self._seen()
        name = f"job {self.id} ({self._task})"
        if record.state is State.SUCCESSFUL:
            return cast(R_co, self._app.decode_result(record.task, record.result))
        if record.state is State.CANCELLED:
            raise JobCancelled(f"{name} was cancelled")
        if record.state is State.EXPIRED:
            raise JobExpired(f"{name} was not started before it expired")
        if record.state is State.FAILED:
            failure = record.failure or Failure("Unknown", "", "", "")
            raise JobFailed(name, failure.type, failure.message, failure.traceback)
        raise AssertionError(f"{name} has not ended")

    def _timed_out(self, timeout: float | timedelta | None) -> ResultTimeout:
        return ResultTimeout(
            f"job {self.id} ({self._task}) is {self.state.value} and has not ended within {_seconds(timeout):g} s; "
            "it goes on"
        )


def _seconds(timeout: float | timedelta | None) -> float | None:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def _until(timeout: float | timedelta | None) -> float | None:
    seconds = _seconds(timeout)
    return None if seconds is None else time.monotonic() + seconds


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def handle(app: Comanda, record: JobRecord) -> Job[Any]:
    """Return a Job for a stored record, as already read."""
    job: Job[Any] = Job(app, record.id, record.task)
    job._record = record
    return job
