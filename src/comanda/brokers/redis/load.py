"""Taking over the jobs of another store as they are."""

from __future__ import annotations

from collections.abc import Sequence

from ...clock import Micros
from ...errors import ConfigurationError
from ..arrival import Arrival, arriving, who
from ..records import AttemptRecord, JobRecord
from ..rules import kind_clash
from . import records
from .records import RESULT
from .store import Argument, Store


def load(store: Store, jobs: Sequence[JobRecord], now: Micros) -> list[bool]:
    """Store jobs in their order; say for each whether it is new here.

    Raises ConfigurationError, and stores none, when a queue is of the other kind.
    """
    if not jobs:
        return []
    arguments: list[Argument] = []
    for job in jobs:
        arguments += _arguments(arriving(job, now))
    answers = store.write("load", arguments)
    if isinstance(answers[0], bytes):
        queue, kind = answers
        raise ConfigurationError(kind_clash(queue.decode(), holds_messages=kind == b"m"))
    return [bool(stored) for stored in answers]


def _arguments(arrival: Arrival) -> tuple[Argument, ...]:
    job = arrival.job
    rest = records.encode(job.enqueued_at) + records.encode(max(1, job.due)) + records.rest_of(job)
    ended = arrival.attempts if arrival.success is None else [*arrival.attempts, arrival.success]
    attempts = records.joined(_attempt(attempt) for attempt in ended)
    operations = records.joined(records.encode_operation(operation) for operation in arrival.operations)
    result = b"" if job.result is None else RESULT + job.result
    return job.id, records.flags_of_n(job), rest, _state(job), result, attempts, operations


def _state(job: JobRecord) -> bytes:
    times = (job.started_at or 0, job.finished_at or 0)
    return records.encode((records.code_of(job.state), job.attempt, job.crashes, 0, max(1, job.due), *times))


def _attempt(attempt: AttemptRecord) -> bytes:
    """Return an attempt with the name of its worker, which this store never had."""
    times = (attempt.started_at, attempt.finished_at)
    return records.encode_attempt(attempt.number, attempt.outcome, times, who(attempt), attempt.failure)
