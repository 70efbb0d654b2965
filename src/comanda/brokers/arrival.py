"""What a job of another store becomes here, alike for every broker. Pure: no clock, no store."""

from __future__ import annotations

from msgspec import Struct, structs

from ..clock import Micros
from .records import AttemptRecord, JobRecord, OperationRecord, State

UNKNOWN = ("?", 0, "?")
"""Host, pid and version of a worker that nobody remembers."""

_OUTCOMES = {"timeout": "timed_out", "lost": "lost", "quarantined": "lost", "cancelled": "cancelled"}
"""How an attempt ended that is known by its failure alone, where that is not `failed`."""


class Arrival(Struct, frozen=True, gc=False):
    """A job as it is stored. `attempts` are those that ended without success, `success` the one that ended with it."""

    job: JobRecord
    attempts: list[AttemptRecord]
    success: AttemptRecord | None
    operations: list[OperationRecord]


def arriving(job: JobRecord, now: Micros) -> Arrival:
    """Return what is to be stored of a job that another store had.

    A running one comes as ready with its attempt given back, or ends as cancelled at `now` if it was asked to stop.
    """
    attempts = _known(job) if job.attempts is None else [found for found in job.attempts if found.outcome != "running"]
    success = None
    if job.state is State.SUCCESSFUL and attempts and attempts[-1].outcome == "successful":
        success = attempts.pop()
    stored = structs.replace(
        job, fence=0, version=0, parked=False, stop_requested=False, attempts=None, operations=None
    )
    if job.state is State.RUNNING:
        stored.state = State.CANCELLED if job.stop_requested else State.READY
        stored.attempt = max(0, job.attempt - 1)
        stored.started_at, stored.finished_at = None, now if job.stop_requested else None
    return Arrival(stored, attempts, success, list(job.operations or ()))


def who(attempt: AttemptRecord) -> tuple[str, int, str]:
    """Return host, pid and version of the worker that ran an attempt."""
    return attempt.host, attempt.pid, attempt.version


def _known(job: JobRecord) -> list[AttemptRecord]:
    """Return the attempt that the job itself tells of: its success or its failure, by nobody known."""
    if job.state is State.SUCCESSFUL:
        outcome, failure = "successful", None
    elif job.failure is not None:
        outcome, failure = _OUTCOMES.get(job.failure.reason, "failed"), job.failure
    else:
        return []
    host, pid, version = UNKNOWN
    started = job.started_at or job.enqueued_at
    return [
        AttemptRecord(
            number=job.attempt,
            outcome=outcome,
            started_at=started,
            finished_at=job.finished_at or started,
            host=host,
            pid=pid,
            version=version,
            failure=failure,
        )
    ]
