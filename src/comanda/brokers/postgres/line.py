"""Where a claim begins to look in a queue's line.

At its head, of course. But while some transaction keeps an old snapshot, rows that were claimed cannot be removed from
the index, and every claim steps over all of them: 100,000 jobs later it takes 75 ms instead of 16. So a claim that was
slow among many dead rows lets the next ones begin where it ended, for REST times as long as it took. What comes in
before that place meanwhile (a higher priority, a job handed back) waits for the next look from the head.
"""

from __future__ import annotations

import time

from .wire import Value, int2, int8

Place = tuple[int, int, int]
"""Rank, due time (µs since 2000) and number of a row."""

HEAD: Place = (-(2**15), -(2**63), 0)

SLOW = 0.05
"""Seconds that a claim from the head may take."""

REST = 10
"""Looks from the head take no more than one part in so many of the time."""

_LONG = 60.0
"""Seconds until the next look from the head when one did not come to its end."""


class Line:
    """The line of one queue, as the claims of one process find it."""

    def __init__(self) -> None:
        self._last = HEAD
        self._until = 0.0

    @property
    def start(self) -> Place:
        """Where the next claim begins."""
        return self._last if time.monotonic() < self._until else HEAD

    def note(self, start: Place, took: float, *, is_crowded: bool, last: Place | None) -> None:
        """Note a claim: where it began, its seconds, whether many dead rows lie there, and its last row."""
        if last is not None:
            self._last = last if start == HEAD and self._until == 0.0 else max(self._last, last)
        if start == HEAD:
            self._until = time.monotonic() + REST * took if is_crowded and took > SLOW else 0.0

    def give_up(self, start: Place) -> bool:
        """Note that a claim did not end in time; return whether one from elsewhere might."""
        if start != HEAD or self._last == HEAD:
            return False
        self._until = time.monotonic() + _LONG
        return True


def values(place: Place) -> tuple[Value, Value, Value]:
    """Return a place as parameters."""
    rank, due, n = place
    return int2(rank), int8(due), int8(n)  # a moment travels as a number
