"""The open file: one connection that writes, one that reads, and the rules of using them.

Any error of the library starts a new generation: each side reopens before its next use (R5).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from ...clock import Clock
from ...errors import BrokerError, BrokerUnavailable, ConfigurationError
from . import filesystem, forking, library, schema
from .connection import DEADLINE, IOERR, Connection, code_of, is_busy, retry_while_busy, translate
from .session import PatientSession, Session
from .side import Side
from .turn import Turn

T = TypeVar("T")


class Store:
    """One SQLite file as one process sees it. Thread-safe: writes take turns, and so do reads.

    `deadline`: seconds until a use that cannot get the file, or its turn in this process, gives up (R24).
    """

    def __init__(
        self, path: Path, library_name: str, namespace: str, clock: Clock, *, deadline: float = DEADLINE
    ) -> None:
        self.path = path
        self.library = library_name
        self.namespace = namespace
        self.clock = clock
        self.deadline = deadline
        self.generation = 0
        self.text = lru_cache(maxsize=None)(lambda template: template.replace("{ns}", namespace))
        self._reset()
        forking.guard(self)

    def _reset(self) -> None:
        self._writing = Side(self.path, self.library, self.deadline, read_only=False)
        self._reading = Side(self.path, self.library, self.deadline, read_only=True)
        self._others: WeakSet[Side] = WeakSet()
        self._writing_turn = Turn(self, self._writing)
        self._reading_turn = Turn(self, self._reading)
        self._full = True
        self._checked = False

    @property
    def sides(self) -> tuple[Side, ...]:
        """All connections, for whoever has to take them all."""
        return self._writing, self._reading, *self._others

    def another_side(self) -> Side:
        """Return a side for transactions beside those of this store. Its user sees to its lock and its end."""
        side = Side(self.path, self.library, self.deadline, read_only=False)
        self._others.add(side)
        return side

    @property
    def is_open(self) -> bool:
        """True while this process has seen the file with this version's schema."""
        side = self._writing
        return self._checked and side.connection is not None and side.generation == self.generation

    def open(self) -> None:
        """Open the file and bring its schema up to date."""
        with self._writing_turn:
            self._open_writer()

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        for side in (self._writing, self._reading):
            with side.lock:
                side.close()

    def forget(self) -> None:
        """After a fork, in the child: leave inherited connections alone, for ever (R23)."""
        _orphans.extend(side.connection for side in self.sides if side.connection is not None)
        for side in self._others:
            side.connection = None
        library.forget_all()
        self._reset()

    def versions(self) -> tuple[int, int]:
        """Return the file's schema version and the oldest client it allows, (0, 0) without tables; changes nothing."""
        if not self.path.exists():
            return 0, 0
        side = Side(self.path, self.library, self.deadline, read_only=True)
        with Turn(self, side):
            try:
                connection = side.open(0)
                return retry_while_busy(lambda: schema.versions(connection, self.namespace), self.deadline)
            finally:
                side.close()

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """A write transaction. Not `durable`: its commit does not wait for the disk (claims and heartbeats only)."""
        with self._writing_turn:
            self._refuse_nesting()
            connection = self._open_writer()
            self._set_durability(connection, durable)
            self._begin(connection)
            self._writing.busy = True
            session = Session(connection, self.text)
            try:
                yield session
                if session.is_abandoned:
                    roll_back(connection)
                else:
                    self._writing.committing = True
                    connection.execute("COMMIT")
            except BaseException:
                roll_back(connection)
                raise
            finally:
                self._writing.busy = False

    def alone(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run one durable statement that is a transaction of its own, by `step(connection, *arguments)`.

        It is done again while the file is locked.

        It is locked inside SQLite only. Between the calls of a transaction this thread may wait for the interpreter,
        5 ms a time, and all other writers with it.
        """
        side = self._writing
        with self._writing_turn:
            if side.busy:
                self._refuse_nesting()
            connection = side.connection  # what _open_writer asks first, without two calls for each job
            if connection is None or not self._checked or side.generation != self.generation:
                connection = self._open_writer()
            if not self._full:
                self._set_durability(connection, True)
            side.committing = True
            try:
                return step(connection, *arguments)
            except Exception as error:
                if not is_busy(error):
                    raise
            return retry_while_busy(lambda: step(connection, *arguments), self.deadline)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read transaction: all its statements see one moment."""
        if self._reading.connection is None:
            self.open()
        with self._reading_turn:
            connection = self._reading.open(self.generation)
            connection.execute("BEGIN")
            try:
                yield Session(connection, self.text)
            finally:
                roll_back(connection)

    @contextmanager
    def peek(self) -> Iterator[Session]:
        """Single reads on the writing connection without a transaction: the cheap look before a claim (F34)."""
        with self._writing_turn:
            yield PatientSession(self._open_writer(), self.text, self.deadline)

    def _open_writer(self) -> Connection:
        side = self._writing
        if side.connection is not None and self.is_open:
            return side.connection
        library.check_version(self.library)
        filesystem.check(self.path)
        create_private(self.path)
        self._checked = False  # who enqueues on a connection of the application's asks without a lock
        connection = side.open(self.generation)
        self._full = True
        try:
            self._check_schema(connection)
            self._checked = True
        except BaseException:  # unknown to this version: neither used nor kept locked
            side.close()
            raise
        return connection

    def _check_schema(self, connection: Connection) -> None:
        if not retry_while_busy(lambda: schema.is_current(connection, self.namespace), self.deadline):
            self._begin(connection)
            schema.bring_up_to_date(connection, self.namespace)
            connection.execute("COMMIT")

    def _begin(self, connection: Connection) -> None:
        retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"), self.deadline)

    def _refuse_nesting(self) -> None:
        if self._writing.busy:
            raise ConfigurationError(
                f"this thread has an open transaction() on {self.path}: hand its connection in, using(connection=…), "
                "or call after it has ended"
            )

    def _set_durability(self, connection: Connection, full: bool) -> None:
        if full is not self._full:
            connection.execute("PRAGMA synchronous = FULL" if full else "PRAGMA synchronous = NORMAL")
            self._full = full

    def translated(self, error: Exception, side: Side) -> BrokerError:
        """Give an error of the library comanda's name; it starts a new generation of connections."""
        self.generation += 1
        translated = translate(error, self.path, self.deadline)
        if isinstance(translated, BrokerUnavailable) and side.committing:
            # The log may hold the commit although its sync failed: whoever recovers it next will find it.
            translated.may_have_written = code_of(error) == IOERR
        return translated


_orphans: list[Connection] = []
"""Connections inherited through a fork, kept alive so that nothing closes them: that would drop the parent's locks."""


def roll_back(connection: Connection) -> None:
    """End the transaction, unless SQLite did so already."""
    try:
        connection.execute("ROLLBACK")
    except Exception as error:  # SQLite may have rolled back by itself: full disk, I/O error
        if code_of(error) is None:
            raise


def create_private(path: Path) -> None:
    """Create the file readable for its owner alone; -wal and -shm follow it. An existing file is never opened (R43)."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except PermissionError:
        raise BrokerUnavailable(
            f"the database {path} cannot be created: {path.parent} may not be written by this process"
        ) from None
