"""Storing new jobs."""

from __future__ import annotations

from ...clock import Micros
from ...errors import ConfigurationError
from ..records import MESSAGE, Enqueued, NewJob, State
from ..rules import kind_clash
from .table import Queue, Row, Table


def store(table: Table, job: NewJob, now: Micros) -> Enqueued:
    """Insert one job, unless its id or its unique key is taken or its queue is of the other kind."""
    queue = table.queues.setdefault(job.queue, Queue(job.queue, job.task == MESSAGE))
    if queue.messages is not (job.task == MESSAGE):
        error = ConfigurationError(kind_clash(job.queue, holds_messages=queue.messages))
        return Enqueued(job.id, created=False, error=error)
    existing = table.find(job.id) or table.holder(job.unique_key)
    if existing is not None:
        return Enqueued(existing.id, created=False)
    due = job.due if job.due is not None else now + job.delay
    table.insert(
        Row(
            n=table.next_n(),
            id=job.id,
            task=job.task,
            queue=job.queue,
            payload=job.payload,
            priority=job.priority,
            due=due,
            enqueued_at=now,
            expires=job.expires,
            unique_key=job.unique_key,
            options=job.options,
            state=State.SCHEDULED if due > now else State.READY,
        )
    )
    return Enqueued(job.id)
