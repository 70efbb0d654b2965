"""The hot path: settle the last batch and claim the next in one transaction (SQ2: +41 % at a batch of 100)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..base import PROMOTION_STEP
from ..records import MESSAGE, Claimed, Demand, Kind, Outcome
from . import codes
from .counts import Moves
from .names import Names
from .store import Session

_encode = msgspec.json.Encoder().encode

_SUCCEED = """
UPDATE {ns}_jobs SET state = 3, version = version + 1, started = ?, finished = ?, result = ?
WHERE n = ? AND fence = ? AND owner = ? AND state = 2
"""
_END = """
UPDATE {ns}_jobs SET state = ?, version = version + 1, started = ?, finished = ?
WHERE n = ? AND fence = ? AND owner = ? AND state = 2
"""
_GO_BACK = """
UPDATE {ns}_jobs SET state = ?, version = version + 1, due = ?, attempt = attempt - ?, owner = NULL, stop = 0
WHERE n = ? AND fence = ? AND owner = ? AND state = 2
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
"""  # noqa: S608
_OPEN_QUEUES = "SELECT n, name FROM {ns}_queues WHERE NOT paused AND messages = ? ORDER BY n"
# The index `ready` holds (queue, rank, due, n, task): the inner query never touches the table.
_CLAIM = """
UPDATE {ns}_jobs SET state = 2, version = version + 1, fence = fence + 1, attempt = attempt + 1, owner = ?,
       started = ?, stop = 0
