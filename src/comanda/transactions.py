"""The caller's transactions: enqueueing on an open connection, and what may not be done while one is open.

The statements run in the caller's thread; comanda neither commits nor rolls back, and makes no SAVEPOINT: on
`sqlite3` its RELEASE would commit the job alone (guarantee 1, design section 6).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, cast

from .brokers.base import Broker, Capability
from .brokers.records import Enqueued, NewJob
from .errors import ConfigurationError, NotSupported
from .outbox.base import Outbox
from .shield import lowered

if TYPE_CHECKING:
    from .task import Task

Ledger = Broker | Outbox
"""What a caller's transaction can write a job into."""

AfterCommit = Callable[[bytes], None]
"""Called with a job's id when its transaction may have been committed, or is about to be."""


class Runner(Protocol):
    """How statements run on one kind of connection: a module of `comanda.runners` or an integration."""

    def enqueue(self, ledger: Ledger, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
        """Run the enqueue and say what was stored; raise NotInTransaction without a transaction."""
        ...

    async def aenqueue(self, ledger: Ledger, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
        """The same on a connection of an async driver, or on a sync one from a coroutine."""
        ...


_RUNNERS = {
    "sqlite3": "comanda.runners.sqlite3",
    "apsw": "comanda.runners.apsw",
    "aiosqlite": "comanda.runners.aiosqlite",
    "psycopg": "comanda.runners.psycopg",
    "sqlalchemy": "comanda.sqlalchemy",
    "django": "comanda.django.runner",
}
"""Root package of the connection's class to the module that knows it; imported only when one is handed in."""

_known: dict[tuple[type[Any], type[Any]], Runner] = {}
"""The runners by the classes of the ledger and of the connection that was handed in."""


def enqueue_on(ledger: Ledger, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """Enqueue one job on `connection`; it exists exactly if the caller commits."""
    runner = _known.get((type(ledger), type(connection))) or _runner(ledger, connection)
    return runner.enqueue(ledger, connection, job, after_commit)


async def aenqueue_on(ledger: Ledger, connection: Any, job: NewJob, after_commit: AfterCommit) -> Enqueued:
    """The same from a coroutine."""
    runner = _known.get((type(ledger), type(connection))) or _runner(ledger, connection)
    return await runner.aenqueue(ledger, connection, job, after_commit)


def _runner(ledger: Ledger, connection: Any) -> Runner:
    if isinstance(ledger, Broker) and Capability.TRANSACTIONAL_ENQUEUE not in ledger.capabilities:
        raise NotSupported(
            f"{type(ledger).__name__} is not in the application's database, so it cannot enqueue in its transaction: "
            "leave connection= out, give the app an outbox in that database, outbox='sqlite:///shop.db', or use the "
            "database's own URL for the queue"
        )
    runner = _known[type(ledger), type(connection)] = _runner_of(type(connection))
    return runner


def _runner_of(kind: type[Any]) -> Runner:
    for base in inspect.getmro(kind):
        module = _RUNNERS.get(base.__module__.partition(".")[0])
        if module is not None:
            return cast(Runner, importlib.import_module(module))
    raise ConfigurationError(
        "connection= takes a sqlite3, apsw, aiosqlite, psycopg, SQLAlchemy or Django connection, or a SQLAlchemy "
        f"session, got {kind.__name__}"
    )


def check_completion(broker: Broker, task: Task[..., Any]) -> None:
    """Raise NotSupported for a transactional task that the broker's jobs cannot complete in their own transaction."""
    if not task.transactional:
        return
    if Capability.TRANSACTIONAL_COMPLETION not in broker.capabilities:
        raise NotSupported(
            f"{task.name}: transactional=True needs the queue in the application's database, where its writes and its "
            f"completion can commit together; {type(broker).__name__} is not: use sqlite:///… or postgresql://…"
        )
    if task.is_async and Capability.ASYNC_COMPLETION not in broker.capabilities:
        raise NotSupported(
            f"{task.name}: transactional=True on {type(broker).__name__} is for synchronous tasks, since its driver "
            "would block the event loop: declare it with def, and it runs on a thread"
        )


class _Mark:
    """One open `app.transaction()`. Tasks started inside it inherit the mark, so it must know when it has ended."""

    __slots__ = ("broker", "outer")

    def __init__(self, broker: Broker, outer: _Mark | None) -> None:
        self.broker: Broker | None = broker
        self.outer = outer


innermost: ContextVar[_Mark | None] = ContextVar("comanda_transaction", default=None)
"""The mark of the innermost open `app.transaction()`; None where there is none."""


@contextmanager
def transaction(broker: Broker) -> Iterator[Any]:
    """Open a write transaction on the broker's own file; yields the driver's connection."""
    with broker.transaction() as connection:
        mark = _Mark(broker, innermost.get())
        innermost.set(mark)
        try:
            with lowered():
                yield connection
        finally:
            mark.broker = None
            innermost.set(mark.outer)


def refuse_inside(broker: Broker) -> None:
    """Raise ConfigurationError inside `transaction(broker)`: a write of its own would wait for itself."""
    mark = innermost.get()
    while mark is not None:
        if mark.broker is broker:
            raise ConfigurationError(
                "this code runs inside app.transaction(), which holds the store's write lock, so a write beside it "
                "would wait for itself: hand its connection in, task.using(connection=connection).enqueue(…), or write "
                "after it has ended"
            )
        mark = mark.outer
