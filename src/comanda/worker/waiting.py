"""Jobs that were claimed and have not begun: what both pools take from."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from ..brokers.records import Claimed
from ..clock import Micros

PROMPT: Micros = 5_000
"""How long outcomes of short jobs may wait to be settled together with those of their neighbours."""


class Waiting:
    """A line that several threads take from. Each step on the deque is one atomic operation of the interpreter."""

    def __init__(self) -> None:
        self.jobs: deque[Claimed] = deque()

    def empty(self) -> list[Claimed]:
        """Take all jobs out."""
        taken = []
        while True:
            try:
                taken.append(self.jobs.popleft())
            except IndexError:
                return taken

    def remove(self, which: Collection[tuple[int, int]]) -> list[Claimed]:
        """Take the jobs given as (row id, fence) out; return those that were still there."""
        removed = []
        for job in [job for job in tuple(self.jobs) if (job.n, job.fence) in which]:
            try:
                self.jobs.remove(job)
            except ValueError:  # an executor was faster
                continue
            removed.append(job)
        return removed
