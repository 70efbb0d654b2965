"""Removing finished jobs, oldest first, in small steps (R31, R20)."""

from __future__ import annotations

from .connection import Row
from .counts import Moves
from .operate import STEP, remove
from .session import Session
from .store import Store

# Rows lie in the order of their enqueue, so nothing behind the first job enqueued after both limits can have ended
# before them: the walk stops there. An index over finished times would cost each settle a write instead.
_END_OF_WALK = "SELECT n FROM {ns}_jobs WHERE n > ? AND enqueued >= ? ORDER BY n LIMIT 1"
_LAST = "SELECT coalesce(max(n), 0) + 1 FROM {ns}_jobs"
_TOO_OLD = f"""
SELECT n, queue, state FROM {{ns}}_jobs
WHERE n > ? AND n < ? AND state IN (3, 4, 5, 6) AND finished < CASE state WHEN 3 THEN ? ELSE ? END
ORDER BY n LIMIT {STEP}
"""
_FINISHED = "SELECT coalesce(sum(jobs), 0) FROM {ns}_counts WHERE state IN (3, 4, 5, 6)"
_TOO_MANY = "SELECT n, queue, state FROM {ns}_jobs WHERE state IN (3, 4, 5, 6) ORDER BY n LIMIT ?"
_STATE = "SELECT state FROM {ns}_jobs WHERE n = ?"
_OLD_WORKERS = "SELECT 1 FROM {ns}_workers WHERE ended < ? LIMIT 1"
_FORGET_WORKERS = "DELETE FROM {ns}_workers WHERE ended < ?"

_Job = tuple[int, int, int]
"""n, queue, state code."""


class Pruner:
    """Walks along the table by row id, a step at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after = 0

    def step(self, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        """Remove at most 1,000 jobs; return how many: 0 when nothing is left to remove."""
        workers_before = min(successful_before, ended_before)
        with self._store.read() as session:
            chosen = self._too_old(session, successful_before, ended_before)
            self._after = chosen[-1][0] if len(chosen) == STEP else 0
            if not chosen:
                excess = session.run(_FINISHED)[0][0] - keep_at_most
                chosen = _rows(session.run(_TOO_MANY, (max(0, min(excess, STEP)),)))
            if not chosen and not session.run(_OLD_WORKERS, (workers_before,)):
                return 0
        return self._remove(chosen, workers_before)

    def _too_old(self, session: Session, successful_before: int, ended_before: int) -> list[_Job]:
        latest = max(successful_before, ended_before)
        end = session.run(_END_OF_WALK, (self._after, latest)) or session.run(_LAST)
        return _rows(session.run(_TOO_OLD, (self._after, end[0][0], successful_before, ended_before)))

    def _remove(self, chosen: list[_Job], workers_before: int) -> int:
        with self._store.write() as session:
            moves = Moves(session)
            session.run(_FORGET_WORKERS, (workers_before,))
            # An operator may have retried a job since it was read.
            still = [row for row in chosen if session.run(_STATE, (row[0],)) == [(row[2],)]]
            remove(session, still, moves)
            moves.write(session)
        return len(still)


def _rows(found: list[Row]) -> list[_Job]:
    return [(n, queue, state) for n, queue, state in found]
