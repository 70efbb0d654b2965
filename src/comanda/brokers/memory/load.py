"""Taking in jobs of another store."""

from __future__ import annotations

from collections.abc import Sequence

from ...clock import Micros
from ...errors import ConfigurationError
from ..arrival import Arrival, arriving
from ..records import MESSAGE, JobRecord
from ..rules import kind_clash
from .table import Queue, Row, Table
from .workers import Workers


def load(table: Table, workers: Workers, jobs: Sequence[JobRecord], now: Micros) -> list[bool]:
    """Store jobs as they were; say for each whether it is new. Raises ConfigurationError before the first is stored."""
    _check_kinds(table, jobs)
    return [_store(table, workers, arriving(job, now)) for job in jobs]


def _check_kinds(table: Table, jobs: Sequence[JobRecord]) -> None:
    kinds = {name: queue.messages for name, queue in table.queues.items()}
    for job in jobs:
        holds_messages = kinds.setdefault(job.queue, job.task == MESSAGE)
        if holds_messages is not (job.task == MESSAGE):
            raise ConfigurationError(kind_clash(job.queue, holds_messages=holds_messages))


def _store(table: Table, workers: Workers, arrival: Arrival) -> bool:
    job = arrival.job
    table.queues.setdefault(job.queue, Queue(job.queue, job.task == MESSAGE))
    if table.find(job.id) is not None or (not job.state.is_terminal and table.holder(job.unique_key) is not None):
        return False
    table.insert(
        Row(
            n=table.next_n(),
            id=job.id,
            task=job.task,
            queue=job.queue,
            payload=job.payload,
            priority=job.priority,
            due=job.due,
            enqueued_at=job.enqueued_at,
            expires=job.expires,
            unique_key=job.unique_key,
            options=job.options,
            state=job.state,
            attempt=job.attempt,
            crashes=job.crashes,
            owner=None if arrival.success is None else workers.elsewhere(arrival.success),
            started_at=job.started_at,
            finished_at=job.finished_at,
            result=job.result,
            attempts=arrival.attempts,
            operations=arrival.operations,
        )
    )
    return True
