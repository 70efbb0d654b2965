"""psycopg 3, `Connection` and `AsyncConnection`.

A cursor of psycopg's own kind, whatever the connection makes by itself: placeholders and rows are those of the
statements, not those of the application.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor
from psycopg.rows import tuple_row

from ..brokers.records import Enqueued, NewJob
from ..brokers.statements import Statement
from ..transactions import AfterCommit, Ledger
from . import postgres, steps


def enqueue(
    ledger: Ledger, connection: Connection[Any] | AsyncConnection[Any], job: NewJob, after_commit: AfterCommit
) -> Enqueued:
    """Run the enqueue in the connection's open or implicitly opening transaction."""
    if isinstance(connection, AsyncConnection):
        raise TypeError("a psycopg AsyncConnection needs await task.using(connection=…).aenqueue(…)")
    store = postgres.postgres_ledger(ledger)

    def run(statement: Statement) -> steps.Rows:
        with Cursor(connection, row_factory=tuple_row) as cursor:
            return cursor.execute(statement.sql.encode(), statement.parameters).fetchall()

    stored = steps.drive(postgres.enqueue(store, connection, job), run)
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
        async with AsyncCursor(connection, row_factory=tuple_row) as cursor:
            await cursor.execute(statement.sql.encode(), statement.parameters)
            return await cursor.fetchall()

    stored = await steps.adrive(postgres.enqueue(store, connection, job), run)
    if stored.created:
        after_commit(job.id)
    return stored
