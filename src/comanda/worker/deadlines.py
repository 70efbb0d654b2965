"""Time limits: one thread for all of them, started by the first (PY5).

It keeps no heap and hears nothing of jobs that end in time. It sleeps until the earliest limit it has been told of,
then looks at what runs: at most one pass over the slots for each limit that passes, however many jobs came and went.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ..errors import TimedOut
from .attempt import Attempt
from .slots import Slots

PATIENCE = 2.0
"""Seconds that a body may go on after it was told that its time is over (design section 7)."""


class Deadlines:
    """Interrupts attempts at their limit; calls `on_stuck` once for each that goes on PATIENCE seconds later."""

    def __init__(
        self, slots: Slots, on_stuck: Callable[[Attempt], None] | None = None, patience: float = PATIENCE
    ) -> None:
        self._slots = slots
        self._on_stuck = on_stuck
        self.patience = patience
        self._changed = threading.Condition()
        self._next = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, moment: float) -> None:
        """Look at what runs at `moment` (monotonic seconds) at the latest. Usually one comparison."""
        if moment < self._next:
            with self._changed:
                self._next = min(self._next, moment)
                self._changed.notify()
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(target=self._serve, name="comanda-deadlines", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (left := self._next - time.monotonic()) > 0:
                    self._changed.wait(None if left == math.inf else min(left, threading.TIMEOUT_MAX))
                if self._closed:
                    return
                self._next = math.inf  # from here on a new attempt announces itself again
            self.look(time.monotonic())

    def look(self, moment: float) -> None:
        """Interrupt what is over its limit at `moment`, and arrange the next look."""
        following = math.inf
        for attempt in self._slots.running():
            if attempt.deadline is None or attempt.stuck:
                continue
            if attempt.deadline <= moment:
                self._overrun(attempt, moment)
            following = min(following, attempt.deadline)
        if following < math.inf:
            self.watch(following)

    def _overrun(self, attempt: Attempt, moment: float) -> None:
        """Tell it the first time; the second time end it by force, which only a process of its own allows."""
        attempt.deadline = moment + self.patience
        if not attempt.overran:
            attempt.overran = True
            attempt.runner.interrupt(attempt, TimedOut)
        elif not attempt.runner.kill(attempt):
            attempt.stuck = True
            if self._on_stuck is not None:
                self._on_stuck(attempt)
