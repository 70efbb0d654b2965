"""Waiting in this process for what others commit: one subscription for each topic that somebody waits on."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import threading
import time

from redis.exceptions import RedisError

from .connection import Connection
from .replies import ServerError, translate
from .store import Store

_RETRY = 0.5
"""Seconds between two attempts to subscribe while the server is away: consuming goes on soon after it is back."""

_LONGEST = 86_400.0
"""Seconds of one listening: poll() takes no more than 24 days."""

_CONNECT = 1.0
"""Seconds for one attempt, during which no wake is heard."""


class Waiting:
    """All waits of one process on one topic. One thread at a time listens and wakes the others.

    What rings between two waits of a thread ends the second one at once, so that nothing is missed in between; for
    the same reason the first wait of a thread returns at once, and so does the first one of a new subscription.
    """

    def __init__(self, store: Store, topic: str) -> None:
        self._store = store
        self._channel = store.prefix + topic
        self._wake_in, self._wake_out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._connection: Connection | None = None
        self._changed = threading.Condition()
        self._rung = 0
        self._listening = False
        self._closed = False
        self._mine = threading.local()

    def subscribe(self) -> None:
        """Listen from now on, before the first wait; raises BrokerError."""
        until = time.monotonic() + self._store.deadline
        with self._changed:
            if self._listening:  # somebody else sees to it
                return
            try:
                self._subscribed(until)
            except (ServerError, OSError, RedisError) as error:
                where, deadline = self._store.where, self._store.deadline
                raise translate(error, where, deadline, may_have_written=False) from error

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
        with contextlib.suppress(OSError):
            self._wake_out.send(b"!")

    def close(self) -> None:
        """End all waits and the subscription."""
        self._closed = True
        self.wake()
        with self._changed:
            self._changed.wait_for(lambda: not self._listening)
            self._drop()
            self._wake_in.close()
            self._wake_out.close()

    def abandon(self) -> None:
        """After a fork, in the child: the subscription stays the parent's."""
        if self._connection is not None:
            _orphans.append(self._connection)
        self._wake_in.close()
        self._wake_out.close()

    def _is_over(self) -> bool:
        return self._closed or getattr(self._mine, "seen", -1) != self._rung

    def _listen(self, timeout: float) -> None:
        """Listen for all; the condition is free meanwhile."""
        self._listening = True
        self._changed.release()
        rang = False
        try:
            rang = self._hear(timeout)
        finally:
            self._changed.acquire()
            self._listening = False
            self._rung += rang
            self._changed.notify_all()

    def _hear(self, timeout: float) -> bool:
        """Wait for a message or a wake; True as well when the subscription is new: what rang before is not known."""
        until = time.monotonic() + timeout
        try:
            is_new = self._subscribed(time.monotonic() + min(_CONNECT, self._store.deadline))
        except (ServerError, OSError, RedisError):
            # The poll finds out what is wrong; meanwhile a wake must get through.
            return self._awaken([self._wake_in], min(_RETRY, timeout))
        if is_new:
            return True
        connection = self._connection
        return connection is not None and self._awaken([self._wake_in, connection], max(0.0, until - time.monotonic()))

    def _awaken(self, sources: list[socket.socket | Connection], timeout: float) -> bool:
        poll = select.poll()  # select() knows no descriptor above 1,023
        for source in sources:
            poll.register(source, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(min(timeout, _LONGEST) * 1_000))}
        if self._wake_in.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._wake_in.recv(16)
        if self._connection is not None and self._connection.fileno() in ready:
            try:
                self._connection.drain()
            except OSError:
                self._drop()
        return bool(ready)

    def _subscribed(self, until: float) -> bool:
        """Make sure that there is a subscription; return True when it is new."""
        if self._connection is not None:
            return False
        connection = self._store.connect(until)
        try:
            connection.call(until, b"SUBSCRIBE", self._channel)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


_orphans: list[Connection] = []
"""Subscriptions inherited through a fork, kept so that nothing closes them."""
