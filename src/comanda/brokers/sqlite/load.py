"""Taking in jobs of another store.

Attempts name a row of `workers`. For workers of another store there is one row each, ended from the start, so that no
one waits for them; the fences of the attempts count anew from 1, and so does the job's.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...clock import Micros
from .. import codes
from ..arrival import UNKNOWN, Arrival, arriving, who
from ..records import ELSEWHERE, AttemptRecord, JobRecord
from .counts import catch_up
from .enqueue import LAST
from .names import Names
from .session import Session

_encode = msgspec.json.Encoder().encode

_INSERT = f"""
INSERT INTO {{ns}}_jobs (n, id, task, queue, rank, state, due, enqueued, expires, unique_key, options, payload,
                         fence, attempt, crashes, started, finished, result)
VALUES ({LAST} + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING n
"""
_RAN = "UPDATE {ns}_jobs SET owner = ? WHERE n = ?"
_ATTEMPT = """
INSERT INTO {ns}_attempts (job, fence, number, outcome, started, finished, owner, failure)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPERATION = "INSERT INTO {ns}_operations (job, at, verb, actor) VALUES (?, ?, ?, ?)"
_WORKER = f"SELECT n FROM {{ns}}_workers WHERE host = ? AND pid = ? AND version = ? AND kind = '{ELSEWHERE}'"
_ADD_WORKER = f"""
INSERT INTO {{ns}}_workers (host, pid, version, kind, tasks, started, beat_at, ended)
VALUES (?, ?, ?, '{ELSEWHERE}', '[]', ?, ?, ?) RETURNING n
"""
_END_WORKER = "UPDATE {ns}_workers SET beat_at = ?2, ended = ?2 WHERE n = ?1 AND ended < ?2"

_CODES = {state: code for code, state in codes.TO_STATE.items() if code != codes.PARKED}
_NOBODY = 0
"""An owner that no row stands for: shown as unknown."""


def load(session: Session, names: Names, jobs: Sequence[JobRecord], now: Micros) -> list[bool]:
    """Store jobs as they were; say for each whether it is new. Raises ConfigurationError for a queue of two kinds."""
    workers = _Workers(session)
    stored = [_store(session, names, workers, arriving(job, now)) for job in jobs]
    catch_up(session)
    return stored


def _store(session: Session, names: Names, workers: _Workers, arrival: Arrival) -> bool:
    job = arrival.job
    row = (
        *(job.id, names.task_id(session, job.task), names.queue_id(session, job.queue, job.task), -job.priority),
        *(_CODES[job.state], job.due, job.enqueued_at, job.expires, job.unique_key, job.options, job.payload),
        *(len(arrival.attempts), job.attempt, job.crashes, job.started_at, job.finished_at, job.result),
    )
    stored = session.run(_INSERT, row)
    for (n,) in stored:
        attempts = [(n, fence, *workers.row(attempt)) for fence, attempt in enumerate(arrival.attempts, 1)]
        session.many(_ATTEMPT, attempts)
        session.many(_OPERATION, [(n, done.at, done.verb, done.actor) for done in arrival.operations])
        if arrival.success is not None:
            session.run(_RAN, (workers.owner(arrival.success), n))
    return bool(stored)


class _Workers:
    """The workers of another store, as rows of this one."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._owners: dict[tuple[str, int, str], int] = {UNKNOWN: _NOBODY}

    def row(self, attempt: AttemptRecord) -> tuple[object, ...]:
        """Return an attempt as the columns that follow its job and fence."""
        failure = None if attempt.failure is None else _encode(attempt.failure)
        times = (attempt.started_at, attempt.finished_at)
        return (attempt.number, attempt.outcome, *times, self.owner(attempt), failure)

    def owner(self, attempt: AttemptRecord) -> int:
        """Return the number of an attempt's worker, which ended with the latest of its attempts."""
        key, ended = who(attempt), attempt.finished_at or attempt.started_at
        owner = self._owners.get(key)
        if owner is None:
            found = self._session.run(_WORKER, key)
            added = found or self._session.run(_ADD_WORKER, (*key, attempt.started_at, ended, ended))
            owner = self._owners[key] = int(added[0][0])
        self._session.run(_END_WORKER, (owner, ended))
        return owner
