"""Wake-ups for other processes: NOTIFY after the commit, on a connection that commits at once (WK4, WK6).

The first ring goes out at once, on the thread that rings. Those that follow within WINDOW seconds are one, sent by a
thread of its own when the window ends: a NOTIFY takes a lock of the whole database until its commit.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from ...errors import ComandaError
from .store import Store
from .wire import text

WINDOW = 0.01
"""Seconds between two wake-ups of one topic at least."""

# A wake-up that a crash of the server loses is no loss: the poll finds what it would have told.
_NOTIFY = """
SELECT set_config('synchronous_commit', 'off', true), pg_notify($1::text, ''), nextval('{ns}.rings_%s')
"""


class Ringer:
    """Rings the topics of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sent: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._thread: threading.Thread | None = None

    def ring(self, topic: str) -> None:
        """Wake whoever waits for `topic`. Never raises: every wake-up may be lost."""
        now = time.monotonic()
        with self._lock:
            if topic in self._waiting:
                return
            if now - self._sent.get(topic, -WINDOW) < WINDOW:
                self._waiting.add(topic)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._follow, name="comanda-ringer", daemon=True)
                    self._thread.start()
                return
            self._sent[topic] = now
        self._send(topic)

    def close(self) -> None:
        """Send at once what waits for its window to end; nothing is sent after this returns, until the next ring."""
        with self._lock:
            topics, self._waiting = self._waiting, set()
            thread = self._thread
        for topic in topics:
            self._send(topic)
        if thread is not None:
            thread.join()

    def _follow(self) -> None:
        """Send what has waited, window by window, until nothing more comes."""
        while True:
            time.sleep(WINDOW)
            with self._lock:
                topics, self._waiting = self._waiting, set()
                if not topics:
                    self._thread = None
                    return
                now = time.monotonic()
                self._sent |= dict.fromkeys(topics, now)
            for topic in topics:
                self._send(topic)

    def _send(self, topic: str) -> None:
        with suppress(ComandaError):
            self._store.run_aside(_NOTIFY % topic, text(channel(self._store.namespace, topic)))


def channel(namespace: str, topic: str) -> str:
    """Return the name under which a topic of a namespace is notified."""
    return f"{namespace}.{topic}"
