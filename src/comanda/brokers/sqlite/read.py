"""Reading jobs, queues and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .. import codes
from ..records import AttemptRecord, Failure, JobFilter, JobRecord, OperationRecord, QueueRecord, State
from .names import Names
from .selection import condition
from .session import Session

_failure = msgspec.json.Decoder(Failure)

_JOB = """
SELECT id, task, queue, state, -rank, due, enqueued, started, finished, attempt, crashes, fence, version, payload,
       result, options, unique_key, expires, stop, n, owner,
       (SELECT failure FROM {ns}_attempts WHERE job = n ORDER BY fence DESC LIMIT 1)
FROM {ns}_jobs WHERE """
_ATTEMPTS = """
SELECT number, outcome, a.started, finished, coalesce(host, '?'), coalesce(pid, 0), coalesce(version, '?'), failure
FROM {ns}_attempts a LEFT JOIN {ns}_workers w ON w.n = a.owner WHERE job = ? ORDER BY fence
"""
_WORKER = "SELECT host, pid, version FROM {ns}_workers WHERE n = ?"
_OPERATIONS = "SELECT verb, at, actor FROM {ns}_operations WHERE job = ? ORDER BY at"
_STATE = "SELECT state, version FROM {ns}_jobs WHERE id = ?"
_COUNTS = """
SELECT name, state, jobs FROM {ns}_counts JOIN {ns}_queues ON n = queue
UNION ALL
SELECT name, state, count(*) FROM {ns}_jobs j JOIN {ns}_queues q ON q.n = queue
WHERE j.n > (SELECT jobs FROM {ns}_counts WHERE queue = 0 AND state = 0) GROUP BY queue, state
"""
_QUEUES = "SELECT n, name, messages, paused FROM {ns}_queues ORDER BY name"
# Jumps from priority to priority along the index `ready` instead of walking all its rows.
_OLDEST = """
WITH RECURSIVE ranks (rank) AS (
    SELECT min(rank) FROM {ns}_jobs WHERE state = 1 AND queue = ?1
    UNION ALL
    SELECT (SELECT min(j.rank) FROM {ns}_jobs j WHERE j.state = 1 AND j.queue = ?1 AND j.rank > ranks.rank)
    FROM ranks WHERE ranks.rank IS NOT NULL
)
SELECT min((SELECT min(due) FROM {ns}_jobs j WHERE j.state = 1 AND j.queue = ?1 AND j.rank = ranks.rank)) FROM ranks
"""


def get(session: Session, names: Names, ids: Sequence[bytes], *, attempts: bool) -> list[JobRecord | None]:
    """Return the jobs in the order of `ids`."""
    found: list[JobRecord | None] = []
    for job_id in ids:
        rows = session.run(_JOB + "id = ?", (job_id,))
        found.append(_record(session, names, rows[0], attempts=attempts) if rows else None)
    return found


def find(
    session: Session, names: Names, which: JobFilter, limit: int, after: bytes | None, *, oldest_first: bool
) -> list[JobRecord]:
    """Return one page by id."""
    term, values = condition(session, which)
    comparison, order = (">", "ASC") if oldest_first else ("<", "DESC")
    if after is not None:
        term, values = f"{term} AND id {comparison} ?", [*values, after]
    rows = session.run(f"{_JOB}{term} ORDER BY id {order} LIMIT ?", (*values, limit))
    return [_record(session, names, row, attempts=False) for row in rows]


def states(session: Session, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
    """Return state and version of the jobs that exist."""
    found = {}
    for job_id in ids:
        for state, version in session.run(_STATE, (job_id,)):
            found[job_id] = (codes.TO_STATE[state], version)
    return found


def counts(session: Session) -> dict[tuple[str, State], int]:
    """Return the jobs by queue and state."""
    sums: dict[tuple[str, State], int] = {}
    for name, code, jobs in session.run(_COUNTS):
        key = (name, codes.TO_STATE[code])
        sums[key] = sums.get(key, 0) + jobs
    return {key: jobs for key, jobs in sums.items() if jobs}


def queues(session: Session) -> list[QueueRecord]:
    """Return every queue by name."""
    sums = counts(session)
    return [
        QueueRecord(
            name=name,
            kind="messages" if messages else "jobs",
            paused=bool(paused),
            counts={state: sums.get((name, state), 0) for state in State},
            oldest_ready_at=session.run(_OLDEST, (n,))[0][0],
        )
        for n, name, messages, paused in session.run(_QUEUES)
    ]


def _record(session: Session, names: Names, row: tuple[Any, ...], *, attempts: bool) -> JobRecord:
    code, n, owner, failure = row[3], row[19], row[20], row[21]
    state = codes.TO_STATE[code]
    record = JobRecord(
        id=row[0],
        task=names.task_name(session, row[1]),
        queue=names.queue_name(session, row[2]),
        state=state,
        priority=row[4],
        due=row[5],
        enqueued_at=row[6],
        started_at=row[7],
        finished_at=row[8],
        attempt=row[9],
        crashes=row[10],
        fence=row[11],
        version=row[12],
        parked=code == codes.PARKED,
        payload=row[13],
        result=row[14],
        failure=None if failure is None or state is State.SUCCESSFUL else _failure.decode(failure),
        options=row[15],
        unique_key=row[16],
        expires=row[17],
        stop_requested=bool(row[18]),
    )
    if attempts:
        record.attempts = _attempts(session, n, owner, record)
        record.operations = [OperationRecord(*found) for found in session.run(_OPERATIONS, (n,))]
    return record


def _attempts(session: Session, n: int, owner: int | None, job: JobRecord) -> list[AttemptRecord]:
    """Return the stored attempts and, from the job's own row, the one that runs or succeeded."""
    rows = session.run(_ATTEMPTS, (n,))
    if owner is not None and job.state in (State.RUNNING, State.SUCCESSFUL):
        worker = (session.run(_WORKER, (owner,)) or [("?", 0, "?")])[0]
        rows.append((job.attempt, job.state.value, job.started_at, job.finished_at, *worker, None))
    return [
        AttemptRecord(
            number=number,
            outcome=outcome,
            started_at=started,
            finished_at=finished,
            host=host,
            pid=pid,
            version=version,
            failure=None if failure is None else _failure.decode(failure),
        )
        for number, outcome, started, finished, host, pid, version, failure in rows
    ]
