"""Taking over the jobs of another store as they are."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import AttemptRecord, JobRecord, State
from . import records
from .records import RESULT
from .store import Argument, Store


def load(store: Store, jobs: Sequence[JobRecord]) -> list[bool]:
    """Store jobs in their order; say for each whether it is new here."""
    if not jobs:
        return []
    arguments: list[Argument] = []
    for job in jobs:
        arguments += _arguments(job)
    return [bool(stored) for stored in store.write("load", arguments)]


def _arguments(job: JobRecord) -> tuple[Argument, ...]:
    rest = records.encode(job.enqueued_at) + records.encode(job.due) + records.rest_of(job)
    attempts = records.joined(_attempts(job))
    operations = records.joined(records.encode_operation(operation) for operation in job.operations or ())
    result = b"" if job.result is None else RESULT + job.result
    return job.id, records.flags_of_n(job), rest, _state(job), result, attempts, operations


def _state(job: JobRecord) -> bytes:
    """Return what becomes of the state. A running job has no worker here: it is ready, its attempt given back."""
    runs = job.state is State.RUNNING
    code = records.code_of(State.READY if runs else job.state)
    times = (0, 0) if runs else (job.started_at or 0, job.finished_at or 0)
    return records.encode((code, job.attempt - runs, job.crashes, 0, job.due, *times))


def _attempts(job: JobRecord) -> list[bytes]:
    """Return the attempts that have ended; a job's failure is its last one's, which must not be lost with them."""
    if job.attempts is not None:
        return [_attempt(attempt) for attempt in job.attempts if attempt.outcome != "running"]
    if job.failure is None:
        return []
    times = (job.started_at or 0, job.finished_at)
    outcome = "cancelled" if job.state is State.CANCELLED else "failed"
    return [records.encode_attempt(job.attempt, outcome, times, records.NOBODY, job.failure)]


def _attempt(attempt: AttemptRecord) -> bytes:
    """Return an attempt with the name of its worker, which this store never had."""
    times = (attempt.started_at, attempt.finished_at)
    who = (attempt.host, attempt.pid, attempt.version)
    return records.encode_attempt(attempt.number, attempt.outcome, times, who, attempt.failure)
