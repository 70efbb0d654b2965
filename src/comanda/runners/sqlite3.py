"""The interpreter's `sqlite3`."""

from __future__ import annotations

from sqlite3 import Connection, IntegrityError

from ..brokers.records import Enqueued, NewJob
from ..brokers.sqlite import library
from ..brokers.statements import Statement
from ..transactions import AfterCommit, Ledger
from . import checks, steps


def enqueue(ledger: Ledger, connection: Connection, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Run the enqueue in the connection's open or implicitly opening transaction."""
    store = checks.sqlite_ledger(ledger, library.STANDARD)

    def run(statement: Statement) -> steps.Rows:
        cursor = connection.cursor()
        cursor.row_factory = None  # the application's may make anything of a row
        try:
            return cursor.execute(statement.sql, statement.parameters).fetchall()
        except IntegrityError as error:
            raise checks.translated(error, job.queue) from None

    stored = steps.drive(steps.enqueue(store, connection, job), run)
    if stored.created:
        after_commit(job.id)
    return stored


async def aenqueue(ledger: Ledger, connection: Connection, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """The same from a coroutine: the connection belongs to the caller's thread, so it runs there."""
    return enqueue(ledger, connection, job, after_commit)
