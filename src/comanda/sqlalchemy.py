"""SQLAlchemy: enqueue in the transaction of a Connection, Session, AsyncConnection or AsyncSession."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .errors import ConfigurationError, MissingExtra

try:
    from sqlalchemy import Connection, Engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.orm import Session
except ImportError:
    raise MissingExtra("sqlalchemy", "comanda.sqlalchemy") from None

from .brokers.records import Enqueued, NewJob
from .brokers.sqlite import library
from .brokers.statements import Statement
from .runners import checks, steps
from .transactions import AfterCommit, Ledger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

# SQLAlchemy's asyncio module needs greenlet, which synchronous users do not have: its classes are told by their verbs.


def prepare(engine: Engine | AsyncEngine) -> None:
    """Make an engine's connections to a queue's SQLite file safe beside comanda; call it right after create_engine.

    WAL, synchronous=FULL, five seconds of patience for the write lock, no checkpoints where the interpreter's SQLite
    has the WAL-reset race: comanda's worker does them (design section 6).
    """
    sync_engine = engine if isinstance(engine, Engine) else engine.sync_engine
    if sync_engine.url.database:
        library.note_prepared(Path(sync_engine.url.database))

    @event.listens_for(sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = wal")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA busy_timeout = 5000")
        if library.must_not_checkpoint(library.STANDARD):
            cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.close()


def enqueue(ledger: Ledger, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Run the enqueue in the transaction of a Connection or Session."""
    connection = _unscoped(connection)
    if hasattr(connection, "run_sync"):
        raise TypeError(f"an {type(connection).__name__} needs await task.using(connection=…).aenqueue(…)")
    if isinstance(connection, Session):
        return _on_session(ledger, connection, job, after_commit)
    if isinstance(connection, Connection):
        return _on_connection(ledger, connection, job, after_commit)
    raise ConfigurationError(
        f"connection= takes a SQLAlchemy Connection or Session with its open transaction, got "
        f"{type(connection).__name__}; begin one: with engine.begin() as connection"
    )


async def aenqueue(ledger: Ledger, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Run the enqueue in the transaction of an AsyncConnection or AsyncSession, or of a sync one."""
    connection = _unscoped(connection)
    if hasattr(connection, "run_sync"):
        stored: Enqueued = await connection.run_sync(lambda sync: enqueue(ledger, sync, job, after_commit))
        return stored
    return enqueue(ledger, connection, job, after_commit)


def _unscoped(connection: Any) -> Any:
    """Return the session that a scoped_session or async_scoped_session stands for; others as they are."""
    return connection() if hasattr(connection, "registry") and callable(connection) else connection


def _on_session(ledger: Ledger, session: Session, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    session.flush()
    stored = _run(ledger, session.connection(), job)
    if stored.created:
        _announce(session, "after_commit", "after_rollback", lambda: after_commit(job.id))
    return stored


def _on_connection(ledger: Ledger, connection: Connection, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    stored = _run(ledger, connection, job)
    if stored.created:
        # SQLAlchemy announces the commit just before it happens, and `after_commit` looks until it has.
        _announce(connection, "commit", "rollback", lambda: after_commit(job.id))
    return stored


def _run(ledger: Ledger, connection: Connection, job: NewJob) -> Enqueued:
    if connection.dialect.name == "sqlite":
        return _run_on_sqlite(ledger, connection, job)
    if connection.dialect.name == "postgresql":
        return _run_on_postgres(ledger, connection, job)
    raise ConfigurationError(
        f"the connection is to {connection.dialect.name}, where no queue and no outbox of comanda can be: "
        "one transaction cannot span two databases"
    )


def _run_on_postgres(ledger: Ledger, connection: Connection, job: NewJob) -> Enqueued:
    if isinstance(ledger, checks.SQLiteLedger):
        raise ConfigurationError(
            f"the connection is to postgresql, but {checks.noun(ledger)} lives in SQLite: "
            "one transaction cannot span two databases"
        )
    if connection.dialect.driver not in ("psycopg", "psycopg_async"):
        raise ConfigurationError(
            f"the engine uses the driver {connection.dialect.driver}: comanda enqueues through psycopg 3, sync or "
            "async, create_engine('postgresql+psycopg://…')"
        )
    from .runners import postgres

    store = postgres.postgres_ledger(ledger)

    def run(statement: Statement) -> steps.Rows:
        return list(connection.exec_driver_sql(statement.sql, statement.parameters))

    return postgres.enqueue_by(store, connection.connection.driver_connection, job, run)


def _run_on_sqlite(ledger: Ledger, connection: Connection, job: NewJob) -> Enqueued:
    store = checks.sqlite_ledger(ledger, library.STANDARD)

    def run(statement: Statement) -> steps.Rows:
        try:
            result = connection.exec_driver_sql(statement.sql, statement.parameters)
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.IntegrityError):
                raise _unless_own(checks.translated(error.orig, job.queue), error) from None
            raise
        return list(result) if result.returns_rows else []

    return steps.drive(steps.enqueue(store, connection.connection.driver_connection, job), run)


def _unless_own(translated: Exception, error: DBAPIError) -> Exception:
    """Return comanda's error if there is one, else SQLAlchemy's, which its users expect."""
    return error if translated is error.orig else translated


_pending: WeakKeyDictionary[Connection | Session, list[Callable[[], None]]] = WeakKeyDictionary()


def _announce(target: Connection | Session, committed: str, rolled_back: str, announcement: Callable[[], None]) -> None:
    """Call `announcement` at the commit of `target`, and forget it at a rollback.

    One pair of listeners for each target, however many jobs: SQLAlchemy never removes a listener by itself.
    """
    waiting = _pending.get(target)
    if waiting is None:
        waiting = _pending[target] = []

        def announce(_: Any) -> None:
            due, waiting[:] = waiting[:], []
            for step in due:
                step()

        event.listen(target, committed, announce)
        event.listen(target, rolled_back, lambda _: waiting.clear())
    waiting.append(announcement)
