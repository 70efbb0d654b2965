"""What every SQLite connection of a caller is checked for, whichever driver it belongs to."""

from __future__ import annotations

import os
from typing import Any

from .. import callsite
from ..brokers.rules import kind_clash
from ..brokers.sqlite import SQLiteBroker, library
from ..errors import ConfigurationError, NotInTransaction
from ..outbox.base import Outbox
from ..outbox.sqlite import SQLiteOutbox
from ..transactions import Ledger

SQLiteLedger = SQLiteBroker | SQLiteOutbox
"""A queue's tables or an outbox in a SQLite file."""

_FULL = 2

_said: set[str] = set()
"""What has been reported in this process."""


def sqlite_ledger(ledger: Ledger, driver: str) -> SQLiteLedger:
    """Return the queue or outbox as a SQLite one; ConfigurationError unless its file may be used through `driver`."""
    if not isinstance(ledger, SQLiteBroker | SQLiteOutbox):
        raise ConfigurationError(
            f"the connection is to SQLite, but {noun(ledger)} lives elsewhere ({type(ledger).__name__}): one "
            "transaction cannot span two databases"
        )
    if driver != ledger.library:
        raise ConfigurationError(
            f"the file of {noun(ledger)}, {ledger.path}, belongs to {ledger.library}, the connection to {driver}: two "
            "SQLite libraries in one process lose committed rows. Use sqlite:///… for a file shared with SQLAlchemy, "
            "Django or sqlite3; with sqlite+apsw:///… use app.transaction()"
        )
    library.check_version(driver)
    return ledger


def noun(ledger: Ledger) -> str:
    """Return what a message calls it."""
    return "the outbox" if isinstance(ledger, Outbox) else "the queue"


def check_file(ledger: SQLiteLedger, databases: list[Any]) -> None:
    """Raise ConfigurationError when the connection's main database (rows of `PRAGMA database_list`) is another file."""
    # A connection with text_factory = bytes tells its names as bytes.
    files = [os.fsdecode(row[2] or "") for row in databases if row[1] in ("main", b"main")]
    if not files or not files[0]:
        where = "a database in memory"
    elif not ledger.path.exists() or not ledger.path.samefile(files[0]):
        where = files[0]
    else:
        return
    raise ConfigurationError(
        f"the connection is to {where}, but {noun(ledger)} lives in {ledger.path}: "
        "one transaction cannot span two files"
    )


def check_transaction(connection: Any) -> None:
    """Raise NotInTransaction unless a transaction is open on a sqlite3-like connection, or its next write opens one."""
    if connection.in_transaction:
        return
    autocommit = getattr(connection, "autocommit", _LEGACY)
    level = getattr(connection, "isolation_level", None)  # apsw has none: there a transaction is begun or there is none
    opens_one = level is not None if autocommit == _LEGACY else not autocommit
    if not opens_one:
        raise NotInTransaction(
            "using(connection=…): the connection commits each statement by itself, so the job would not belong to your "
            "transaction; begin one first (connection.execute('BEGIN'), engine.begin(), app.transaction())"
        )


_LEGACY = -1
"""What `autocommit` is (sqlite3.LEGACY_TRANSACTION_CONTROL, Python 3.12) when `isolation_level` rules instead."""


def report_settings(ledger: SQLiteLedger, synchronous: int, autocheckpoint: int) -> None:
    """Warn, once for each, about settings of the caller's connection that weaken what comanda promises."""
    if synchronous < _FULL:
        say_once(
            f"the application's connection to {ledger.path} has PRAGMA synchronous below FULL: jobs enqueued on it may "
            "be lost at a power cut"
        )
    if autocheckpoint and library.must_not_checkpoint(ledger.library):
        say_once(f"{library.danger(ledger.library)}; {library.remedy(ledger.path)}")


def say_once(sentence: str) -> None:
    """Warn at the caller's line, once in this process."""
    if sentence not in _said:
        _said.add(sentence)
        callsite.warn(sentence)


def translated(error: Exception, queue: str) -> Exception:
    """Return comanda's error for one of the statements' own refusals, the caller's database's own error else."""
    if "NOT NULL constraint failed" in str(error) and "_jobs.queue" in str(error):
        return ConfigurationError(kind_clash(queue, holds_messages=True))
    return error
