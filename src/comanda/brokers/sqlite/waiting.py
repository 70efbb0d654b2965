"""Waiting in this process for what other processes commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from .. import doorbell
from ..listening import Listening

_POLL = (0.001, 0.05)
"""Seconds between two looks at the file where no bell can ring: busy, idle (WK2)."""


class Waiting(Listening):
    """All waits of one process on one topic."""

    def __init__(self, directory: Path, topic: str, version: Callable[[], int]) -> None:
        super().__init__((topic,))
        self._bell = doorbell.Bell(doorbell.make_private(directory), topic)
        self._version = version
        self._seen_version = 0 if self._bell.rings else version()

    def abandon(self) -> None:
        super().abandon()
        self._bell.abandon()

    def _let_go(self) -> None:
        self._bell.close()

    def _hear(self, topic: str, timeout: float) -> Collection[str]:
        if not self._bell.rings:
            return (topic,) if self._poll(timeout) else ()
        woken, _ = self._await(timeout, self._bell)
        return (topic,) if self._bell.rang() or woken else ()

    def _poll(self, timeout: float) -> bool:
        """Look at the file until it changes, where no bell can ring."""
        until = time.monotonic() + timeout
        pause = _POLL[0]
        while True:
            left = until - time.monotonic()
            woken, _ = self._await(min(pause, left))
            before, self._seen_version = self._seen_version, self._version()
            if woken or self._seen_version != before:
                return True
            if left <= 0:
                return False
            pause = min(pause * 1.5, _POLL[1])
