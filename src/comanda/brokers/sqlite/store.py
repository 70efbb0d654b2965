"""The open file: one connection that writes, one that reads, and the rules of using them.

Any error of the library starts a new generation: each side reopens before its next use (R5).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...clock import Clock
from ...errors import ComandaError
from . import filesystem, library, schema
from .connection import Connection, Row, code_of, connect, retry_while_busy, translate


class Session:
    """A connection in use, with `{ns}` in each statement replaced by the namespace."""

    __slots__ = ("_connection", "_text")

    def __init__(self, connection: Connection, text: Callable[[str], str]) -> None:
        self._connection = connection
        self._text = text

    @property
    def raw(self) -> Any:
        """The library's own connection."""
        return self._connection.raw

    def run(self, template: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return its rows."""
        return self._connection.execute(self._text(template), parameters)

    def many(self, template: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each of `rows`; return how many rows changed."""
        return self._connection.many(self._text(template), rows)

    def changed(self) -> int:
        """Return how many rows the last statement changed."""
        return self._connection.changes()


class Side:
    """One connection of the store, its lock, and the generation in which it was opened."""

    def __init__(self, *, read_only: bool) -> None:
        self.read_only = read_only
        self.lock = threading.RLock()
        self.connection: Connection | None = None
        self.generation = -1
        self._key: tuple[int, int] | None = None

    def open(self, path: Path, library_name: str, generation: int) -> Connection:
        """Return the connection, opened anew when it belongs to an older generation."""
        if self.connection is None or self.generation != generation:
            self.close()
            self._key = library.acquire(path, library_name)
            try:
                self.connection = connect(path, library_name, read_only=self.read_only)
            except BaseException:
                library.release(self._key)
                raise
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


class Store:
    """One SQLite file as one process sees it. Thread-safe: writes take turns, and so do reads."""

    def __init__(self, path: Path, library_name: str, namespace: str, clock: Clock) -> None:
        self.path = path
        self.library = library_name
        self.namespace = namespace
        self.clock = clock
        self.generation = 0
        self.text = lru_cache(maxsize=None)(lambda template: template.replace("{ns}", namespace))
        self._reset()

    def _reset(self) -> None:
        self._writing = Side(read_only=False)
        self._reading = Side(read_only=True)
        self._full = True

    def open(self) -> None:
        """Open the file and bring its schema up to date."""
        with self._writing.lock, self._translated():
            self._open_writer()

    def close(self) -> None:
        """Close both connections; the next use opens them again."""
        for side in (self._writing, self._reading):
            with side.lock:
                side.close()

    def forget(self) -> None:
        """After a fork, in the child: leave the inherited connections alone, for ever (R23)."""
        _orphans.append((self._writing.connection, self._reading.connection))
        library.forget_all()
        self._reset()

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """A write transaction. Not `durable`: its commit does not wait for the disk (claims and heartbeats only)."""
        with self._writing.lock, self._translated():
            connection = self._open_writer()
            self._set_durability(connection, durable)
            _begin(connection)
            try:
                yield Session(connection, self.text)
            except BaseException:
                _roll_back(connection)
                raise
            connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read transaction: all its statements see one moment."""
        if self._reading.connection is None:
            self.open()
        with self._reading.lock, self._translated():
            connection = self._reading.open(self.path, self.library, self.generation)
            connection.execute("BEGIN")
            try:
                yield Session(connection, self.text)
            finally:
                _roll_back(connection)

    @contextmanager
    def peek(self) -> Iterator[Session]:
        """Single reads on the writing connection without a transaction: the cheap look before a claim (F34)."""
        with self._writing.lock, self._translated():
            yield Session(self._open_writer(), self.text)

    def _open_writer(self) -> Connection:
        side = self._writing
        if side.connection is not None and side.generation == self.generation:
            return side.connection
        library.check_version(self.library)
        filesystem.check(self.path)
        _create_private(self.path)
        connection = side.open(self.path, self.library, self.generation)
        self._full = True
        if not schema.is_current(connection, self.namespace):
            _begin(connection)
            schema.bring_up_to_date(connection, self.namespace)
            connection.execute("COMMIT")
        return connection

    def _set_durability(self, connection: Connection, full: bool) -> None:
        if full is not self._full:
            connection.execute("PRAGMA synchronous = FULL" if full else "PRAGMA synchronous = NORMAL")
            self._full = full

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Give the library's errors comanda's names; each starts a new generation of connections."""
        try:
            yield
        except ComandaError:
            raise
        except Exception as error:
            if code_of(error) is None and not isinstance(error, OSError):
                raise
            self.generation += 1
            raise translate(error, self.path) from error


_orphans: list[Any] = []
"""Connections inherited through a fork, kept alive so that nothing closes them: that would drop the parent's locks."""


def _begin(connection: Connection) -> None:
    retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"))


def _roll_back(connection: Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except Exception as error:  # SQLite may have rolled back by itself: full disk, I/O error
        if code_of(error) is None:
            raise


def _create_private(path: Path) -> None:
    """Create the file readable for its owner alone; -wal and -shm follow it. An existing file is never opened (R43)."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
