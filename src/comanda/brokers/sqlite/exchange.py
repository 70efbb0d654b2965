"""The hot path: settle the last batch and claim the next in one transaction (SQ2: +41 % at a batch of 100)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from .. import codes, rules
from ..base import PROMOTION_STEP
from ..records import MESSAGE, Claimed, Demand, Kind, Outcome
from ..rotation import Rotation
from .connection import Row
from .counts import Moves
from .names import Names
from .session import Session

EXPIRY_STEP = 500
"""Expired jobs of one queue that a claim ends before it gives up looking behind them; the rescue ends the rest."""

_encode = msgspec.json.Encoder().encode
_SUCCESS = Kind.SUCCESS

_SUCCEED = """
UPDATE {ns}_jobs SET state = 3, version = version + 1, started = ?, finished = ?, result = ?
WHERE n = ? AND fence = ? AND owner = ? AND state = 2
"""
_END = """
UPDATE {ns}_jobs SET state = ?, version = version + 1, started = ?, finished = ?
WHERE n = ? AND fence = ? AND owner = ? AND state = 2
"""
# A job that was asked to stop does not come back to run again: it is cancelled.
_GO_BACK = """
UPDATE {ns}_jobs SET state = CASE WHEN stop THEN 5 ELSE ? END, version = version + 1, due = coalesce(?, due),
       attempt = attempt - ?, owner = NULL, started = NULL, finished = CASE WHEN stop THEN ? END
WHERE n = ? AND fence = ? AND owner = ? AND state = 2
RETURNING state
"""
_DELETE_MESSAGE = "DELETE FROM {ns}_jobs WHERE n = ? AND fence = ? AND owner = ? AND state = 2"
_ATTEMPT = """
INSERT INTO {ns}_attempts (job, fence, number, outcome, started, finished, owner, failure)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_HAS_DUE = "SELECT 1 FROM {ns}_jobs WHERE state = 0 AND due <= ? LIMIT 1"
_HAS_READY = "SELECT 1 FROM {ns}_jobs WHERE state = 1 LIMIT 1"
_PROMOTE = f"""
UPDATE {{ns}}_jobs SET state = 1, version = version + 1
WHERE n IN (SELECT n FROM {{ns}}_jobs WHERE state = 0 AND due <= ? ORDER BY due LIMIT {PROMOTION_STEP})
RETURNING queue
"""
_IS_ALIVE = "SELECT 1 FROM {ns}_workers WHERE n = ? AND ended IS NULL"
_OPEN_QUEUES = "SELECT n, name FROM {ns}_queues WHERE NOT paused AND messages = ? ORDER BY n"
# The index `ready` holds (queue, rank, due, n, task, state): the inner query never touches the table.
_CLAIM = """
UPDATE {ns}_jobs SET state = 2, version = version + 1, fence = fence + 1, attempt = attempt + 1, owner = ?,
       started = ?, stop = 0
WHERE n IN (
    SELECT n FROM {ns}_jobs WHERE state = 1 AND queue = ? AND task IN (%s) ORDER BY rank, due, n LIMIT ?
)
RETURNING rank, due, n, id, fence, attempt, crashes, task, payload, options, enqueued, expires
"""
_EXPIRE = """
UPDATE {ns}_jobs SET state = 6, fence = fence - 1, attempt = attempt - 1, started = NULL, finished = ?, owner = NULL
WHERE n = ?
"""


def settle(
    session: Session, owner: int, outcomes: Sequence[Outcome], names: Names, moves: Moves, now: int
) -> list[Outcome]:
    """Write outcomes; return those whose job has moved on."""
    plain: list[Outcome] = []
    others: list[Outcome] = []
    for outcome in outcomes:
        (plain if outcome.kind is _SUCCESS and outcome.job.task != MESSAGE else others).append(outcome)
    refused = _succeed(session, owner, plain, names, moves)
    refused += [outcome for outcome in others if not _settle_one(session, owner, outcome, names, moves, now)]
    return refused


def _succeed(session: Session, owner: int, outcomes: list[Outcome], names: Names, moves: Moves) -> list[Outcome]:
    """Settle successes at once; only when one is refused, find out which."""
    if not outcomes:
        return []
    rows = [(o.started_at, o.finished_at, o.result, o.job.n, o.job.fence, owner) for o in outcomes]
    accepted = outcomes
    refused: list[Outcome] = []
    session.run("SAVEPOINT batch")
    if session.many(_SUCCEED, rows) != len(rows):
        session.run("ROLLBACK TO batch")
        accepted = []
        for outcome, row in zip(outcomes, rows, strict=True):
            (accepted if session.many(_SUCCEED, (row,)) else refused).append(outcome)
    session.run("RELEASE batch")
    # Counted by queue first: one move for each outcome would cost 0.5 of the 6 µs a job.
    for (queue, task), jobs in Counter([(o.job.queue, o.job.task) for o in accepted]).items():
        moves.move(names.queue_id(session, queue, task), codes.RUNNING, codes.SUCCESSFUL, jobs)
    return refused


