"""Times on the command line."""

from __future__ import annotations

import pytest

from comanda import ConfigurationError
from comanda.cli.times import clock_time, length, moment_of, past, seconds_of

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("7d", 604_800), ("1w", 604_800), (" 5 m ", 300), ("0", 0)],
)
def test_a_duration_is_seconds_or_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5", "5x", "5 minutes", "1e9", "\u0665", "5m5", "nan", "99999999999"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no duration"):
        seconds_of(text)


def test_an_instant_has_a_time_zone() -> None:
    assert moment_of("1970-01-01T02:00:01+02:00") == SECOND
    assert moment_of("1970-01-01T00:00:01Z") == SECOND
    with pytest.raises(ConfigurationError, match="add its time zone"):
        moment_of("1970-01-01T00:00:01")
    with pytest.raises(ConfigurationError, match="is no time"):
        moment_of("yesterday")


def test_since_takes_both() -> None:
    assert past("1h", 3601 * SECOND) == SECOND
    assert past("1970-01-01T00:00:01Z", 0) == SECOND
    with pytest.raises(ConfigurationError, match="since: takes a duration such as 1h, or an instant"):
        past("lately", 0)


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (-5, "0.0 ms"),
        (1_500, "1.5 ms"),
        (2_100_000, "2.1 s"),
        (90 * SECOND, "90.0 s"),
        (840 * SECOND, "14 m"),
        (5 * 3600 * SECOND, "5 h"),
        (3 * 86_400 * SECOND, "3 d"),
    ],
)
def test_a_duration_is_shown_in_one_unit(micros: int, shown: str) -> None:
    assert length(micros) == shown


def test_an_instant_is_shown_in_local_time_with_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert clock_time(1_500_000) == "1970-01-01 02:00:01.500 UTC"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
