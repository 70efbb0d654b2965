"""What a job costs in write-ahead log: bytes that are synced, shipped to standbys and kept in backups (speed guide)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comanda.brokers.postgres import PostgresBroker
from comanda.testing.conformance.case import Worker, new_jobs
from tests.brokers.postgres_stores import drain, execute, open_postgres

JOBS = 10_000
FROM_ENQUEUE = 1_100
FROM_CLAIM = 650


def test_a_job_stays_within_its_budget_of_log(postgres_url: str, namespace: str) -> None:
    """100 bytes of payload, history kept, batches of 500. The first round warms up: a page's first change after a
    checkpoint is logged whole, which says nothing about the job. One of the server's own, or an autovacuum, may come in
    the midst of a round: the cheapest of three counts.
    """
    broker = open_postgres(postgres_url, namespace)
    worker = Worker(broker)
    _round(broker, worker)
    execute(postgres_url, "CHECKPOINT")
    _round(broker, worker)
    enqueued, claimed = min((_cost(postgres_url, broker, worker) for _ in range(3)), key=sum)
    broker.close()
    assert claimed <= FROM_CLAIM, (enqueued, claimed)
    assert enqueued + claimed <= FROM_ENQUEUE, (enqueued, claimed)


def _cost(url: str, broker: PostgresBroker, worker: Worker) -> tuple[float, float]:
    """Return the bytes of log for one job: of its enqueue, and of its claim and success."""
    enqueued = written(url, lambda: _enqueue(broker)) / JOBS
    return enqueued, written(url, lambda: drain(worker, 500)) / JOBS


def _round(broker: PostgresBroker, worker: Worker) -> None:
    _enqueue(broker)
    drain(worker, 500)


def _enqueue(broker: PostgresBroker) -> None:
    for _ in range(JOBS // 500):
        broker.enqueue(new_jobs(500, payload=b"x" * 100))


def written(url: str, act: Callable[[], Any]) -> int:
    """Return the bytes of log that are written while `act` runs."""
    ((before,),) = execute(url, "SELECT pg_current_wal_insert_lsn() - '0/0'")
    act()
    ((after,),) = execute(url, "SELECT pg_current_wal_insert_lsn() - '0/0'")
    return int(str(after)) - int(str(before))