def _settle_one(session: Session, owner: int, outcome: Outcome, names: Names, moves: Moves, now: int) -> bool:
    job = outcome.job
    key = (job.n, job.fence, owner)
    queue = names.queue_id(session, job.queue, job.task)
    if outcome.kind == Kind.SUCCESS:
        accepted = session.many(_DELETE_MESSAGE, (key,))
        moves.add(queue, codes.RUNNING, -accepted)
        return bool(accepted)
    after = _end(session, outcome, key) if outcome.kind in _TERMINAL else _go_back(session, outcome, key, now)
    if after is None:
        return False
    moves.move(queue, codes.RUNNING, after)
    _record_attempt(session, owner, outcome)
    return True


_TERMINAL = {Kind.FAILURE: codes.FAILED, Kind.CANCEL: codes.CANCELLED}


def _end(session: Session, outcome: Outcome, key: tuple[int, int, int]) -> int | None:
    """Write a final outcome; return the state it led to, None when it is refused."""
    after = _TERMINAL[outcome.kind]
    return after if session.many(_END, ((after, outcome.started_at, outcome.finished_at, *key),)) else None


def _go_back(session: Session, outcome: Outcome, key: tuple[int, int, int], now: int) -> int | None:
    """Put a job back; return the state it led to, None when it is refused.

    A released job keeps its place in the line; one that is tried again goes to where its delay puts it.
    """
    after = codes.SCHEDULED if outcome.delay > 0 else codes.READY
    due = None if outcome.kind == Kind.RELEASE and not outcome.delay else now + outcome.delay
    uncharged = int(outcome.kind != Kind.RETRY)
    rows = session.run(_GO_BACK, (after, due, uncharged, now, *key))
    return rows[0][0] if rows else None


def _record_attempt(session: Session, owner: int, outcome: Outcome) -> None:
    job, failure, recorded = outcome.job, outcome.failure, rules.attempt_outcome(outcome)
    if recorded is not None:
        times = (outcome.started_at, outcome.finished_at)
        stored = None if failure is None else _encode(failure)
        session.run(_ATTEMPT, (job.n, job.fence, job.attempt, recorded, *times, owner, stored))


def has_work(session: Session, now: int) -> bool:
    """Return whether a claim could find anything: an idle worker must not take the write lock (F34)."""
    return bool(session.run(_HAS_READY) or session.run(_HAS_DUE, (now,)))


def promote(session: Session, moves: Moves, now: int) -> None:
    """Make due scheduled jobs ready."""
    if session.run(_HAS_DUE, (now,)):
        for (queue,) in session.run(_PROMOTE, (now,)):
            moves.move(queue, codes.SCHEDULED, codes.READY)


class Claim:
    """One claim: what its steps share."""

    __slots__ = ("_moves", "_names", "_now", "_owner", "_session", "_text")

    def __init__(self, session: Session, owner: int, names: Names, moves: Moves, now: int) -> None:
        self._session = session
        self._owner = owner
        self._names = names
        self._moves = moves
        self._now = now
        self._text = ""

    def take(self, demand: Demand, rotation: Rotation) -> list[Claimed]:
        """Take up to `demand.limit` jobs; none for an owner that was declared dead, since nobody would rescue them."""
        if not self._session.run(_IS_ALIVE, (self._owner,)):
            return []
        self._text = _CLAIM % self._names.task_list(self._session, demand.tasks)
        return rotation.take(self._queues(demand), demand.limit, self._take_from, strict=demand.strict)

    def _queues(self, demand: Demand) -> list[tuple[int, str]]:
        """Return the open queues, in the order in which the demand names them."""
        found: list[tuple[int, str]] = self._session.run(_OPEN_QUEUES, (MESSAGE in demand.tasks,))
        if demand.queues is None:
            return found
        by_name = {queue[1]: queue for queue in found}
        return [by_name[name] for name in demand.queues if name in by_name]

    def _take_from(self, queue: tuple[int, str], wanted: int) -> list[Claimed]:
        """Take up to `wanted` jobs of one queue; what has expired ends instead."""
        number, name = queue
        taken: list[Claimed] = []
        expired = 0
        while len(taken) < wanted and expired <= EXPIRY_STEP:
            rows = self._session.run(self._text, (self._owner, self._now, number, wanted - len(taken)))
            rows.sort()  # RETURNING promises no order
            self._moves.move(number, codes.READY, codes.RUNNING, len(rows))
            overdue = [row for row in rows if row[-1] is not None and row[-1] <= self._now]
            taken += self._claimed(name, [row for row in rows if row not in overdue] if overdue else rows)
            if not overdue:
                break
            self._expire(number, overdue)
            expired += len(overdue)
        return taken

    def _claimed(self, queue: str, rows: list[Row]) -> list[Claimed]:
        names = {task: self._names.task_name(self._session, task) for task in {row[7] for row in rows}}
        return [
            Claimed(n, id_, fence, attempt, crashes, names[task], queue, payload, options, enqueued)
            for _, _, n, id_, fence, attempt, crashes, task, payload, options, enqueued, _ in rows
        ]

    def _expire(self, queue: int, rows: list[Row]) -> None:
        self._session.many(_EXPIRE, [(self._now, row[2]) for row in rows])
        self._moves.move(queue, codes.RUNNING, codes.EXPIRED, len(rows))


def batch_of(parameters: Sequence[Any]) -> str:
    """Return a list of ids as the one parameter of `json_each(?)`: one statement for any size (SQ9)."""
    return _encode(parameters).decode()