WHERE n IN (
    SELECT n FROM {ns}_jobs WHERE state = 1 AND queue = ? AND task IN (%s) ORDER BY rank, due, n LIMIT ?
)
RETURNING rank, due, n, id, fence, attempt, crashes, task, payload, options, enqueued, expires
"""
_EXPIRE = """
UPDATE {ns}_jobs SET state = 6, version = version + 1, attempt = attempt - 1, started = NULL, finished = ?, owner = NULL
WHERE n = ?
"""

_ATTEMPT_OUTCOME = {Kind.RETRY: "failed", Kind.SNOOZE: "snoozed", Kind.FAILURE: "failed", Kind.CANCEL: "cancelled"}


def settle(session: Session, owner: int, outcomes: Sequence[Outcome], names: Names, moves: Moves, now: int) -> list[Outcome]:
    """Write outcomes; return those whose job has moved on."""
    successes = [o for o in outcomes if o.kind == Kind.SUCCESS and o.job.task != MESSAGE]
    refused = _succeed(session, owner, successes, names, moves)
    for outcome in outcomes:
        if (outcome.kind != Kind.SUCCESS or outcome.job.task == MESSAGE) and not _settle_one(
            session, owner, outcome, names, moves, now
        ):
            refused.append(outcome)
    return refused


def _succeed(
    session: Session, owner: int, outcomes: list[Outcome], names: Names, moves: Moves
) -> list[Outcome]:
    """Settle successes at once; only when one is refused, find out which."""
    if not outcomes:
        return []
    rows = [(o.started_at, o.finished_at, o.result, o.job.n, o.job.fence, owner) for o in outcomes]
    refused: list[Outcome] = []
    session.run("SAVEPOINT batch")
    if session.many(_SUCCEED, rows) != len(rows):
        session.run("ROLLBACK TO batch")
        refused = [o for o, row in zip(outcomes, rows, strict=True) if not session.many(_SUCCEED, (row,))]
    session.run("RELEASE batch")
    lost = {id(outcome) for outcome in refused}
    for outcome in outcomes:
        if id(outcome) not in lost:
            moves.move(names.queue_id(session, outcome.job.queue, outcome.job.task), codes.RUNNING, codes.SUCCESSFUL)
    return refused


def _settle_one(session: Session, owner: int, outcome: Outcome, names: Names, moves: Moves, now: int) -> bool:
    job = outcome.job
    key = (job.n, job.fence, owner)
    queue = names.queue_id(session, job.queue, job.task)
    if outcome.kind == Kind.SUCCESS:
        accepted = session.many(_DELETE_MESSAGE, (key,))
        moves.add(queue, codes.RUNNING, -accepted)
        return bool(accepted)
    if outcome.kind in (Kind.FAILURE, Kind.CANCEL):
        after = codes.FAILED if outcome.kind == Kind.FAILURE else codes.CANCELLED
        accepted = session.many(_END, ((after, outcome.started_at, outcome.finished_at, *key),))
    else:
        after = codes.SCHEDULED if outcome.delay > 0 else codes.READY
        uncharged = int(outcome.kind != Kind.RETRY)
        accepted = session.many(_GO_BACK, ((after, now + outcome.delay, uncharged, *key),))
    moves.move(queue, codes.RUNNING, after, accepted)
    if accepted and outcome.kind in _ATTEMPT_OUTCOME:
        _record_attempt(session, owner, outcome)
    return bool(accepted)


def _record_attempt(session: Session, owner: int, outcome: Outcome) -> None:
    job, failure = outcome.job, outcome.failure
    timed_out = failure is not None and failure.reason == "timeout"
    session.run(
        _ATTEMPT,
        (
            *(job.n, job.fence, job.attempt, "timed_out" if timed_out else _ATTEMPT_OUTCOME[outcome.kind]),
            *(outcome.started_at, outcome.finished_at, owner, None if failure is None else _encode(failure)),
        ),
    )


def has_work(session: Session, now: int) -> bool:
    """Return whether a claim could find anything: an idle worker must not take the write lock (F34)."""
    return bool(session.run(_HAS_READY) or session.run(_HAS_DUE, (now,)))


def promote(session: Session, moves: Moves, now: int) -> None:
    """Make due scheduled jobs ready."""
    if session.run(_HAS_DUE, (now,)):
        for (queue,) in session.run(_PROMOTE, (now,)):
            moves.move(queue, codes.SCHEDULED, codes.READY)


class Claims:
    """The claims of one process: remembers whose turn it is among the queues."""

    def __init__(self) -> None:
        self._turn = 0
        self._texts: dict[frozenset[str], str] = {}

    def take(self, session: Session, owner: int, demand: Demand, names: Names, moves: Moves, now: int) -> list[Claimed]:
        """Claim up to `demand.limit` jobs."""
        queues = self._visits(session, demand)
        text = self._text(session, names, demand.tasks)
        taken: list[Claimed] = []
        share = demand.limit if demand.strict or not queues else -(-demand.limit // len(queues))
        full = []
        for number, name in queues:
            wanted = min(share, demand.limit - len(taken))
            got = self._take_from(session, (number, name), (owner, now, number, wanted), text, names, moves)
            taken += got
            if len(got) == wanted:
                full.append((number, name))
        for number, name in full:
            wanted = demand.limit - len(taken)
            if wanted and not demand.strict:
                taken += self._take_from(session, (number, name), (owner, now, number, wanted), text, names, moves)
        return taken

    def _visits(self, session: Session, demand: Demand) -> list[tuple[int, str]]:
        """Return the queues in the order of this visit: as given when strict, else each time another one first."""
        found = [(n, name) for n, name in session.run(_OPEN_QUEUES, (MESSAGE in demand.tasks,))]
        if demand.queues is not None:
            by_name = {name: (n, name) for n, name in found}
            found = [by_name[name] for name in demand.queues if name in by_name]
        if demand.strict or len(found) < 2:
            return found
        self._turn = (self._turn + 1) % len(found)
        return found[self._turn :] + found[: self._turn]

    def _text(self, session: Session, names: Names, tasks: frozenset[str]) -> str:
        if tasks not in self._texts:
            self._texts[tasks] = _CLAIM % ",".join(str(names.task_id(session, task)) for task in sorted(tasks))
        return self._texts[tasks]

    def _take_from(
        self, session: Session, queue: tuple[int, str], parameters: tuple[int, int, int, int], text: str, names: Names, moves: Moves
    ) -> list[Claimed]:
        number, name = queue
        if not parameters[3]:
            return []
        rows = session.run(text, parameters)
        rows.sort()  # RETURNING promises no order
        now = parameters[1]
        moves.move(number, codes.READY, codes.RUNNING, len(rows))
        overdue = [row for row in rows if row[11] is not None and row[11] <= now]
        for row in overdue:
            session.run(_EXPIRE, (now, row[2]))
            moves.move(number, codes.RUNNING, codes.EXPIRED)
        return [
            Claimed(n, id_, fence, attempt, crashes, names.task_name(session, task), name, payload, options, enqueued)
            for _, _, n, id_, fence, attempt, crashes, task, payload, options, enqueued, expires in rows
            if expires is None or expires > now
        ]


def batch_of(parameters: Sequence[Any]) -> str:
    """Return a list of ids as the one parameter of `json_each(?)`: one statement for any size (SQ9)."""
    return _encode(parameters).decode()
