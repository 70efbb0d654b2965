"""Transactional completion on PostgreSQL, for threads and for coroutines.

A psycopg connection of its own with none of comanda's settings: the queries on it are the application's. It is kept
from one transaction to the next, since a new one costs milliseconds, and made as new in between: what a task sets for
its session (SET, a temporary table, an advisory lock) ends with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncRawCursor, Connection, Cursor, RawCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ...clock import to_datetime
from ...errors import ComandaError, ConfigurationError
from ...shield import shield
from ..completion import AsyncCompletion, Completion
from ..records import Outcome
from . import settling
from .errors import breaks_the_connection, translate
from .store import Store

_BEGIN = "SELECT pg_backend_pid()"
"""What begins a transaction. Another number than the connection's own: a pooler stands between, which resets it."""

_AS_NEW = """
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP;
DISCARD SEQUENCES
"""
"""DISCARD ALL without DEALLOCATE ALL: psycopg relies on the statements that it has prepared."""


class PostgresCompletion(Completion):
    """`on_commit` is called after each commit."""

    def __init__(self, store: Store, on_commit: Callable[[], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._connection: Connection[Any] | None = None
        self._generation = -1
        self._begun = False
        self._is_pooled = False

    @property
    def is_begun(self) -> bool:
        return self._begun

    def begin(self) -> Any:
        if self._begun and self._connection is not None:
            return self._connection
        with shield():
            try:
                return self._begin()
            except (psycopg.Error, OSError) as error:
                self._drop()
                raise translate(error, self._store.address, self._store.deadline) from error

    def complete(self, owner: int, outcome: Outcome) -> bool:
        connection = self._connection
        if connection is None:
            raise _ended(outcome)
        _check(connection, outcome)
        try:
            with RawCursor(connection, row_factory=tuple_row) as cursor:
                ((settled, _),) = cursor.execute(*_success(self._store, owner, outcome)).fetchall()
            if settled:
                connection.commit()
        except (psycopg.Error, OSError) as error:
            self._drop()
            raise _judged(self._store, error) from error
        if not settled:
            self.roll_back()
            return False
        self._end(connection)
        self._on_commit()
        return True

    def roll_back(self) -> None:
        connection = self._connection
        if connection is not None and self._begun:
            with suppress(psycopg.Error, OSError):
                connection.rollback()
            self._end(connection)

    def close(self) -> None:
        self._drop()

    def _begin(self) -> Connection[Any]:
        if self._generation != self._store.generation:  # the server went away since: this one is of no use any more
            self._drop()
        connection = self._connection
        if connection is None:
            connection = self._connection = Connection.connect(self._store._conninfo, **_options(self._store))
            self._generation = self._store.generation
        self._begun = True
        with Cursor(connection, row_factory=tuple_row) as cursor:
            ((backend,),) = cursor.execute(_BEGIN).fetchall()
        self._is_pooled = backend != connection.info.backend_pid
        return connection

    def _end(self, connection: Connection[Any]) -> None:
        """Make the connection as new, or drop it where that is not possible (R5)."""
        self._begun = False
        try:
            if not self._is_pooled:
                connection.autocommit = True
                with Cursor(connection) as cursor:
                    cursor.execute(_AS_NEW)
                connection.autocommit = False
            connection.row_factory, connection.cursor_factory = tuple_row, Cursor
        except (psycopg.Error, OSError):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection, self._begun = self._connection, None, False
        if connection is not None:
            connection.close()


class PostgresAsyncCompletion(AsyncCompletion):
    """The same on an AsyncConnection."""

    def __init__(self, store: Store, on_commit: Callable[[], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._connection: AsyncConnection[Any] | None = None
        self._generation = -1
        self._begun = False

    @property
    def is_begun(self) -> bool:
        return self._begun

    async def open(self) -> None:
        if self._generation != self._store.generation:
            await self._drop()
        if self._connection is None:
            try:
                self._connection = await AsyncConnection.connect(self._store._conninfo, **_options(self._store))
            except (psycopg.Error, OSError) as error:
                raise translate(error, self._store.address, self._store.deadline) from error
            self._generation = self._store.generation

    def begin(self) -> Any:
        """psycopg begins the transaction with the next statement."""
        self._begun = True
        return self._connection

    async def complete(self, owner: int, outcome: Outcome) -> bool:
        connection = self._connection
        if connection is None:
            raise _ended(outcome)
        try:
            async with AsyncRawCursor(connection, row_factory=tuple_row) as cursor:
                await cursor.execute(*_success(self._store, owner, outcome))
                ((settled, _),) = await cursor.fetchall()
            if settled:
                await connection.commit()
        except (psycopg.Error, OSError) as error:
            await self._drop()
            raise _judged(self._store, error) from error
        if not settled:
            await self.roll_back()
            return False
        await self._end(connection)
        self._on_commit()
        return True

    async def roll_back(self) -> None:
        connection = self._connection
        if connection is not None and self._begun:
            with suppress(psycopg.Error, OSError):
                await connection.rollback()
            await self._end(connection)

    async def close(self) -> None:
        await self._drop()

    async def _end(self, connection: AsyncConnection[Any]) -> None:
        self._begun = False
        try:
            await connection.set_autocommit(True)
            async with AsyncCursor(connection, row_factory=tuple_row) as cursor:
                await cursor.execute(_BEGIN)
                if await cursor.fetchone() == (connection.info.backend_pid,):
                    await cursor.execute(_AS_NEW)
            await connection.set_autocommit(False)
            connection.row_factory, connection.cursor_factory = tuple_row, AsyncCursor
        except (psycopg.Error, OSError):
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection, self._begun = self._connection, None, False
        if connection is not None:
            await connection.close()


def _options(store: Store) -> dict[str, Any]:
    seconds = max(1, math.ceil(store.deadline))
    return {
        "connect_timeout": seconds,
        "client_encoding": "utf8",
        "keepalives_idle": seconds,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": seconds * 1000,
        **({} if "application_name" in store._conninfo else {"application_name": "comanda task"}),
    }


def _success(store: Store, owner: int, outcome: Outcome) -> tuple[bytes, tuple[Any, ...]]:
    """Return the statement that settles one success, and its parameters."""
    text, _ = store.text(settling.SETTLE_SUCCESSES)
    times = [to_datetime(outcome.started_at)], [to_datetime(outcome.finished_at)]
    return text.encode(), (owner, [outcome.job.n], [outcome.job.fence], *times, [outcome.result])


def _check(connection: Connection[Any], outcome: Outcome) -> None:
    if connection.info.transaction_status == TransactionStatus.IDLE:
        raise _ended(outcome)


def _ended(outcome: Outcome) -> ConfigurationError:
    return ConfigurationError(
        f"{outcome.job.task} committed, rolled back or closed current_job().connection: leave that to the worker, "
        "which does it when the function returns or raises"
    )


def _judged(store: Store, error: Exception) -> Exception:
    """Return a lost connection as comanda's error; a constraint that fails at the commit is the application's own."""
    if breaks_the_connection(error):
        translated: ComandaError = translate(error, store.address, store.deadline)
        return translated
    return error
