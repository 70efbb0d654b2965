"""Time as comanda keeps it inside: integer microseconds since 1970, UTC (design section 4, guarantee 9)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from .errors import ConfigurationError

Micros = int
SECOND = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@runtime_checkable
class Clock(Protocol):
    """Where a broker without a server of its own reads the time."""

    def now(self) -> Micros:
        """Return the wall clock in microseconds UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that no one can step, for judging who is alive (R45)."""
        ...


class SystemClock:
    """The host's clocks."""

    def now(self) -> Micros:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


def to_datetime(moment: Micros) -> datetime:
    """Return the aware datetime of `moment`, exact to the microsecond (a float would not be)."""
    return _EPOCH + timedelta(microseconds=moment)


def from_datetime(moment: datetime, what: str) -> Micros:
    """Return the microseconds of an aware datetime; raise ConfigurationError for a naive one, naming `what`."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ConfigurationError(
            f"{what}: {moment.isoformat()} has no time zone, so it names no instant; "
            "pass an aware datetime such as datetime.now(UTC)"
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


def duration(value: float | timedelta, what: str) -> Micros:
    """Return a duration given in seconds or as a timedelta, in microseconds.

    Raises ConfigurationError, naming `what`, when it is negative, not finite or longer than 100 years.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigurationError(f"{what}: expected seconds or a timedelta, got {type(value).__name__}")
    if not 0 <= seconds <= 3_155_760_000:
        raise ConfigurationError(f"{what}: {seconds} is not a time between 0 seconds and 100 years")
    return round(seconds * SECOND)
