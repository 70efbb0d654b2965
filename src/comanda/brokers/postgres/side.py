"""One connection of a store, its lock, and the generation in which it was opened."""

from __future__ import annotations

import threading

from ...shield import ShieldedLock
from .connection import Connection


class Side:
    """A connection for one purpose.

    `busy` while a transaction() of the application is open on it, `committing` while a write may be on its way.
    """

    def __init__(self, conninfo: str, deadline: float) -> None:
        self._conninfo = conninfo
        self._deadline = deadline
        self.lock = ShieldedLock(threading.RLock())
        self.busy = False
        self.committing = False
        self.connection: Connection | None = None
        self.generation = -1

    def open(self, generation: int) -> Connection:
        """Return the connection, opened anew when it belongs to an older generation."""
        if self.connection is None or self.generation != generation:
            self.close()
            self.connection = Connection(self._conninfo, self._deadline)
            self.generation = generation
        return self.connection

    def close(self) -> None:
        """Close the connection if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
