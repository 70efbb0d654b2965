"""Waiting in this process for what other processes commit."""

from __future__ import annotations

import math
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg

from ...errors import ComandaError
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

_WAKE, _LOOK = b"!", b"."


class Waiting:
    """All waits of one process. One thread at a time listens and wakes the others.

    What rings between two waits of a thread for one topic ends the second one at once, so that nothing is missed in
    between; for the same reason the first wait of a thread returns at once. `own` is the number of the connection on
    which this process rings: those are heard when they are rung, and not again when the server passes them on.
    """

    def __init__(self, store: Store, own: Callable[[], int | None]) -> None:
        self._store = store
        self._own = own
        self._wake_in, self._wake_out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._ear: Connection | None = None
        self._try_at = 0.0
        self._counted: dict[str, int] = {}
        self._changed = threading.Condition()
        self._rung = dict.fromkeys(TOPICS, 0)
        self._listening = False
        self._closed = False
        self._mine = threading.local()

    def wait(self, topic: str, timeout: float) -> None:
        """Come back after a ring or a wake, at most after `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._changed:
            if not self._listening:
                self._listen(topic, 0)  # what has rung already belongs to this wait, not to the next
            while not self._is_over(topic) and (left := until - time.monotonic()) > 0:
                if self._listening:
                    self._changed.wait(left)
                else:
                    self._listen(topic, left)
            self._mine.__dict__[topic] = self._rung[topic]

    def prepare(self) -> None:
        """Begin to listen, so that the first wait need not."""
        with self._changed:
            if not self._listening:
                self._listen("work", 0)

    def heard(self, topic: str) -> None:
        """Note what this process rings itself."""
        with self._changed:
            self._rung[topic] += 1
            self._changed.notify_all()
            if self._listening:
                self._send(_LOOK)

    def wake(self) -> None:
        """End the current waits, or the next ones. Safe in a signal handler."""
        self._send(_WAKE)

    def close(self) -> None:
        """End all waits and the connection."""
        self._closed = True
        self.wake()
        with self._changed:
            self._changed.wait_for(lambda: not self._listening)
            self._wake_in.close()
            self._wake_out.close()
            if self._ear is not None:
                self._ear.close()

    def abandon(self) -> None:
        """After a fork, in the child: the connection stays the parent's."""
        self._wake_in.close()
        self._wake_out.close()
        orphans.append(self._ear)

    def _send(self, what: bytes) -> None:
        with suppress(OSError):
            self._wake_out.send(what)

    def _is_over(self, topic: str) -> bool:
        return self._closed or self._mine.__dict__.get(topic, -1) != self._rung[topic]

    def _listen(self, topic: str, timeout: float) -> None:
        """Listen for all; the condition is free meanwhile."""
        self._listening = True
        self._changed.release()
        rung: set[str] = set()
        try:
            rung = self._hear(topic, timeout)
        finally:
            self._changed.acquire()
            self._listening = False
            for one in rung:
                self._rung[one] += 1
            self._changed.notify_all()

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
        ready = _ready([self._wake_in, ear.raw.pgconn.socket], 0 if rung else timeout)
        if self._woken(self._wake_in.fileno() in ready):
            rung |= {*TOPICS}
        return rung | self._notified(ear)

    def _look(self, timeout: float) -> set[str]:
        """Return the topics whose counter has moved, within `timeout` seconds or _POLL: the caller asks again."""
        if self._woken(bool(_ready([self._wake_in], min(timeout, _POLL)))):
            return {*TOPICS}
        try:
            ((*counted,),) = self._store.look(_RINGS)
        except ComandaError:  # the server is away: whoever waits finds out by itself
            return {*TOPICS} if timeout > _POLL else set()
        before, self._counted = self._counted, dict(zip(TOPICS, counted, strict=True))
        return {topic for topic in TOPICS if before.get(topic) != self._counted[topic]}

    def _woken(self, is_ready: bool) -> bool:
        """Empty the socket; return whether a wake() was among it."""
        woken = False
        if is_ready:
            with suppress(BlockingIOError):
                while True:
                    woken |= self._wake_in.recv(16) == _WAKE
        return woken

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


def _ready(sources: Sequence[socket.socket | int], timeout: float) -> set[int]:
    """Return the descriptors that can be read, within `timeout` seconds. select() knows none above 1,023."""
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(math.ceil(max(0.0, timeout) * 1_000))}
