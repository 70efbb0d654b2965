"""Waiting in this process for what other processes commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import doorbell

_POLL = (0.001, 0.05)
"""Seconds between two looks at the file where no bell can ring: busy, idle (WK2)."""


class Waiting:
    """All waits of one process on one topic. One thread at a time listens at the bell and wakes the others.

    What rings between two waits of a thread ends the second one at once, so that nothing is missed in between; for
    the same reason the first wait of a thread returns at once.
    """

    def __init__(self, directory: Path, topic: str, version: Callable[[], int]) -> None:
        self._bell = doorbell.Bell(doorbell.make_private(directory), topic)
        self._version = version
        self._seen_version = 0 if self._bell.rings else version()
        self._changed = threading.Condition()
        self._rung = 0
        self._listening = False
        self._closed = False
        self._mine = threading.local()

    def wait(self, timeout: float) -> None:
        """Come back after a ring or a wake, at most after `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._changed:
            if not self._listening:
                self._listen(0)  # what has rung already belongs to this wait, not to the next
            while not self._is_over() and (left := until - time.monotonic()) > 0:
                if self._listening:
                    self._changed.wait(left)
                else:
                    self._listen(left)
            self._mine.seen = self._rung

    def wake(self) -> None:
        """End the current waits, or the next ones. Safe in a signal handler."""
        self._bell.wake()

    def close(self) -> None:
        """End all waits and remove the bell."""
        self._closed = True
        self._bell.wake()
        with self._changed:
            self._changed.wait_for(lambda: not self._listening)
            self._bell.close()

    def abandon(self) -> None:
        """After a fork, in the child: the bell stays the parent's."""
        self._bell.abandon()

    def _is_over(self) -> bool:
        return self._closed or getattr(self._mine, "seen", -1) != self._rung

    def _listen(self, timeout: float) -> None:
        """Listen for all; the condition is free meanwhile."""
        self._listening = True
        self._changed.release()
        rang = False
        try:
            rang = self._bell.wait(timeout) if self._bell.rings else self._poll(timeout)
        finally:
            self._changed.acquire()
            self._listening = False
            self._rung += rang
            self._changed.notify_all()

    def _poll(self, timeout: float) -> bool:
        """Look at the file until it changes, where no bell can ring."""
        until = time.monotonic() + timeout
        pause = _POLL[0]
        while True:
            left = until - time.monotonic()
            woken = self._bell.wait(min(pause, left))
            before, self._seen_version = self._seen_version, self._version()
            if woken or self._seen_version != before:
                return True
            if left <= 0:
                return False
            pause = min(pause * 1.5, _POLL[1])
