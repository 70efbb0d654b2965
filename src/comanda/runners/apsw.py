"""`apsw`, as `app.transaction()` hands it out on a `sqlite+apsw:///` URL."""

from __future__ import annotations

from apsw import Connection, ConstraintError

from ..brokers.records import Enqueued, NewJob
from ..brokers.sqlite import library
from ..brokers.statements import Statement
from ..transactions import AfterCommit, Ledger
from . import checks, steps


def enqueue(ledger: Ledger, connection: Connection, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Run the enqueue in the connection's open transaction."""
    store = checks.sqlite_ledger(ledger, library.APSW)

    def run(statement: Statement) -> steps.Rows:
        try:
            return connection.execute(statement.sql, statement.parameters).fetchall()
        except ConstraintError as error:
            raise checks.translated(error, job.queue) from None

    stored = steps.drive(steps.enqueue(store, connection, job), run)
    if stored.created:
        after_commit(job.id)
    return stored


async def aenqueue(ledger: Ledger, connection: Connection, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """The same from a coroutine."""
    return enqueue(ledger, connection, job, after_commit)
