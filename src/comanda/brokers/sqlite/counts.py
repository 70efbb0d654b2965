"""Counts by queue and state, so that counting never scans.

`counts` knows the jobs up to a row, whose number stands under queue 0 and state 0 (there is no queue 0). Those enqueued
since lie behind it and are as they were inserted: whoever changes or deletes jobs counts them first, in the same
transaction (`Moves`), and whoever reads adds them up. So an enqueue is one statement that writes no count: one page
less to sync of five, and no transaction over several calls that would hold the file while this thread waits for the
interpreter. The rows not counted are about TAIL a process at most.

It follows that no deleted job had a higher number than that: new ones go above it (enqueue.py).
"""

from __future__ import annotations

from collections import Counter

from .session import Session

TAIL = 1_000
"""Jobs that a process enqueues before it counts them itself."""

_ADD = """
INSERT INTO {ns}_counts (queue, state, jobs) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs
"""
_UNCOUNTED = """
SELECT queue, state, count(*), max(n) FROM {ns}_jobs
WHERE n > (SELECT jobs FROM {ns}_counts WHERE queue = 0 AND state = 0) GROUP BY queue, state
"""
_COUNTED = "UPDATE {ns}_counts SET jobs = ? WHERE queue = 0 AND state = 0"


def catch_up(session: Session) -> None:
    """Count the jobs enqueued since the last time, before the first of them changes."""
    found = session.run(_UNCOUNTED)
    for queue, state, jobs, _ in found:
        session.run(_ADD, (queue, state, jobs))
    if found:
        session.run(_COUNTED, (max(last for *_, last in found),))


class Moves:
    """The jobs that one transaction moves between states; made before it moves the first one.

    A parked job counts as what it is shown as, ready.
    """

    __slots__ = ("_by",)

    def __init__(self, session: Session) -> None:
        self._by: Counter[tuple[int, int]] = Counter()
        catch_up(session)

    def add(self, queue: int, state: int, jobs: int = 1) -> None:
        """Note jobs that entered a state, or left it when `jobs` is negative."""
        self._by[queue, state] += jobs

    def move(self, queue: int, before: int, after: int, jobs: int = 1) -> None:
        """Note jobs that went from one state to another."""
        self._by[queue, before] -= jobs
        self._by[queue, after] += jobs

    def write(self, session: Session) -> None:
        """Store the sums."""
        for (queue, state), jobs in self._by.items():
            if jobs:
                session.run(_ADD, (queue, state, jobs))
