"""Storing new jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ConfigurationError
from ..records import Enqueued, NewJob
from ..statements import Statement
from . import codes
from .counts import Moves
from .names import Names
from .store import Session

_COLUMNS = "id, task, queue, rank, state, due, enqueued, expires, unique_key, options, payload"
_INSERT = f"INSERT INTO {{ns}}_jobs ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"  # noqa: S608
_EXISTS = "SELECT 1 FROM {ns}_jobs WHERE id = ?"
_HOLDER = "SELECT id FROM {ns}_jobs WHERE unique_key = ? AND state IN (0, 1, 2, 7)"

# The same for a connection that is not ours: names are looked up in the statement, since a cached number might come
# from a transaction that was rolled back.
_FOREIGN_TASK = "INSERT INTO {ns}_tasks (name) VALUES (?) ON CONFLICT DO NOTHING"
_FOREIGN_QUEUE = "INSERT INTO {ns}_queues (name, messages) VALUES (?, 0) ON CONFLICT DO NOTHING"
_FOREIGN_INSERT = f"""
INSERT INTO {{ns}}_jobs ({_COLUMNS})
VALUES (?, (SELECT n FROM {{ns}}_tasks WHERE name = ?), (SELECT n FROM {{ns}}_queues WHERE name = ? AND NOT messages),
        ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""  # noqa: S608
_FOREIGN_COUNT = """
INSERT INTO {ns}_counts (queue, state, jobs) SELECT n, ?, changes() FROM {ns}_queues WHERE name = ? AND NOT messages
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs
"""
_FOREIGN_STORED = """
SELECT id FROM {ns}_jobs WHERE id = ? UNION ALL
SELECT id FROM {ns}_jobs WHERE unique_key = ? AND state IN (0, 1, 2, 7)
"""

Parameters = tuple[Any, ...]


def store(session: Session, names: Names, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
    """Insert a batch; one item's conflict or error leaves the others alone (R47)."""
    answers: list[Enqueued | None] = [None] * len(jobs)
    plain: list[tuple[int, Parameters]] = []
    moves = Moves()
    for index, job in enumerate(jobs):
        try:
            row = _row(session, names, job, now)
        except ConfigurationError as error:
            answers[index] = Enqueued(job.id, created=False, error=error)
            continue
        if job.unique_key is None:
            plain.append((index, row))
        else:
            answers[index] = _insert_one(session, job, row, moves)
    _insert_plain(session, jobs, plain, moves, answers)
    moves.write(session)
    return [answer for answer in answers if answer is not None]


def _row(session: Session, names: Names, job: NewJob, now: int) -> Parameters:
    queue = names.queue_id(session, job.queue, job.task)
    return _parameters(job, names.task_id(session, job.task), queue, now)


def _parameters(job: NewJob, task: object, queue: object, now: int) -> Parameters:
    due = job.due if job.due is not None else now + job.delay
    state = codes.SCHEDULED if due > now else codes.READY
    # Columns in the order of _COLUMNS.
    return (
        *(job.id, task, queue, -job.priority, state, due, now, job.expires, job.unique_key, job.options),
        job.payload,
    )


def _insert_plain(
    session: Session,
    jobs: Sequence[NewJob],
    plain: list[tuple[int, Parameters]],
    moves: Moves,
    answers: list[Enqueued | None],
) -> None:
    """Insert jobs without a unique key at once; go one by one only when an id existed already."""
    rows = [row for _, row in plain]
    if len(rows) == 1:
        index, row = plain[0]
        answers[index] = _insert_one(session, jobs[index], row, moves)
        return
    session.run("SAVEPOINT batch")
    if session.many(_INSERT, rows) == len(rows):
        for index, row in plain:
            moves.add(row[2], row[4])
            answers[index] = Enqueued(row[0])
    else:
        session.run("ROLLBACK TO batch")
        for index, row in plain:
            answers[index] = _insert_one(session, jobs[index], row, moves)
    session.run("RELEASE batch")


def _insert_one(session: Session, job: NewJob, row: Parameters, moves: Moves) -> Enqueued:
    session.run(_INSERT, row)
    if session.changed():
        moves.add(row[2], row[4])
        return Enqueued(job.id)
    if job.unique_key is not None and not session.run(_EXISTS, (job.id,)):
        return Enqueued(session.run(_HOLDER, (job.unique_key,))[0][0], created=False)
    return Enqueued(job.id, created=False)


def foreign_statements(text: Callable[[str], str], job: NewJob, now: int) -> list[Statement]:
    """Return the enqueue of one job for the caller's own connection; a queue of messages fails its NOT NULL."""
    row = _parameters(job, job.task, job.queue, now)
    return [
        Statement(text(_FOREIGN_TASK), (job.task,)),
        Statement(text(_FOREIGN_QUEUE), (job.queue,)),
        Statement(text(_FOREIGN_INSERT), row),
        Statement(text(_FOREIGN_COUNT), (row[4], job.queue)),
        Statement(text(_FOREIGN_STORED), (job.id, job.unique_key)),
    ]
