"""Counts by queue and state, so that counting never scans jobs.

The table `counts` holds changes: a transaction adds a row for each pair it moved jobs into or out of, and updates none,
so that neither 32 enqueues at once nor an application's long transaction makes anybody wait. Whoever keeps house draws
the rows together; a reader sees either the many or the few.
"""

from __future__ import annotations

from .store import Session, Store

MANY = 2_000
"""Rows at which they are drawn together."""

_SUMS = "SELECT queue, state, sum(jobs)::bigint, count(*) FROM {ns}.counts GROUP BY queue, state"
# One at a time: of two, the second would add the first one's sums to rows that it had not seen go.
_LOCK = """
SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('comanda counts {ns}', 0))
"""
_DRAW_TOGETHER = """
WITH gone AS (DELETE FROM {ns}.counts RETURNING queue, state, jobs)
INSERT INTO {ns}.counts SELECT queue, state, sum(jobs) FROM gone GROUP BY queue, state
"""


def sums(session: Session) -> dict[tuple[int, int], int]:
    """Return jobs by queue and state code; a pair that there was once is named with 0."""
    return {(queue, state): jobs for queue, state, jobs, _ in session.run(_SUMS)}


def draw_together(store: Store) -> None:
    """Make few rows of many."""
    rows = sum(found[3] for found in store.look(_SUMS))
    if rows >= MANY:
        store.transact(_draw_together, durable=False)


def _draw_together(session: Session) -> None:
    if session.run(_LOCK)[0][0]:
        session.run(_DRAW_TOGETHER)
