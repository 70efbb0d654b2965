"""Waiting in this process for what others commit: one subscription for each topic that somebody waits on."""

from __future__ import annotations

import time
from collections.abc import Collection

from redis.exceptions import RedisError

from ..listening import Listening
from .connection import Connection
from .replies import ServerError, translate
from .store import Store

_RETRY = 0.5
"""Seconds between two attempts to subscribe while the server is away: consuming goes on soon after it is back."""

_CONNECT = 1.0
"""Seconds for one attempt, during which no wake is heard."""


class Waiting(Listening):
    """All waits of one process on one topic. The first wait of a new subscription returns at once, too."""

    def __init__(self, store: Store, topic: str) -> None:
        super().__init__((topic,))
        self._store = store
        self._channel = store.prefix + topic
        self._connection: Connection | None = None

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

    def abandon(self) -> None:
        super().abandon()
        if self._connection is not None:
            _orphans.append(self._connection)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _hear(self, topic: str, timeout: float) -> Collection[str]:
        return (topic,) if self._rang(timeout) else ()

    def _rang(self, timeout: float) -> bool:
        """Wait for a message or a wake; True as well when the subscription is new: what rang before is not known."""
        until = time.monotonic() + timeout
        try:
            is_new = self._subscribed(time.monotonic() + min(_CONNECT, self._store.deadline))
        except (ServerError, OSError, RedisError):
            # The poll finds out what is wrong; meanwhile a wake must get through.
            return self._await(min(_RETRY, timeout))[0]
        connection = self._connection
        if is_new or connection is None:
            return is_new
        woken, ready = self._await(until - time.monotonic(), connection)
        rang = connection.fileno() in ready
        if rang:
            try:
                connection.drain()
            except OSError:
                self._let_go()
        return woken or rang

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


_orphans: list[Connection] = []
"""Subscriptions inherited through a fork, kept so that nothing closes them."""
