"""The enqueue on a caller's PostgreSQL connection, step by step and without I/O; see `steps.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psycopg.pq import TransactionStatus

from ..brokers.postgres import PostgresBroker
from ..brokers.postgres.place import QUESTION
from ..brokers.records import Enqueued, NewJob
from ..brokers.statements import Statement
from ..errors import ConfigurationError, NotInTransaction
from ..outbox.postgres import PostgresOutbox
from .checks import noun, say_once
from .steps import Rows, Steps

if TYPE_CHECKING:
    from ..transactions import Ledger

PostgresLedger = PostgresBroker | PostgresOutbox
"""A queue's tables or an outbox in a PostgreSQL database."""

_WEAK = ("off", "local", "remote_write")
"""What `synchronous_commit` may be below `on`."""


def postgres_ledger(ledger: Ledger) -> PostgresLedger:
    """Return the queue or outbox as a PostgreSQL one; ConfigurationError when it is in another kind of store."""
    if not isinstance(ledger, PostgresLedger):
        raise ConfigurationError(
            f"the connection is to PostgreSQL, but {noun(ledger)} lives elsewhere ({type(ledger).__name__}): one "
            "transaction cannot span two databases"
        )
    return ledger


def enqueue(ledger: PostgresLedger, connection: Any, job: NewJob) -> Steps:
    """Check `connection` (a psycopg one, sync or async), then store one job on it.

    Raises ConfigurationError for another database and NotInTransaction without a transaction, before anything is
    written.
    """
    check_transaction(connection)
    if connection not in ledger.place.connections:
        meet(ledger, connection, (yield Statement(QUESTION)))
    rows: Rows = []
    for statement in ledger.enqueue_statements(job):
        rows = yield statement
    return enqueued(rows)


def enqueue_by(ledger: PostgresLedger, connection: Any, job: NewJob, run: Callable[[Statement], Rows]) -> Enqueued:
    """Do the same with a synchronous driver: the steps one after the other, which spares each job a generator."""
    check_transaction(connection)
    if connection not in ledger.place.connections:
        meet(ledger, connection, run(Statement(QUESTION)))
    rows: Rows = []
    for statement in ledger.enqueue_statements(job):
        rows = run(statement)
    return enqueued(rows)


def enqueued(rows: Rows) -> Enqueued:
    """Return what the last statement has answered."""
    stored, created = rows[0]
    return Enqueued(bytes(stored), created=bool(created))


def meet(ledger: PostgresLedger, connection: Any, answer: Rows) -> None:
    """Note that a connection leads to the ledger's database, or raise ConfigurationError; `answer` is QUESTION's."""
    ((started, name, synchronous),) = answer
    ledger.place.check(started, name)
    if synchronous in _WEAK:
        say_once(
            f"the application's connection to {ledger.address} has synchronous_commit = {synchronous}: jobs "
            "enqueued on it may be lost when the server crashes"
        )
    ledger.place.connections.add(connection)


def check_transaction(connection: Any) -> None:
    """Raise NotInTransaction unless a transaction is open, or the connection's next statement begins one."""
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise NotInTransaction(
            "using(connection=…): the connection is in autocommit mode without a transaction, so the job would not "
            "belong to yours; begin one first (with connection.transaction(), engine.begin())"
        )
