"""The enqueue on a caller's SQLite connection, step by step and without I/O.

The generator yields statements and is sent their rows, so that one text serves every driver in both colours: a runner
only says how its kind of connection runs a statement (style guide section 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from ..brokers.records import Enqueued, NewJob
from ..brokers.sqlite import SQLiteBroker, schema
from ..brokers.statements import Statement
from . import checks
from .checks import SQLiteLedger

Rows = list[Any]
Steps = Generator[Statement, Rows, Enqueued]

_DATABASES = Statement("PRAGMA database_list")
_SYNCHRONOUS = Statement("PRAGMA synchronous")
_AUTOCHECKPOINT = Statement("PRAGMA wal_autocheckpoint")


def enqueue(ledger: SQLiteLedger, connection: Any, job: NewJob) -> Steps:
    """Check `connection` (sqlite3-like: `in_transaction`, `isolation_level`), then store one job on it.

    Raises ConfigurationError for another file and NotInTransaction without a transaction, before anything is written.
    """
    checks.check_file(ledger, (yield _DATABASES))
    checks.check_transaction(connection)
    synchronous = (yield _SYNCHRONOUS)[0][0]
    checks.report_settings(ledger, synchronous, (yield _AUTOCHECKPOINT)[0][0])
    if not ledger.is_open:
        yield from _tables(ledger, connection.in_transaction)
    rows: Rows = []
    for statement in ledger.enqueue_statements(job):
        rows = yield statement
    stored, created = rows[0]
    return Enqueued(stored, created=bool(created))


def _tables(ledger: SQLiteLedger, in_transaction: bool) -> Generator[Statement, Rows, None]:
    """See to the tables. Inside an open transaction they are made on it: it may hold the file's only write lock."""
    if not in_transaction:
        ledger.open()
        return
    if isinstance(ledger, SQLiteBroker):
        texts = schema.pending((yield from _versions(ledger.namespace)), ledger.namespace)
    else:
        texts = ledger.tables
    for text in texts:
        yield Statement(text)


def _versions(namespace: str) -> Generator[Statement, Rows, tuple[int, int]]:
    if not (yield Statement("SELECT 1 FROM sqlite_master WHERE name = ?", (f"{namespace}_meta",))):
        return 0, 0
    found: dict[str, int] = dict((yield Statement(f"SELECT key, value FROM {namespace}_meta")))  # noqa: S608
    return found["schema"], found["oldest_client"]


def drive(steps: Steps, run: Callable[[Statement], Rows]) -> Enqueued:
    """Run the steps with a synchronous driver."""
    try:
        statement = next(steps)
        while True:
            statement = steps.send(run(statement))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return] # StopIteration is not generic


async def adrive(steps: Steps, run: Callable[[Statement], Awaitable[Rows]]) -> Enqueued:
    """Run the steps with an async driver."""
    try:
        statement = next(steps)
        while True:
            statement = steps.send(await run(statement))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return] # as above
