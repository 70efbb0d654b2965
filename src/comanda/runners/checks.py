"""What every SQLite connection of a caller is checked for, whichever driver it belongs to."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path
from typing import Any, ClassVar

from ..brokers.base import Broker
from ..brokers.sqlite import SQLiteBroker, library
from ..errors import ConfigurationError, EnqueueError, NotInTransaction

_FULL = 2


def sqlite_broker(broker: Broker, driver: str) -> SQLiteBroker:
    """Return the broker as a SQLite one; ConfigurationError unless its file may be used through `driver`."""
    if not isinstance(broker, SQLiteBroker):
        raise ConfigurationError(f"a SQLite connection cannot enqueue on {type(broker).__name__}")
    broker.open()
    if driver != broker.library:
        raise ConfigurationError(
            f"the queue's file {broker.path} belongs to {broker.library}, the connection to {driver}: two "
            "SQLite libraries in one process lose committed rows. Use sqlite:///… for a file shared with SQLAlchemy, "
            "Django or sqlite3; with sqlite+apsw:///… use app.transaction()"
        )
    return broker


def check_file(broker: SQLiteBroker, databases: list[Any]) -> None:
    """Raise ConfigurationError when the connection's main database (rows of `PRAGMA database_list`) is another file."""
    files = [row[2] for row in databases if row[1] == "main"]
    if not files or not files[0] or not broker.path.samefile(files[0]):
        where = files[0] if files and files[0] else "a database in memory"
        raise ConfigurationError(
            f"the connection is to {where}, but the queue lives in {broker.path}: one transaction cannot span two files"
        )


def check_transaction(connection: Any) -> None:
    """Raise NotInTransaction unless a transaction is open on a sqlite3-like connection, or its next write opens one."""
    if connection.in_transaction:
        return
    autocommit = getattr(connection, "autocommit", _LEGACY)
    opens_one = connection.isolation_level is not None if autocommit == _LEGACY else not autocommit
    if not opens_one:
        raise NotInTransaction(
            "using(connection=…): the connection commits each statement by itself, so the job would not belong to your "
            "transaction; begin one first (connection.execute('BEGIN'), engine.begin(), app.transaction())"
        )


_LEGACY = -1
"""What `autocommit` is (sqlite3.LEGACY_TRANSACTION_CONTROL, Python 3.12) when `isolation_level` rules instead."""


class Reported:
    """What has been said once in this process."""

    said: ClassVar[set[str]] = set()

    @classmethod
    def once(cls, topic: str, sentence: str) -> None:
        """Warn the first time only."""
        if topic not in cls.said:
            cls.said.add(topic)
            warnings.warn(sentence, RuntimeWarning, stacklevel=7)


def report_settings(broker: SQLiteBroker, synchronous: int, autocheckpoint: int) -> None:
    """Warn once about settings of the caller's connection that weaken what comanda promises."""
    if synchronous < _FULL:
        Reported.once(
            f"synchronous {broker.path}",
            f"the application's connection to {broker.path} has PRAGMA synchronous below FULL: jobs enqueued on it may "
            "be lost at a power cut",
        )
    if autocheckpoint and library.must_not_checkpoint(library.STANDARD):
        Reported.once(
            f"checkpoint {broker.path}",
            f"SQLite {sqlite3.sqlite_version} can corrupt a database when a checkpoint meets a writer (mended in "
            f"3.51.3): execute PRAGMA wal_autocheckpoint = 0 on each connection to {broker.path} "
            "(SQLAlchemy: comanda.sqlalchemy.prepare(engine)); comanda's worker does the checkpoints",
        )


def translated(error: sqlite3.Error, queue: str) -> EnqueueError | None:
    """Return comanda's error for one of the statements' own refusals, None for the caller's database errors."""
    if isinstance(error, sqlite3.IntegrityError) and "NOT NULL" in str(error):
        return EnqueueError(f"queue {queue!r} holds messages and cannot take jobs: give them a queue of their own")
    return None


def path_of(databases: list[Any]) -> Path | None:
    """Return the main database's file."""
    return next((Path(row[2]) for row in databases if row[1] == "main" and row[2]), None)
