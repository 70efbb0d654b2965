"""Django: enqueue on one of its connections, inside the open `transaction.atomic()`.

The statements run on the driver's connection below, so that neither Django's parameters nor its debugging touch them;
what the database refuses is Django's own exception, as for any query. Never a savepoint.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections, transaction

from ..brokers.records import Enqueued, NewJob
from ..errors import ConfigurationError, NotInTransaction
from ..transactions import AfterCommit, Ledger, Runner

ConnectionLike = Any
"""`django.db.connection`, or one of `django.db.connections`."""


def enqueue(ledger: Ledger, connection: ConnectionLike, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Run the enqueue in the open atomic block, or in the open transaction where autocommit is off.

    Raises NotInTransaction without one, Django's TransactionManagementError in a block that can only roll back.
    """
    wrapper = _own(connection)
    runner = _runner(wrapper)
    _check_transaction(wrapper)
    with wrapper.wrap_database_errors:
        return runner.enqueue(ledger, wrapper.connection, job, partial(_announce, wrapper, after_commit))


async def aenqueue(ledger: Ledger, connection: ConnectionLike, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """The same from a coroutine, in the thread where Django's connections of this coroutine live (F10).

    There a coroutine that `async_to_sync` runs inside `atomic()` finds that block.
    """
    stored: Enqueued = await sync_to_async(enqueue, thread_sensitive=True)(ledger, connection, job, after_commit)
    return stored


def _own(connection: ConnectionLike) -> Any:
    """Return this thread's connection of the same alias: the one in hand may be a proxy, or another thread's."""
    return connections[connection.alias]


def _runner(wrapper: Any) -> Runner:
    if wrapper.vendor == "sqlite":
        from ..runners import sqlite3

        return sqlite3
    if wrapper.vendor == "postgresql":
        if wrapper.Database.__name__ != "psycopg":
            raise ConfigurationError(
                f"the database {wrapper.alias!r} uses {wrapper.Database.__name__}: comanda enqueues through psycopg 3; "
                "pip install 'psycopg[binary]', and Django takes it"
            )
        from ..runners import psycopg

        return psycopg
    raise ConfigurationError(
        f"the database {wrapper.alias!r} is {wrapper.vendor}, where no queue and no outbox of comanda can be: "
        "one transaction cannot span two databases"
    )


def _check_transaction(wrapper: Any) -> None:
    if not wrapper.in_atomic_block and wrapper.get_autocommit():
        raise NotInTransaction(
            f"using(connection=…): no transaction is open on the database {wrapper.alias!r}, so the job would not "
            "belong to yours; enqueue inside with transaction.atomic(): (or leave connection= out, and the job is "
            "stored at once)"
        )
    wrapper.validate_no_broken_transaction()
    wrapper.ensure_connection()


def _announce(wrapper: Any, after_commit: AfterCommit, job_id: bytes) -> None:
    """Wake workers after the commit: a hint, whose failure is nobody's error."""

    def wake() -> None:  # a function, not a partial: Django names it by its __qualname__ when it fails
        after_commit(job_id)

    if wrapper.in_atomic_block:
        transaction.on_commit(wake, using=wrapper.alias, robust=True)
    else:  # autocommit is off, and Django calls nobody: look until the commit is there
        wake()
