"""When a failed attempt is followed by another one. Pure: no clock, no store."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import msgspec

from .clock import Micros, duration
from .errors import ConfigurationError

Exceptions = tuple[type[BaseException], ...]


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of a task.

    After attempt n the next one waits `backoff · factor^(n-1)` seconds, at most `max_backoff`, of which a random part
    is taken (full jitter: AWS Architecture Blog, "Exponential Backoff And Jitter"). `delay(attempt, error)`, if given,
    returns the seconds itself, or None to give up. Exceptions in `give_up_on` are never retried; with `retry_on`,
    only those are. Time-outs count as TimedOut.
    """

    max_attempts: int = 5
    backoff: float | timedelta = 2.0
    factor: float = 2.0
    max_backoff: float | timedelta = 600.0
    jitter: bool = True
    retry_on: Exceptions | None = None
    give_up_on: Exceptions = ()
    delay: Callable[[int, BaseException], float | timedelta | None] | None = None

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise ConfigurationError(f"Retry: max_attempts must be a whole number from 1, got {self.max_attempts!r}")
        if type(self.factor) not in (int, float) or not 1 <= self.factor < float("inf"):
            raise ConfigurationError(f"Retry: factor must be a number from 1, got {self.factor!r}")
        duration(self.backoff, "Retry: backoff")
        duration(self.max_backoff, "Retry: max_backoff")
        for name in ("retry_on", "give_up_on"):
            for kind in getattr(self, name) or ():
                if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                    raise ConfigurationError(f"Retry: {name} takes exception classes, got {kind!r}")

    def next_delay(self, attempt: int, error: BaseException) -> Micros | None:
        """Return the microseconds to wait after `attempt` (from 1) ended in `error`, None to give up."""
        if attempt >= self.max_attempts or isinstance(error, self.give_up_on):
            return None
        if self.retry_on is not None and not isinstance(error, self.retry_on):
            return None
        if self.delay is not None:
            chosen = self.delay(attempt, error)
            return None if chosen is None else duration(chosen, "Retry: what delay() returned")
        return self._backoff(attempt)

    def _backoff(self, attempt: int) -> Micros:
        ceiling = duration(self.max_backoff, "max_backoff")
        first = duration(self.backoff, "backoff")
        # 2**1024 overflows a float; 64 doublings of a microsecond exceed any ceiling.
        longest = min(ceiling, first * self.factor ** min(attempt - 1, 64))
        return round(random.uniform(0, longest) if self.jitter else longest)  # noqa: S311 - jitter, no secret


NEVER = Retry(max_attempts=1)
"""One attempt only."""

DEFAULT = Retry()
"""5 attempts, 2 s · 2ⁿ with full jitter, at most 10 minutes."""
