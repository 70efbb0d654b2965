"""Waiting in this process for what other processes commit."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from ...errors import ComandaError
from ..listening import Listening
from .connection import Connection, NoAnswer
from .ringer import channel
from .store import Store, orphans

TOPICS = ("work", "change")

_POLL = 0.05
"""Seconds between two looks at the counters where no wake-up can be heard: behind a pooler (WK2)."""

_AGAIN = 0.5
"""Seconds between two tries to hear again."""

_RINGS = """
SELECT w.last_value + w.is_called::integer, c.last_value + c.is_called::integer
FROM {ns}.rings_work w, {ns}.rings_change c
"""


class Waiting(Listening):
    """All waits of one process.

    `own` is the number of the connection on which this process rings: those are heard when they are rung, and not
    again when the server passes them on.
    """

    def __init__(self, store: Store, own: Callable[[], int | None]) -> None:
        super().__init__(TOPICS)
        self._store = store
        self._own = own
        self._ear: Connection | None = None
        self._try_at = 0.0
        self._counted: dict[str, int] = {}

    def prepare(self) -> None:
        """Begin to listen, so that the first wait need not."""
        with self._changed:
            if not self._listening:
                self._listen("work", 0)

    def abandon(self) -> None:
        super().abandon()
        orphans.append(self._ear)

    def _let_go(self) -> None:
        if self._ear is not None:
            self._ear.close()

    def _hear(self, topic: str, timeout: float) -> set[str]:
        """Return the topics that rang, within `timeout` seconds."""
        ear = self._open_ear()
        if ear is None:
            return self._look(timeout)
        try:
            return self._listened(ear, timeout)
        except (psycopg.Error, OSError):
            ear.close()
            self._ear = None
            return {*TOPICS}  # all, since some may have rung while the connection was lost

    def _listened(self, ear: Connection, timeout: float) -> set[str]:
        """The same through an open connection; raises psycopg.Error or OSError when it is lost, at any step."""
        rung = set() if timeout else self._notified(ear)
        woken, _ = self._await(0 if rung else timeout, ear.raw)
        if woken:
            rung |= {*TOPICS}
        return rung | self._notified(ear)

    def _look(self, timeout: float) -> set[str]:
        """Return the topics whose counter has moved, within `timeout` seconds or _POLL: the caller asks again."""
        woken, _ = self._await(min(timeout, _POLL))
        if woken:
            return {*TOPICS}
        try:
            ((*counted,),) = self._store.look(_RINGS)
        except ComandaError:  # the server is away: whoever waits finds out by itself
            return {*TOPICS} if timeout > _POLL else set()
        before, self._counted = self._counted, dict(zip(TOPICS, counted, strict=True))
        return {topic for topic in TOPICS if before.get(topic) != self._counted[topic]}

    def _open_ear(self) -> Connection | None:
        """Return the listening connection; None where there is none now."""
        if self._ear is not None or time.monotonic() < self._try_at:
            return self._ear
        self._try_at = time.monotonic() + _AGAIN
        ear: Connection | None = None
        try:
            ear = self._store.connect()
            if ear.is_pooled:  # a LISTEN would stay behind on a connection that others get
                self._try_at = float("inf")
                ear.close()
                return None
            names = [channel(self._store.namespace, topic) for topic in TOPICS]
            ear.script("".join(f'LISTEN "{name}";' for name in names))
        except (ComandaError, psycopg.Error, OSError, NoAnswer):
            if ear is not None:
                ear.close()
            return None
        self._ear = ear
        return ear

    def _notified(self, ear: Connection) -> set[str]:
        """Return the topics that other processes rang; raises psycopg.Error or OSError when the connection is lost."""
        rung = set()
        ear.raw.pgconn.consume_input()
        while (notified := ear.raw.pgconn.notifies()) is not None:
            if notified.be_pid != self._own():
                rung.add(notified.relname.decode().rpartition(".")[2])
        return rung
