"""Counts by queue and state, changed in the transaction that changes the jobs, so that counting never scans."""

from __future__ import annotations

from collections import Counter

from .store import Session

_ADD = """
INSERT INTO {ns}_counts (queue, state, jobs) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs
"""


class Moves:
    """The jobs that one transaction moved between states. A parked job counts as what it is shown as, ready."""

    __slots__ = ("_by",)

    def __init__(self) -> None:
        self._by: Counter[tuple[int, int]] = Counter()

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
