"""`aiosqlite`: the interpreter's `sqlite3` on a thread of its own."""

from __future__ import annotations

from sqlite3 import Error
from typing import Any, cast

from aiosqlite import Connection

from ..brokers.base import Broker
from ..brokers.records import NewJob
from ..brokers.sqlite import library
from ..transactions import AfterCommit
from . import checks


def enqueue(_broker: Broker, _connection: Connection, _job: NewJob, _after_commit: AfterCommit) -> bytes:
    """Refuse: an async connection cannot be used without awaiting."""
    raise TypeError("an aiosqlite connection needs await task.using(connection=…).aenqueue(…)")


async def aenqueue(broker: Broker, connection: Connection, job: NewJob, after_commit: AfterCommit) -> bytes:
    """Run the enqueue in the connection's open or implicitly opening transaction."""
    store = checks.sqlite_broker(broker, library.STANDARD)
    checks.check_file(store, await _rows(connection, "PRAGMA database_list"))
    checks.check_transaction(connection)
    checks.report_settings(
        store,
        (await _rows(connection, "PRAGMA synchronous"))[0][0],
        (await _rows(connection, "PRAGMA wal_autocheckpoint"))[0][0],
    )
    rows: list[Any] = []
    for statement in store.enqueue_statements(job):
        try:
            rows = await _rows(connection, statement.sql, statement.parameters)
        except Error as error:
            raise checks.translated(error, job.queue) or error from None
    after_commit(job.id)
    return cast(bytes, rows[0][0])


async def _rows(connection: Connection, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
    async with connection.execute(sql, parameters) as cursor:
        return list(await cursor.fetchall())
