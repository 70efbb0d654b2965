"""Jobs come from another store with their states and histories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from comanda.brokers.memory import MemoryBroker
from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.records import JobFilter, JobRecord, Kind, State
from comanda.clock import SECOND
from comanda.testing import FakeClock
from comanda.testing.conformance.case import Worker, enqueue_one, ids_of, new_job, one, outcome, read, recount, success


@pytest.fixture
def broker(postgres_url: str, namespace: str) -> Iterator[PostgresBroker]:
    """An empty store."""
    broker = PostgresBroker(postgres_url, namespace=namespace, clock=FakeClock())
    yield broker
    assert broker.counts() == recount(broker)
    broker.close()


def _jobs_of_another_store() -> list[JobRecord]:
    """Jobs in every state, with all that can happen to them."""
    other = MemoryBroker(FakeClock())
    worker = Worker(other, pid=77)
    for kind in (Kind.SUCCESS, Kind.FAILURE, Kind.CANCEL, Kind.RETRY):
        enqueue_one(other, unique_key=f"key-{kind.value}", payload=b"\x00")
        worker.settle(outcome(worker.claim_one(), kind, delay=SECOND))
    retried = enqueue_one(other, priority=9)
    worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
    other.retry(one(retried))
    worker.settle(success(worker.claim_one()))
    enqueue_one(other, expires=1)
    assert worker.claim() == []
    enqueue_one(other, options=b"o", unique_key="running")
    worker.claim_one()
    enqueue_one(other, task="unknown")
    ids = ids_of(other.find(JobFilter(), limit=100, oldest_first=True))
    return [job for job in other.get(ids, attempts=True) if job is not None]


def _as_it_begins_here(job: JobRecord) -> JobRecord:
    changes = {"fence": 0, "version": 0, "parked": False, "stop_requested": False}
    if job.state is State.RUNNING:
        changes |= {"attempt": job.attempt - 1}
        return structs.replace(job, **changes, state=State.READY, started_at=None, attempts=(job.attempts or [])[:-1])
    return structs.replace(job, **changes)


def test_a_loaded_job_reads_as_it_did_before(broker: PostgresBroker) -> None:
    jobs = _jobs_of_another_store()
    assert broker.load(jobs) == [True] * len(jobs)
    assert [read(broker, job.id) for job in jobs] == [_as_it_begins_here(job) for job in jobs]
    assert broker.load(jobs) == [False] * len(jobs)
    assert {job.state for job in jobs} == set(State)


def test_what_is_here_stays_as_it_is(broker: PostgresBroker) -> None:
    """An id that exists, a key that an unfinished job holds."""
    jobs = _jobs_of_another_store()
    holder = enqueue_one(broker, unique_key="running")
    broker.enqueue([new_job(), structs.replace(new_job(), id=jobs[0].id)])
    answers = dict(zip(ids_of(jobs), broker.load(jobs), strict=True))
    assert [job.id for job in jobs if not answers[job.id]] == [
        jobs[0].id,
        *(job.id for job in jobs if job.unique_key == "running"),
    ]
    assert read(broker, jobs[0].id).state is State.READY
    assert not broker.enqueue([new_job(unique_key="running")])[0].created
    assert read(broker, holder).unique_key == "running"


def test_a_loaded_job_goes_on_working(broker: PostgresBroker) -> None:
    """It is claimed in its turn, retried, and its new attempts stand behind the old ones."""
    jobs = _jobs_of_another_store()
    broker.load(jobs)
    failed = next(job for job in jobs if job.state is State.FAILED)
    assert broker.retry(one(failed.id)) == [failed.id]
    worker = Worker(broker, pid=78)
    claimed = worker.claim()
    assert failed.id in ids_of(claimed)
    assert worker.settle(*(outcome(job, Kind.FAILURE) for job in claimed)) == []
    attempts = read(broker, failed.id).attempts or []
    assert [(attempt.outcome, attempt.pid) for attempt in attempts] == [("failed", 77), ("failed", 78)]


def test_a_failure_is_kept_without_its_attempts(broker: PostgresBroker) -> None:
    """An export without histories still says why a job failed."""
    failed = next(job for job in _jobs_of_another_store() if job.state is State.FAILED)
    assert broker.load([structs.replace(failed, attempts=None, operations=None)]) == [True]
    assert read(broker, failed.id).failure == failed.failure
