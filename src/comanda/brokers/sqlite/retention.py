"""Removing finished jobs, oldest first, in small steps (R31, R20)."""

from __future__ import annotations

from . import codes
from .counts import Moves
from .operate import STEP, remove
from .store import Session, Store

_WINDOW = 5_000
"""Rows that one step looks at."""

_ROWS = f"""
SELECT n, queue, state, enqueued, finished FROM {{ns}}_jobs WHERE n > ? ORDER BY n LIMIT {_WINDOW}
"""  # noqa: S608
_FINISHED = "SELECT coalesce(sum(jobs), 0) FROM {ns}_counts WHERE state IN (3, 4, 5, 6)"
_FORGET_WORKERS = "DELETE FROM {ns}_workers WHERE ended < ?"


class Pruner:
    """Walks along the table by row id; a finished walk starts over.

    There is no index over successful rows: it would cost each settle a write. Rows lie in the order of their enqueue,
    so a walk ends at the first job enqueued after both limits, since it cannot have finished before them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after = 0

    def step(self, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        """Remove at most 1,000 jobs; return how many."""
        with self._store.read() as session:
            excess = session.run(_FINISHED)[0][0] - keep_at_most
            rows = session.run(_ROWS, (self._after,))
        chosen: list[tuple[int, int, int]] = []
        last = self._after
        for n, queue, state, enqueued, finished in rows:
            if len(chosen) == STEP or (enqueued >= max(successful_before, ended_before) and len(chosen) >= excess):
                break
            limit = successful_before if state == codes.SUCCESSFUL else ended_before
            if finished is not None and state in _ENDED and (finished < limit or len(chosen) < excess):
                chosen.append((n, queue, state))
            last = n
        else:
            last = rows[-1][0] if len(rows) == _WINDOW else 0
        self._after = last if chosen or last != self._after else 0
        if chosen:
            self._remove(chosen, min(successful_before, ended_before))
        return len(chosen)

    def _remove(self, chosen: list[tuple[int, int, int]], workers_before: int) -> None:
        moves = Moves()
        with self._store.write() as session:
            session.run(_FORGET_WORKERS, (workers_before,))
            still = [row for row in chosen if _is_ended(session, row)]
            remove(session, still, moves)
            moves.write(session)


_ENDED = (codes.SUCCESSFUL, codes.FAILED, codes.CANCELLED, codes.EXPIRED)
_STATE_OF = "SELECT state FROM {ns}_jobs WHERE n = ?"


def _is_ended(session: Session, row: tuple[int, int, int]) -> bool:
    """Return whether the job still is what the reader saw: an operator may have retried it since."""
    return session.run(_STATE_OF, (row[0],)) == [(row[2],)]
