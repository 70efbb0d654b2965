"""Removing finished jobs, oldest first, in small steps (R31, R20)."""

from __future__ import annotations

from ..codes import TO_STATE
from ..records import TERMINAL_STATES
from . import counts, moves
from .connection import Row
from .operate import STEP, given
from .statements import query
from .store import Session, Store
from .wire import int8, moment

# Rows lie in the order of their enqueue, so nothing behind the first job enqueued after both limits can have ended
# before them: the walk stops there. An index over finished times would cost each settle a write instead.
# Indexes: jobs_pkey, done_pkey.
_END_OF_WALK = query(
    """
SELECT coalesce(
    (SELECT n FROM {ns}.jobs WHERE n > {after}::bigint AND enqueued >= {latest}::timestamptz ORDER BY n LIMIT 1),
    9223372036854775807
)
""",
    *("after", "latest"),
)
_CHOSEN = "SELECT d.n, j.id, j.queue, j.rank::integer, j.enqueued FROM {ns}.done d JOIN {ns}.jobs j ON j.n = d.n"
_TOO_OLD = query(
    f"""
{_CHOSEN}
WHERE d.n > {{after}}::bigint AND d.n < {{end}}::bigint
  AND d.finished < CASE d.state WHEN 3 THEN {{successful}}::timestamptz ELSE {{others}}::timestamptz END
ORDER BY d.n LIMIT {STEP}
""",
    *("after", "end", "successful", "others"),
)
_TOO_MANY = query(f"{_CHOSEN} ORDER BY d.n LIMIT {{limit}}::bigint", "limit")
_FORGET_WORKERS = query("DELETE FROM {ns}.workers WHERE ended < {before}::timestamptz", "before")
_OLD_WORKERS = query("SELECT 1 FROM {ns}.workers WHERE ended < {before}::timestamptz LIMIT 1", "before")


class Pruner:
    """Walks along the finished jobs by row id, a step at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after = 0

    def step(self, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        """Remove at most 1,000 jobs; return how many: 0 when nothing is left to remove."""
        workers_before = moment(min(successful_before, ended_before))
        with self._store.read() as session:
            chosen = self._too_old(session, successful_before, ended_before)
            self._after = chosen[-1][0] if len(chosen) == STEP else 0
            if not chosen:
                chosen = self._too_many(session, keep_at_most)
            if not chosen and not session.run(_OLD_WORKERS, workers_before):
                return 0

        def body(session: Session) -> int:
            session.run(_FORGET_WORKERS, workers_before)
            return len(session.run(moves.PRUNE, *given(chosen)))  # an operator may have retried one since

        return self._store.transact(body)

    def _too_old(self, session: Session, successful_before: int, ended_before: int) -> list[Row]:
        latest = max(successful_before, ended_before)
        ((end,),) = session.run(_END_OF_WALK, int8(self._after), moment(latest))
        return session.run(_TOO_OLD, int8(self._after), int8(end), moment(successful_before), moment(ended_before))

    def _too_many(self, session: Session, keep_at_most: int) -> list[Row]:
        finished = sum(jobs for (_, code), jobs in counts.sums(session).items() if TO_STATE[code] in TERMINAL_STATES)
        excess = min(finished - keep_at_most, STEP)
        return session.run(_TOO_MANY, int8(excess)) if excess > 0 else []
