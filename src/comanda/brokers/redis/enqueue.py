"""Storing new jobs."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ConfigurationError
from ..records import MESSAGE, Enqueued, NewJob
from ..rules import kind_clash
from . import records
from .store import Argument, Store


def store(store: Store, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """Insert a batch in its order; one item's conflict or error leaves the others alone (R47)."""
    if not jobs:
        return []
    arguments: list[Argument] = [store.now()]
    for job in jobs:
        arguments += _arguments(job)
    found = store.write("enqueue", arguments)
    answers = [Enqueued(job.id) for job in jobs]
    for position, hindrance in zip(found[::2], found[1::2], strict=True):
        answers[position - 1] = _not_stored(jobs[position - 1], hindrance)
    return answers


def _arguments(job: NewJob) -> tuple[Argument, ...]:
    head = records.encode((job.queue, job.task, job.priority, job.due, job.delay, job.expires))
    key = "" if job.unique_key is None else f"={job.unique_key}"
    return job.id, head, key, records.flags_of_n(job), records.rest_of(job)


def _not_stored(job: NewJob, hindrance: bytes) -> Enqueued:
    if hindrance:
        return Enqueued(hindrance, created=False)
    error = ConfigurationError(kind_clash(job.queue, holds_messages=job.task != MESSAGE))
    return Enqueued(job.id, created=False, error=error)
