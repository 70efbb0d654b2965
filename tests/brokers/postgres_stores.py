"""What the tests of the PostgreSQL broker share."""

from __future__ import annotations

import psycopg

from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.records import Claimed, Demand, Kind, Outcome
from comanda.testing import FakeClock
from comanda.testing.conformance.case import Worker


def open_postgres(url: str, namespace: str, *, deadline: float = 5.0) -> PostgresBroker:
    """Return an open broker under a fake clock."""
    broker = PostgresBroker(url, namespace=namespace, clock=FakeClock(), deadline=deadline)
    broker.open()
    return broker


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own; return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def drain(worker: Worker, batch: int) -> list[bytes]:
    """Run everything there is, batch by batch; return the ids in the order of their claims."""
    taken: list[bytes] = []
    done: list[Outcome] = []
    while True:
        answer = worker.broker.exchange(worker.owner, done, Demand(batch, worker.tasks))
        assert answer.refused == []
        taken += [job.id for job in answer.claimed]
        done = [succeeded(job) for job in answer.claimed]
        if not done:
            return taken


def succeeded(job: Claimed) -> Outcome:
    """Return the outcome of a no-op."""
    return Outcome(job, Kind.SUCCESS, 1_000, 2_000, b"null")
