"""How many jobs to claim, and how many threads to wake for them (R3, SQ3)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from ..brokers.records import Outcome

CAP = 1_000
"""Jobs in one claim at most: beyond a few hundred, batches buy little and cost fairness."""

HOLD = 0.05
"""Seconds of work that one claim may hold."""

QUICK = 0.02
"""Seconds: a batch that took less is followed by one of twice the size."""

SHORT = 0.005
"""Seconds of work for which it is not worth waking a second thread: about one switch interval of the interpreter."""


LONG = 0.001
"""Seconds from which a job is long enough to claim more beside it."""


class Batching:
    """Learns how long jobs take, and sizes claims by it."""

    def __init__(self) -> None:
        self._pace = 0.0
        self._size = 1
        self._dispatched = 0
        self._since = 0.0

    def wanted(self, slots: int, free: int, waiting: int) -> int:
        """Return how many jobs to claim when `free` of the slots are idle and `waiting` jobs have not begun.

        Short jobs are claimed when all others have begun: their threads have no time for a storage thread beside them.
        Longer ones earlier, so that no slot is idle during the claim.
        """
        if not waiting and free:
            return max(free, min(CAP, self._size, self._held_by(free)))
        if waiting < slots and self._pace >= LONG:
            return max(0, min(CAP, self._held_by(slots) - waiting))
        return 0

    def _held_by(self, slots: int) -> int:
        """Return how many jobs are HOLD seconds of work for this many slots."""
        return int(slots * HOLD / self._pace) if self._pace else slots

    def claimed(self, count: int, wanted: int) -> None:
        """Note a claim: what was asked for, and what came."""
        now = time.monotonic()
        if count == wanted and now - self._since < QUICK:
            self._size = min(CAP, 2 * max(wanted, self._size))
        elif count == wanted:
            self._size = max(wanted, self._size // 2)
        self._dispatched = count
        self._since = now

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from jobs that ended."""
        took = sum([outcome.finished_at - outcome.started_at for outcome in outcomes])
        latest = max(took / len(outcomes), 1) / 1_000_000
        self._pace = latest if self._pace == 0.0 else (self._pace + latest) / 2

    def held_since(self) -> float:
        """Return how many seconds ago the last batch was handed out."""
        return time.monotonic() - self._since

    def threads_at_first(self, jobs: int) -> int:
        """Return how many threads a fresh batch of `jobs` is worth, by what is known: one for short jobs."""
        return min(jobs, max(1, math.ceil(jobs * self._pace / SHORT)))

    def threads_by_now(self, waiting: int, busy: int) -> int:
        """Return how many threads the rest of the batch is worth, by what has happened to it since."""
        taken = max(1, self._dispatched - waiting)
        pace = self.held_since() * max(1, busy) / taken
        return min(waiting + busy, math.ceil(waiting * pace / SHORT))
