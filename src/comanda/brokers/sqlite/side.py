"""One connection of a store, its lock, and the generation in which it was opened."""

from __future__ import annotations

import threading
from pathlib import Path

from ...shield import ShieldedLock
from . import forking, library
from .connection import Connection, connect, retry_while_busy


class Side:
    """The writing or the reading connection.

    `busy` while a write transaction is open on it, `committing` once its commit has begun.
    """

    def __init__(self, path: Path, library_name: str, deadline: float, *, read_only: bool) -> None:
        self._path = path
        self._library = library_name
        self._deadline = deadline
        self._read_only = read_only
        self._key: tuple[int, int] | None = None
        self.lock = ShieldedLock(threading.RLock())
        self.busy = False
        self.committing = False
        self.connection: Connection | None = None
        self.generation = -1

    def open(self, generation: int) -> Connection:
        """Return the connection, opened anew when it belongs to an older generation."""
        if self.connection is None or self.generation != generation:
            key = library.acquire(self._path, self._library)  # first: the file never stops being ours in between
            try:
                self.close()
                self.connection = self._connect(key)
            except BaseException:
                library.release(key)
                raise
            self._key = key
            self.generation = generation
        return self.connection

    def close(self) -> None:
        """Close the connection if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None and self._key is not None:
            try:
                connection.close()
            finally:
                library.release(self._key)

    def _connect(self, key: tuple[int, int]) -> Connection:
        suspicious = forking.may_be_inherited(key)
        connection = connect(self._path, self._library, self._deadline, read_only=self._read_only)
        if suspicious:
            try:
                # A file that has just become WAL holds no lock before its first read; from then on it always does.
                retry_while_busy(lambda: connection.execute("PRAGMA user_version"), self._deadline)
                forking.check_locks(self._path, key)
            except BaseException:
                connection.close()
                raise
        return connection
