"""The interpreter's `sqlite3`."""

from __future__ import annotations

from sqlite3 import Connection, Error

from ..brokers.base import Broker
from ..brokers.records import NewJob
from ..brokers.sqlite import library
from ..transactions import AfterCommit
from . import checks


def enqueue(broker: Broker, connection: Connection, job: NewJob, after_commit: AfterCommit) -> bytes:
    """Run the enqueue in the connection's open or implicitly opening transaction."""
    store = checks.sqlite_broker(broker, library.STANDARD)
    checks.check_file(store, connection.execute("PRAGMA database_list").fetchall())
    checks.check_transaction(connection)
    checks.report_settings(
        store,
        connection.execute("PRAGMA synchronous").fetchone()[0],
        connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0],
    )
    rows: list[tuple[bytes]] = []
    for statement in store.enqueue_statements(job):
        try:
            rows = connection.execute(statement.sql, statement.parameters).fetchall()
        except Error as error:
            raise checks.translated(error, job.queue) or error from None
    after_commit(job.id)
    return rows[0][0]


async def aenqueue(broker: Broker, connection: Connection, job: NewJob, after_commit: AfterCommit) -> bytes:
    """The same from a coroutine: the connection belongs to the caller's thread, so it runs there."""
    return enqueue(broker, connection, job, after_commit)
