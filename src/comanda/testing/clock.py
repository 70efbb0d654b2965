"""A clock that moves when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..clock import SECOND, Micros, from_datetime

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A `comanda.clock.Clock` for tests: time stands still until `advance`.

    The wall clock and the monotonic clock are two, as on a real host: `set` steps the first and leaves the second.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._wall = from_datetime(start, "FakeClock: start")
        self._monotonic = 0

    def now(self) -> Micros:
        """Return the wall clock in microseconds UTC."""
        return self._wall

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic / SECOND

    def advance(self, by: float | timedelta) -> None:
        """Let `by` seconds pass on both clocks; raise ValueError when negative: time passes in one direction."""
        step = round((by.total_seconds() if isinstance(by, timedelta) else by) * SECOND)
        if step < 0:
            raise ValueError(f"advance: time passes in one direction, got {by!r}; use set() to step the wall clock")
        self._wall += step
        self._monotonic += step

    def set(self, moment: datetime | Micros) -> None:
        """Step the wall clock to an aware datetime or to microseconds UTC; nobody's durations change."""
        self._wall = moment if isinstance(moment, int) else from_datetime(moment, "FakeClock: set")
