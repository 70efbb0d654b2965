"""Enqueueing on the caller's own connection, inside the caller's open transaction (guarantee 1, design section 6).

The statements run in the caller's thread; comanda neither commits nor rolls back, and makes no SAVEPOINT: on
`sqlite3` its RELEASE would commit the job alone.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Protocol, cast

from .brokers.base import Broker, Capability
from .brokers.records import Enqueued, NewJob
from .errors import ConfigurationError, NotSupported

AfterCommit = Callable[[bytes], None]
"""Called with a job's id when its transaction may have been committed, or is about to be."""


class Runner(Protocol):
    """How statements run on one kind of connection: a module of `comanda.runners` or an integration."""

    def enqueue(self, broker: Broker, connection: Any, job: NewJob, after_commit: AfterCommit) -> bytes:
        """Run the enqueue and return the id of the stored job; raise NotInTransaction without a transaction."""
        ...

    async def aenqueue(self, broker: Broker, connection: Any, job: NewJob, after_commit: AfterCommit) -> bytes:
        """The same on a connection of an async driver, or on a sync one from a coroutine."""
        ...


_RUNNERS = {
    "sqlite3": "comanda.runners.sqlite3",
    "apsw": "comanda.runners.apsw",
    "aiosqlite": "comanda.runners.aiosqlite",
    "sqlalchemy": "comanda.sqlalchemy",
}
"""Root package of the connection's class to the module that knows it; imported only when one is handed in."""


def enqueue_on(broker: Broker, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Enqueue one job on `connection`; it exists exactly if the caller commits."""
    stored = _runner(broker, connection).enqueue(broker, connection, job, after_commit)
    return Enqueued(stored, created=stored == job.id)


async def aenqueue_on(broker: Broker, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """The same from a coroutine."""
    stored = await _runner(broker, connection).aenqueue(broker, connection, job, after_commit)
    return Enqueued(stored, created=stored == job.id)


def _runner(broker: Broker, connection: Any) -> Runner:
    if Capability.TRANSACTIONAL_ENQUEUE not in broker.capabilities:
        raise NotSupported(
            f"{type(broker).__name__} is not in the application's database, so it cannot enqueue in its transaction: "
            "leave connection= out, or use a sqlite:/// URL on the application's file"
        )
    for kind in inspect.getmro(type(connection)):
        module = _RUNNERS.get(kind.__module__.partition(".")[0])
        if module is not None:
            return cast(Runner, importlib.import_module(module))
    raise ConfigurationError(
        "connection= takes a sqlite3, apsw, aiosqlite or SQLAlchemy connection or session, "
        f"got {type(connection).__name__}"
    )
