"""One execution of a job: from the claimed row to the call, and from what the call did to the outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import Context
from types import TracebackType
from typing import Any, Protocol

from .. import options, outcome
from ..brokers.records import Claimed, Outcome
from ..clock import Micros
from ..codec import UndecodablePayload, UnencodableResult
from ..codec.wire import CONTENT_TYPE
from ..context import CurrentJob, running
from ..errors import Cancelled, LostLease, TimedOut
from ..task import Task

Tasks = Mapping[str, Task[..., Any]]
Interrupt = type[TimedOut] | type[Cancelled] | type[LostLease]


class Runner(Protocol):
    """Whoever executes an attempt, as those see it who want it to end."""

    def interrupt(self, attempt: Attempt, kind: Interrupt) -> bool:
        """Raise `kind` inside the attempt, once; False when it is too late or was done before."""
        ...

    def kill(self, attempt: Attempt) -> bool:
        """End the attempt by force; False when that cannot be done."""
        ...


def now() -> Micros:
    """Return the wall clock in microseconds UTC: 60 ns, read once for each job."""
    return time.time_ns() // 1000


class Attempt:
    """A job ready to run: its task, its arguments, its limits, and whether it was told to stop.

    `deadline` is on the monotonic clock, in seconds; None without a time limit.
    """

    __slots__ = (
        "args",
        "current",
        "deadline",
        "interrupted",
        "job",
        "kwargs",
        "overran",
        "retry",
        "runner",
        "started_at",
        "stuck",
        "task",
        "timeout",
    )

    runner: Runner
    """Who executes it; set when it begins."""

    def __init__(self, job: Claimed, task: Task[..., Any], started_at: Micros) -> None:
        """Decode the arguments; raises UndecodablePayload, or whatever a codec of the user's raises."""
        self.job = job
        self.task = task
        self.started_at = started_at
        self.retry = task.retry
        self.timeout = task.timeout
        if job.options is not None or task.codec.content_type != CONTENT_TYPE:
            self._apply(options.JobOptions() if job.options is None else options.decode(job.options))
        self.args, self.kwargs = task.codec.decode(job.payload)
        self.current = CurrentJob(job, tuple(task.codec.secrets(self.args, self.kwargs)))
        self.deadline = None if self.timeout is None else time.monotonic() + self.timeout
        self.interrupted: Interrupt | None = None
        self.overran = False
        self.stuck = False
        """True once its process is to be replaced because it did not stop."""

    def _apply(self, given: options.JobOptions) -> None:
        stored = given.content_type or CONTENT_TYPE
        if stored != self.task.codec.content_type:
            raise UndecodablePayload(
                f"{self.task.name}: the arguments were stored as {stored}, "
                f"and this worker's task reads {self.task.codec.content_type}"
            )
        self.retry = given.policy(self.retry)
        if given.timeout is not None:
            self.timeout = given.timeout

    def context(self) -> Context:
        """Return a fresh context in which `current_job()` is this job: nothing leaks from one job to the next."""
        context = Context()
        context.run(running.set, self.current)
        return context

    def returned(self, value: Any, finished_at: Micros) -> Outcome:
        """Return the outcome of a call that returned `value`."""
        if self.interrupted is TimedOut:  # it swallowed the exception, or ended in the same moment
            return self.raised(None, finished_at)
        try:
            result = self.task.codec.encode_result(value)
        except UnencodableResult as error:
            return outcome.unencodable(self.job, str(error), self.started_at, finished_at)
        except BaseException as error:  # noqa: BLE001 - a codec is the user's code (R26)
            return self.raised(error, finished_at)
        return outcome.succeeded(self.job, result, self.started_at, finished_at)

    def raised(self, error: BaseException | None, finished_at: Micros) -> Outcome:
        """Return the outcome of a call that raised `error`; what it was told beats what it raised in answer."""
        try:
            judged = self._judged(error)
            return outcome.raised(self.job, judged, self.retry, self.started_at, finished_at, self.current.secrets)
        except BaseException as broken:  # noqa: BLE001 - an exception's class is the user's code as well (R26)
            return outcome.unspeakable(self.job, broken, self.started_at, finished_at)

    def _judged(self, error: BaseException | None) -> BaseException:
        judged: BaseException
        if self.interrupted is TimedOut:
            judged = TimedOut(f"it ran longer than its time limit of {self.timeout:g} s")
        elif self.interrupted is Cancelled or error is None:
            judged = Cancelled("it was asked to stop while it ran")
        else:
            return error.with_traceback(_of_user(error))
        if error is not None:
            judged.__traceback__ = _of_user(error)
            if not isinstance(error, self.interrupted or Cancelled):
                judged.__cause__ = error
        return judged


def _of_user(error: BaseException) -> TracebackType | None:
    """Return the traceback without the worker's own frames at its head: they tell the user nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next
    return trace


def begin(job: Claimed, tasks: Tasks, started_at: Micros) -> Attempt | Outcome:
    """Make a claimed job ready; what cannot be made ready has its outcome already."""
    task = tasks[job.task]
    try:
        return Attempt(job, task, started_at)
    except UndecodablePayload as error:
        return outcome.undecodable(job, str(error), started_at)
    except BaseException as error:  # noqa: BLE001 - nothing in a payload or a codec may stop the worker (R26)
        return outcome.undecodable(job, f"{job.task}: reading the stored job raised {type(error).__name__}", started_at)
