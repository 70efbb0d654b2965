"""Choosing and showing jobs."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from ..records import AttemptRecord, JobFilter, JobRecord, QueueRecord, State
from .table import Queue, Row, Table
from .workers import Workers


def choose(table: Table, which: JobFilter) -> list[Row]:
    """Return the matching rows in the order of their enqueue."""
    rows: Iterable[Row] = table
    if which.ids is not None:
        found = {row.n: row for id_ in which.ids if (row := table.find(id_)) is not None}
        rows = [found[n] for n in sorted(found)]
    prefix = None if which.id_prefix is None else which.id_prefix.replace("-", "").lower()
    return [row for row in rows if _matches(row, which, prefix)]


def _matches(row: Row, which: JobFilter, prefix: str | None) -> bool:
    return (
        (which.states is None or row.state in which.states)
        and (which.tasks is None or row.task in which.tasks)
        and (which.queues is None or row.queue in which.queues)
        and (which.since is None or row.enqueued_at >= which.since)
        and (prefix is None or row.id.hex().startswith(prefix))
    )


def page(
    table: Table, workers: Workers, which: JobFilter, limit: int, after: bytes | None, *, oldest_first: bool
) -> list[JobRecord]:
    """Return one page by id."""
    rows = choose(table, which)
    if after is not None:
        rows = [row for row in rows if (row.id > after if oldest_first else row.id < after)]
    rows.sort(key=attrgetter("id"), reverse=not oldest_first)
    return [record(row, workers, attempts=False) for row in rows[:limit]]


def record(row: Row, workers: Workers, *, attempts: bool) -> JobRecord:
    """Return a job as it is shown."""
    shown = JobRecord(
        id=row.id,
        task=row.task,
        queue=row.queue,
        state=row.state,
        priority=row.priority,
        due=row.due,
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempt=row.attempt,
        crashes=row.crashes,
        fence=row.fence,
        version=row.version,
        parked=row.parked,
        payload=row.payload,
        result=row.result,
        failure=row.attempts[-1].failure if row.attempts and row.state is not State.SUCCESSFUL else None,
        options=row.options,
        unique_key=row.unique_key,
        expires=row.expires,
        stop_requested=row.stop,
    )
    if attempts:
        shown.attempts = [*row.attempts, *_current_attempt(row, workers)]
        shown.operations = list(row.operations)
    return shown


def _current_attempt(row: Row, workers: Workers) -> list[AttemptRecord]:
    """Return the attempt that runs or succeeded: it is not among those written down."""
    if row.state not in (State.RUNNING, State.SUCCESSFUL):
        return []
    host, pid, version = workers.who(row.owner)
    return [
        AttemptRecord(
            number=row.attempt,
            outcome=row.state.value,
            started_at=row.started_at or 0,
            finished_at=row.finished_at,
            host=host,
            pid=pid,
            version=version,
        )
    ]


def queue(table: Table, found: Queue) -> QueueRecord:
    """Return a queue as it is shown."""
    firsts = [_oldest(line.keys()) for line in table.ready(found.name) if line]
    return QueueRecord(
        name=found.name,
        kind="messages" if found.messages else "jobs",
        paused=found.paused,
        counts={state: table.counts[found.name, state] for state in State},
        oldest_ready_at=min(firsts, default=None),
    )


def _oldest(keys: Iterable[tuple[int, ...]]) -> int:
    return min(due for _, due in keys)
