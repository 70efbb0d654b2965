"""`apsw`, as `app.transaction()` hands it out on a `sqlite+apsw:///` URL."""

from __future__ import annotations

from typing import Any, cast

from apsw import Connection

from ..brokers.base import Broker
from ..brokers.records import NewJob
from ..brokers.sqlite import library
from ..errors import NotInTransaction
from ..transactions import AfterCommit
from . import checks


def enqueue(broker: Broker, connection: Connection, job: NewJob, after_commit: AfterCommit) -> bytes:
    """Run the enqueue in the connection's open transaction."""
    store = checks.sqlite_broker(broker, library.APSW)
    checks.check_file(store, connection.execute("PRAGMA database_list").fetchall())
    if not connection.in_transaction:
        raise NotInTransaction("using(connection=…): the connection has no open transaction; use app.transaction()")
    rows: list[Any] = []
    for statement in store.enqueue_statements(job):
        rows = connection.execute(statement.sql, statement.parameters).fetchall()
    after_commit(job.id)
    return cast(bytes, rows[0][0])


async def aenqueue(broker: Broker, connection: Connection, job: NewJob, after_commit: AfterCommit) -> bytes:
    """The same from a coroutine."""
    return enqueue(broker, connection, job, after_commit)
