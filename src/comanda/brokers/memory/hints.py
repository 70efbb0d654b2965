"""Wake-ups between the threads of one process."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from weakref import WeakSet


class Hints:
    """One topic on which threads wait. What rings between two waits of a thread ends the second one at once.

    The first wait of a thread returns at once, since nobody could ring for it before. Each thread has a queue of its
    own: `SimpleQueue` is the one primitive of the standard library whose `put` is safe in a signal handler.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: WeakSet[SimpleQueue[None]] = WeakSet()

    def wait(self, timeout: float) -> None:
        """Come back after a ring, at most after `timeout` seconds."""
        mine = self._queue()
        try:
            mine.get(timeout=max(0.0, timeout))
            while True:  # several rings are one
                mine.get_nowait()
        except Empty:
            return

    def ring(self) -> None:
        """End the current wait of every thread, or its next one."""
        for waiting in list(self._all):
            if waiting.empty():
                waiting.put(None)

    def _queue(self) -> SimpleQueue[None]:
        if not hasattr(self._mine, "queue"):
            self._mine.queue = SimpleQueue()
            self._mine.queue.put(None)
            self._all.add(self._mine.queue)
        return self._mine.queue  # type: ignore[no-any-return] # a thread-local's attributes have no types
