"""Growing pauses between attempts at something that fails (R5, R27)."""

from __future__ import annotations

import random


class Backoff:
    """Pauses of `first`, 2 · first, 4 · first … seconds, at most `longest`, each shortened at random by up to half."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self.failures = 0

    def next(self) -> float:
        """Note a failure; return how many seconds to wait before the next attempt."""
        pause = min(self._longest, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret

    def reset(self) -> None:
        """Note a success."""
        self.failures = 0
