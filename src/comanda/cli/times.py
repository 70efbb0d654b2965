"""Times as people write them on a command line, and as they read them."""

from __future__ import annotations

import re
from datetime import datetime

from ..clock import SECOND, Micros, from_datetime, to_datetime
from ..errors import ConfigurationError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d{1,10}(?:\.\d{1,6})?)\s*([smhdw]?)", re.ASCII)
_SCALE = ((172_800.0, 86_400.0, "d"), (7_200.0, 3600.0, "h"), (120.0, 60.0, "m"))


def seconds_of(text: str) -> float:
    """Return a duration such as 90, 1.5s, 5m, 2h, 7d, 1w in seconds. Raises ConfigurationError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"{text!r} is no duration: write seconds, or a number with s, m, h, d or w, such as 5m"
        )
    return float(found[1]) * _UNITS[found[2]]


def moment_of(text: str) -> Micros:
    """Return an instant in ISO 8601 with a time zone, such as 2026-10-01T08:00+02:00. Raises ConfigurationError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(f"{text!r} is no time: write ISO 8601, such as 2026-10-01T08:00+02:00") from None
    try:
        return from_datetime(moment, "the time")
    except (OverflowError, ConfigurationError):
        raise ConfigurationError(f"{text!r} names no instant: add its time zone, such as +02:00 or Z") from None


def past(text: str, now: Micros) -> Micros:
    """Return the instant that `since:` means: a duration before now, or an instant. Raises ConfigurationError."""
    if _DURATION.fullmatch(text.strip()):
        return now - round(seconds_of(text) * SECOND)
    try:
        return moment_of(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"since: takes a duration such as 1h, or an instant; {error}") from None


def length(micros: Micros) -> str:
    """Return a duration for people: 0.3 s, 14 m, 5 h, 3 d."""
    seconds = micros / SECOND
    if seconds < 0.1:
        return f"{max(0.0, seconds) * 1000:.1f} ms"
    for least, unit, name in _SCALE:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1f} s"


def clock_time(moment: Micros) -> str:
    """Return an instant for people: local date and time to the millisecond, with the zone's name."""
    local = to_datetime(moment).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local:%Z}"
