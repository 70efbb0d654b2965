"""`aiosqlite`: the interpreter's `sqlite3` on a thread of its own."""

from __future__ import annotations

from sqlite3 import IntegrityError

from aiosqlite import Connection

from ..brokers.records import Enqueued, NewJob
from ..brokers.sqlite import library
from ..brokers.statements import Statement
from ..transactions import AfterCommit, Ledger
from . import checks, steps


def enqueue(_ledger: Ledger, _connection: Connection, _job: NewJob, _after_commit: AfterCommit) -> Enqueued:
    """Refuse: an async connection cannot be used without awaiting."""
    raise TypeError("an aiosqlite connection needs await task.using(connection=…).aenqueue(…)")


async def aenqueue(ledger: Ledger, connection: Connection, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Run the enqueue in the connection's open or implicitly opening transaction."""
    store = checks.sqlite_ledger(ledger, library.STANDARD)

    async def run(statement: Statement) -> steps.Rows:
        try:
            async with connection.execute(statement.sql, statement.parameters) as cursor:
                cursor.row_factory = None  # the application's may make anything of a row
                return list(await cursor.fetchall())
        except IntegrityError as error:
            raise checks.translated(error, job.queue) from None

    stored = await steps.adrive(steps.enqueue(store, connection, job), run)
    if stored.created:
        after_commit(job.id)
    return stored
