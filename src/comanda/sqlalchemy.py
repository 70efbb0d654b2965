"""SQLAlchemy: enqueue in the transaction of a Connection, Session, AsyncConnection or AsyncSession."""

from __future__ import annotations

import sqlite3
from typing import Any

from .errors import ConfigurationError, MissingExtra

try:
    from sqlalchemy import Connection, Engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session, scoped_session
except ImportError:
    raise MissingExtra("sqlalchemy", "comanda.sqlalchemy") from None

from .brokers.base import Broker
from .brokers.records import NewJob
from .brokers.sqlite import library
from .runners import checks
from .transactions import AfterCommit


def prepare(engine: Engine | AsyncEngine) -> None:
    """Make an engine's connections to a queue's SQLite file safe beside comanda; call it right after create_engine.

    WAL, synchronous=FULL, five seconds of patience for the write lock, no checkpoints where the interpreter's SQLite
    has the WAL-reset race: comanda's worker does them (design section 6).
    """
    sync_engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine

    @event.listens_for(sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = wal")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA busy_timeout = 5000")
        if library.must_not_checkpoint(library.STANDARD):
            cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.close()


def enqueue(broker: Broker, connection: Any, job: NewJob, after_commit: AfterCommit) -> bytes:
    """Run the enqueue in the transaction of a Connection or Session."""
    if isinstance(connection, AsyncConnection | AsyncSession):
        raise TypeError(f"an {type(connection).__name__} needs await task.using(connection=…).aenqueue(…)")
    if isinstance(connection, Session | scoped_session):
        return _on_session(broker, connection, job, after_commit)
    return _on_connection(broker, connection, job, after_commit)


async def aenqueue(broker: Broker, connection: Any, job: NewJob, after_commit: AfterCommit) -> bytes:
    """Run the enqueue in the transaction of an AsyncConnection or AsyncSession, or of a sync one."""
    if isinstance(connection, AsyncConnection):
        return await connection.run_sync(lambda sync: _on_connection(broker, sync, job, after_commit))
    if isinstance(connection, AsyncSession):
        return await connection.run_sync(lambda sync: _on_session(broker, sync, job, after_commit))
    return enqueue(broker, connection, job, after_commit)


def _on_session(broker: Broker, session: Any, job: NewJob, after_commit: AfterCommit) -> bytes:
    session.flush()
    stored = _run(broker, session.connection(), job)
    target = session() if isinstance(session, scoped_session) else session
    event.listen(target, "after_commit", lambda _: after_commit(job.id), once=True)
    return stored


def _on_connection(broker: Broker, connection: Connection, job: NewJob, after_commit: AfterCommit) -> bytes:
    stored = _run(broker, connection, job)
    # SQLAlchemy announces the commit just before it happens, and `after_commit` looks until it has.
    event.listen(connection, "commit", lambda _: after_commit(job.id), once=True)
    return stored


def _run(broker: Broker, connection: Connection, job: NewJob) -> bytes:
    if connection.dialect.name != "sqlite":
        raise ConfigurationError(
            f"the connection is to {connection.dialect.name}, but the queue lives in SQLite: "
            "one transaction cannot span two databases"
        )
    store = checks.sqlite_broker(broker, library.STANDARD)
    checks.check_file(store, list(connection.exec_driver_sql("PRAGMA database_list")))
    checks.check_transaction(connection.connection.driver_connection)
    checks.report_settings(
        store,
        connection.exec_driver_sql("PRAGMA synchronous").scalar_one(),
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one(),
    )
    rows: list[Any] = []
    for statement in store.enqueue_statements(job):
        try:
            result = connection.exec_driver_sql(statement.sql, statement.parameters)
        except DBAPIError as error:
            refusal = checks.translated(error.orig, job.queue) if isinstance(error.orig, sqlite3.Error) else None
            raise refusal or error from None
        rows = list(result) if result.returns_rows else []
    stored: bytes = rows[0][0]
    return stored
