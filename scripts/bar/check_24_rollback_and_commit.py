"""Check 24 of the bar: `python -m scripts.bar.check_24_rollback_and_commit`.

Jobs are enqueued in transactions of the application's, each beside a row of its own, while a worker waits for work.
Half of the transactions are rolled back: their jobs never run. The others are committed: each job runs once, and
however fast the worker is, the task sees the row. The job's id is known before the commit. On psycopg and on
SQLAlchemy, sync and async. Before each end of a transaction the worker is woken, so that it would find what it must
not see.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from comanda import Comanda, Job, JobNotFound
from tests.servers.postgres import PostgresServer

from .processes import postgres, worker
from .report import Report
from .shop import TABLES, declare

TRANSACTIONS = 100
"""For each kind of connection; every second one is rolled back."""

_LONG = 60.0
"""Seconds that only a check that fails waits."""


class Unit(NamedTuple):
    """A connection of the application's, and how it runs and ends a transaction."""

    connection: Any
    execute: Callable[[str], Any]
    commit: Callable[[], Any]
    rollback: Callable[[], Any]


def _unit(connection: Any, wrap: Callable[[str], Any] = str) -> Unit:
    return Unit(connection, lambda sql: connection.execute(wrap(sql)), connection.commit, connection.rollback)


def _alchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def psycopg_connection(url: str) -> Iterator[Unit]:
    """Yield a connection of psycopg's."""
    with psycopg.connect(url) as connection:
        yield _unit(connection)


@contextmanager
def sqlalchemy_connection(url: str) -> Iterator[Unit]:
    """Yield a Connection."""
    engine = create_engine(_alchemy(url))
    with engine.connect() as connection:
        yield _unit(connection, text)
    engine.dispose()


@contextmanager
def sqlalchemy_session(url: str) -> Iterator[Unit]:
    """Yield a Session."""
    engine = create_engine(_alchemy(url))
    with Session(engine) as session:
        yield _unit(session, text)
    engine.dispose()


@asynccontextmanager
async def psycopg_async_connection(url: str) -> AsyncIterator[Unit]:
    """Yield an AsyncConnection of psycopg's."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield _unit(connection)


@asynccontextmanager
async def sqlalchemy_async_connection(url: str) -> AsyncIterator[Unit]:
    """Yield an AsyncConnection."""
    engine = create_async_engine(_alchemy(url))
    async with engine.connect() as connection:
        yield _unit(connection, text)
    await engine.dispose()


@asynccontextmanager
async def sqlalchemy_async_session(url: str) -> AsyncIterator[Unit]:
    """Yield an AsyncSession."""
    engine = create_async_engine(_alchemy(url))
    async with AsyncSession(engine) as session:
        yield _unit(session, text)
    await engine.dispose()


SYNC: dict[str, Callable[[str], AbstractContextManager[Unit]]] = {
    "psycopg Connection": psycopg_connection,
    "SQLAlchemy Connection": sqlalchemy_connection,
    "SQLAlchemy Session": sqlalchemy_session,
}
ASYNC: dict[str, Callable[[str], AbstractAsyncContextManager[Unit]]] = {
    "psycopg AsyncConnection": psycopg_async_connection,
    "SQLAlchemy AsyncConnection": sqlalchemy_async_connection,
    "SQLAlchemy AsyncSession": sqlalchemy_async_session,
}


class Transactions:
    """An application whose queue is in its own database."""

    def __init__(self, server: PostgresServer) -> None:
        shop = declare(server.url)
        self.app, self.find_order = shop.app, shop.find_order
        self._server = server
        self._last = 0

    def orders(self) -> Iterator[tuple[int, str, bool]]:
        """Yield for each transaction the number of its order, the statement that inserts it, and whether it commits."""
        for index in range(TRANSACTIONS):
            self._last += 1
            yield self._last, f"INSERT INTO orders VALUES ({self._last})", index % 2 == 1  # noqa: S608 - a number

    def sync(self, unit: Unit) -> dict[int, tuple[Job[bool], bool]]:
        """Run the transactions; return by number the job and whether it was committed."""
        jobs = {}
        for number, insert, commits in self.orders():
            unit.execute(insert)
            jobs[number] = self.find_order.using(connection=unit.connection).enqueue(number), commits
            self.app.broker.ring()
            unit.commit() if commits else unit.rollback()
        return jobs

    async def async_(self, unit: Unit) -> dict[int, tuple[Job[bool], bool]]:
        """The same on a connection of an async driver."""
        jobs = {}
        for number, insert, commits in self.orders():
            await unit.execute(insert)
            jobs[number] = await self.find_order.using(connection=unit.connection).aenqueue(number), commits
            self.app.broker.ring()
            await (unit.commit() if commits else unit.rollback())
        return jobs

    def judge(self, report: Report, kind: str, jobs: dict[int, tuple[Job[bool], bool]]) -> None:
        """Wait for the committed jobs, and look at what has run."""
        committed = {number: job for number, (job, commits) in jobs.items() if commits}
        saw = sum(job.result(timeout=_LONG) for job in committed.values())
        there = sum(_exists(self.app, job) for number, (job, _) in jobs.items() if number not in committed)
        ran = self._server.execute(
            "SELECT number FROM runs WHERE number BETWEEN %s AND %s ORDER BY 1", (min(jobs), max(jobs))
        )
        known = sum(UUID(job.id).version == 7 for job, _ in jobs.values())
        good = (saw, there, known) == (len(committed), 0, len(jobs)) and [row[0] for row in ran] == sorted(committed)
        report.see(
            good,
            f"{kind}: {len(jobs) - len(committed)} rolled back, {there} of their jobs exist; {len(committed)} "
            f"committed, {len(ran)} runs, {saw} saw their row; {known} ids known before the end of the transaction",
        )


def _exists(app: Comanda, job: Job[bool]) -> bool:
    try:
        app.get_job(job.id)
    except JobNotFound:
        return False
    return True


async def _on_loop(place: Transactions, connect: Callable[[str], AbstractAsyncContextManager[Unit]], url: str) -> Any:
    async with connect(url) as unit:
        return await place.async_(unit)


def main() -> int:
    """Print what was seen; return the exit code."""
    report = Report("check 24: a rolled back job never runs, a committed one sees what was committed with it")
    with postgres() as server:
        server.execute(TABLES)
        place = Transactions(server)
        place.app.broker.open()
        with worker(server.url, environment={"SHOP_DATABASE": server.url}):
            place.find_order.enqueue(0).result(timeout=_LONG)
            for kind, connect in SYNC.items():
                with connect(server.url) as unit:
                    jobs = place.sync(unit)
                place.judge(report, kind, jobs)
            for kind, connect_async in ASYNC.items():
                place.judge(report, kind, asyncio.run(_on_loop(place, connect_async, server.url)))
        place.app.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
