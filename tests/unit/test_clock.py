"""Instants and durations, and the clock that tests turn by hand."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda.clock import SECOND, Clock, SystemClock, duration, from_datetime, to_datetime
from comanda.errors import ConfigurationError
from comanda.testing import FakeClock

_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2900, 1, 1), timezones=_OFFSETS))  # noqa: DTZ001 - bounds
def test_an_instant_survives_the_way_in_and_out_to_the_microsecond(moment: datetime) -> None:
    assert to_datetime(from_datetime(moment, "due")) == moment


def test_instants_are_microseconds_since_1970_in_utc() -> None:
    one_hour_east = timezone(timedelta(hours=1))
    assert from_datetime(datetime(1970, 1, 1, 1, 0, 0, 1, tzinfo=one_hour_east), "due") == 1
    assert to_datetime(-SECOND) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_naive_datetime_names_no_instant() -> None:
    with pytest.raises(
        ConfigurationError, match=r"run_after: 2026-01-01T00:00:00 has no time zone.*datetime\.now\(UTC\)"
    ):
        from_datetime(datetime(2026, 1, 1), "run_after")  # noqa: DTZ001 - the mistake in question


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (0, 0),
        (1, SECOND),
        (0.5, 500_000),
        (timedelta(milliseconds=3), 3_000),
        (1e-6, 1),
        (3_155_760_000, 3_155_760_000 * SECOND),
    ],
)
def test_a_duration_is_seconds_or_a_timedelta(value: float | timedelta, micros: int) -> None:
    assert duration(value, "timeout") == micros


@pytest.mark.parametrize("value", [-1, -1e-9, math.nan, math.inf, 3_155_760_001, timedelta(seconds=-1)])
def test_a_duration_lies_between_nothing_and_a_century(value: float | timedelta) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout: .* is not a time between 0 seconds and 100 years"):
        duration(value, "timeout")


@pytest.mark.parametrize("value", ["5", None, True, b"6", [5]])
def test_a_duration_is_nothing_else(value: object) -> None:
    with pytest.raises(ConfigurationError, match="timeout: expected seconds or a timedelta, got"):
        duration(value, "timeout")  # type: ignore[arg-type]


def test_the_clock_of_the_host_tells_both_times() -> None:
    clock: Clock = SystemClock()
    before, passed = time.time_ns() // 1_000, time.monotonic()
    assert before <= clock.now() <= time.time_ns() // 1_000
    assert passed <= clock.monotonic() <= time.monotonic()


def test_a_fake_clock_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
    assert isinstance(clock, Clock)
    began = clock.now()
    assert (to_datetime(began), clock.monotonic()) == (datetime(2026, 3, 1, tzinfo=UTC), 0.0)
    clock.advance(1.5)
    clock.advance(timedelta(milliseconds=1))
    assert (clock.now() - began, clock.monotonic()) == (1_501_000, 1.501)


def test_a_fake_wall_clock_can_be_stepped_without_any_time_passing() -> None:
    clock = FakeClock()
    clock.advance(5)
    clock.set(datetime(2020, 1, 1, tzinfo=UTC))
    assert (to_datetime(clock.now()), clock.monotonic()) == (datetime(2020, 1, 1, tzinfo=UTC), 5.0)
    clock.set(7)
    assert clock.now() == 7


def test_no_time_passes_backwards() -> None:
    clock = FakeClock()
    with pytest.raises(ValueError, match="time passes in one direction"):
        clock.advance(-1)
    with pytest.raises(ConfigurationError, match="has no time zone"):
        clock.set(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake in question


def test_a_thousand_small_steps_are_one_large_one() -> None:
    """Seconds are added as whole microseconds: nothing is lost to rounding."""
    clock = FakeClock()
    for _ in range(1_000):
        clock.advance(0.001)
    assert clock.monotonic() == 1.0
