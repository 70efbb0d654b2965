"""When a failed attempt is followed by another one."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda.clock import SECOND
from comanda.errors import ConfigurationError, TimedOut
from comanda.retry import DEFAULT, NEVER, Retry

_BOOM = ValueError("boom")


def test_without_jitter_the_delay_doubles_up_to_its_ceiling() -> None:
    retry = Retry(max_attempts=100, jitter=False)
    seconds = [(retry.next_delay(attempt, _BOOM) or 0) / SECOND for attempt in (1, 2, 3, 4, 9, 10, 99)]
    assert seconds == [2, 4, 8, 16, 512, 600, 600]


def test_the_default_gives_up_after_five_attempts() -> None:
    delays = [DEFAULT.next_delay(attempt, _BOOM) for attempt in range(1, 7)]
    assert [delay is None for delay in delays] == [False, False, False, False, True, True]
    assert NEVER.next_delay(1, _BOOM) is None


@given(attempt=st.integers(1, 10_000), factor=st.floats(1, 1_000), backoff=st.floats(0, 1_000))
def test_full_jitter_takes_any_part_of_the_delay_and_never_more(attempt: int, factor: float, backoff: float) -> None:
    options: dict[str, Any] = {"max_attempts": 20_000, "factor": factor, "backoff": backoff, "max_backoff": 60}
    longest = Retry(jitter=False, **options).next_delay(attempt, _BOOM)
    chosen = Retry(**options).next_delay(attempt, _BOOM)
    assert longest is not None
    assert chosen is not None
    assert 0 <= chosen <= longest <= 60 * SECOND


def test_jitter_is_not_the_same_twice() -> None:
    """A thousand jobs that failed together do not come back together."""
    assert len({DEFAULT.next_delay(4, _BOOM) for _ in range(100)}) > 90


def test_exceptions_to_give_up_on_are_never_retried() -> None:
    retry = Retry(give_up_on=(LookupError,))
    assert retry.next_delay(1, KeyError("a subclass")) is None
    assert retry.next_delay(1, _BOOM) is not None


def test_with_retry_on_only_those_are_retried() -> None:
    retry = Retry(retry_on=(OSError,), give_up_on=(FileNotFoundError,))
    assert retry.next_delay(1, TimeoutError()) is not None
    assert retry.next_delay(1, FileNotFoundError()) is None
    assert retry.next_delay(1, _BOOM) is None


def test_a_time_out_counts_as_its_own_exception() -> None:
    assert DEFAULT.next_delay(1, TimedOut()) is not None
    assert Retry(give_up_on=(TimedOut,)).next_delay(1, TimedOut()) is None
    assert Retry(retry_on=(ValueError,)).next_delay(1, TimedOut()) is None


def test_a_function_may_choose_the_delay_or_give_up() -> None:
    seen: list[tuple[int, BaseException]] = []
    answers: dict[int, float | timedelta] = {1: 1.5, 2: timedelta(minutes=1)}

    def delay(attempt: int, error: BaseException) -> float | timedelta | None:
        seen.append((attempt, error))
        return answers.get(attempt)

    retry = Retry(delay=delay)
    assert [retry.next_delay(attempt, _BOOM) for attempt in (1, 2, 3)] == [1_500_000, 60 * SECOND, None]
    assert seen == [(1, _BOOM), (2, _BOOM), (3, _BOOM)]


def test_what_that_function_returns_is_checked() -> None:
    with pytest.raises(ConfigurationError, match=r"what delay\(\) returned: -1 is not a time"):
        Retry(delay=lambda _attempt, _error: -1).next_delay(1, _BOOM)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1, got 0"),
        ({"max_attempts": 2.5}, "max_attempts must be a whole number from 1, got 2.5"),
        ({"max_attempts": True}, "max_attempts must be a whole number from 1, got True"),
        ({"factor": 0.5}, "factor must be .*, got 0.5"),
        ({"factor": math.nan}, "factor must be .*, got nan"),
        ({"backoff": -1}, "backoff: -1 is not a time"),
        ({"max_backoff": math.inf}, "max_backoff: inf is not a time"),
        ({"retry_on": ("ValueError",)}, "retry_on takes exception classes, got 'ValueError'"),
        ({"give_up_on": (int,)}, "give_up_on takes exception classes, got"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_where_it_is_written(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Retry: {sentence}"):
        Retry(**options)
