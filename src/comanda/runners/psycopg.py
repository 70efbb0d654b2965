"""psycopg 3, `Connection` and `AsyncConnection`.

A cursor of psycopg's own kind, whatever the connection makes by itself: placeholders and rows are those of the
statements, not those of the application.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor
from psycopg.rows import tuple_row

from ..brokers.records import Enqueued, NewJob
from ..brokers.statements import Statement
from ..transactions import AfterCommit, Ledger
from . import postgres, prepared, steps

# The same bytes each time: psycopg finds the parsed and prepared statement by their hash, which they keep.
_bytes = lru_cache(str.encode)


def enqueue(
    ledger: Ledger, connection: Connection[Any] | AsyncConnection[Any], job: NewJob, after_commit: AfterCommit
) -> Enqueued:
    """Run the enqueue in the connection's open or implicitly opening transaction."""
    if isinstance(connection, AsyncConnection):
        raise TypeError("a psycopg AsyncConnection needs await task.using(connection=…).aenqueue(…)")
    store = postgres.postgres_ledger(ledger)

    def run(statement: Statement) -> steps.Rows:
        if (answer := prepared.answer(connection, statement)) is not None:
            return [answer]
        cursor = Cursor(connection, row_factory=tuple_row)
        rows = cursor.execute(_bytes(statement.sql), statement.parameters).fetchall()
        prepared.learn(connection, statement, rows)
        return rows

    stored = postgres.enqueue_by(store, connection, job, run)
    if stored.created:
        after_commit(job.id)
    return stored


async def aenqueue(
    ledger: Ledger, connection: Connection[Any] | AsyncConnection[Any], job: NewJob, after_commit: AfterCommit
) -> Enqueued:
    """The same on an async connection, or from a coroutine on a sync one."""
    if not isinstance(connection, AsyncConnection):
        return enqueue(ledger, connection, job, after_commit)
    store = postgres.postgres_ledger(ledger)

    async def run(statement: Statement) -> steps.Rows:
        if (answer := await prepared.aanswer(connection, statement)) is not None:
            return [answer]
        cursor = AsyncCursor(connection, row_factory=tuple_row)
        rows = await (await cursor.execute(_bytes(statement.sql), statement.parameters)).fetchall()
        prepared.learn(connection, statement, rows)
        return rows

    stored = await steps.adrive(postgres.enqueue(store, connection, job), run)
    if stored.created:
        after_commit(job.id)
    return stored
