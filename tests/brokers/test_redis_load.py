"""Jobs of another store, taken over as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from comanda.brokers.memory import MemoryBroker
from comanda.brokers.records import JobFilter, JobRecord, Kind, State
from comanda.brokers.redis import RedisBroker
from comanda.clock import SECOND
from comanda.testing.clock import FakeClock
from comanda.testing.conformance.case import (
    Worker,
    attempts_of,
    enqueue_one,
    ids_of,
    new_job,
    outcome,
    read,
    recount,
    success,
)
from tests.brokers.redis_stores import broker_on


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(redis_url: str, namespace: str, clock: FakeClock) -> Iterator[RedisBroker]:
    broker = broker_on(redis_url, namespace, clock=clock)
    yield broker
    assert broker.counts() == recount(broker)
    broker.close()


def exported(clock: FakeClock) -> list[JobRecord]:
    """Jobs of another store, in every state but expired, the running one last."""
    store = MemoryBroker(clock)
    worker = Worker(store)
    for kind in (Kind.SUCCESS, Kind.FAILURE, Kind.CANCEL, Kind.RETRY):
        enqueue_one(store, unique_key=kind.name)
        worker.settle(outcome(worker.claim_one(), kind, delay=SECOND))
    enqueue_one(store, delay=SECOND, payload=b"later", options=b"o", expires=clock.now() + 60 * SECOND)
    enqueue_one(store)
    worker.claim_one()
    ids = ids_of(store.find(JobFilter(), oldest_first=True))
    return [job for job in store.get(ids, attempts=True) if job is not None]


def test_a_jobs_page_reads_as_before(broker: RedisBroker, clock: FakeClock) -> None:
    """State, times, attempt, result, failure and history; fence and version begin anew."""
    jobs = exported(clock)
    assert broker.load(jobs) == [True] * len(jobs)
    for job in jobs[:-1]:
        assert read(broker, job.id) == structs.replace(job, fence=0, version=0)


def test_a_running_job_is_ready_with_its_attempt_given_back(broker: RedisBroker, clock: FakeClock) -> None:
    """It has no worker here."""
    running = exported(clock)[-1]
    broker.load([running])
    stored = read(broker, running.id)
    assert (stored.state, stored.attempt, stored.started_at, stored.attempts) == (State.READY, 0, None, [])
    worker = Worker(broker)
    job = worker.claim_one()
    assert (job.id, job.attempt, job.fence) == (running.id, 1, 1)
    assert worker.settle(success(job)) == []
    assert [attempt.outcome for attempt in attempts_of(broker, job.id)] == ["successful"]


def test_what_is_here_stays_as_it_is(broker: RedisBroker, clock: FakeClock) -> None:
    """An id that exists, and a unique key that an unfinished job holds; a finished job needs no key."""
    jobs = exported(clock)
    holder = new_job(unique_key="RETRY")
    broker.enqueue([holder])
    assert broker.load(jobs) == [job.unique_key != "RETRY" for job in jobs]
    assert broker.load(jobs) == [False] * len(jobs)
    assert not broker.enqueue([new_job(unique_key="RETRY")])[0].created
    assert broker.enqueue([new_job(unique_key="SUCCESS")])[0].created


def test_a_failure_is_kept_without_its_attempts(broker: RedisBroker, clock: FakeClock) -> None:
    failed = structs.replace(exported(clock)[1], attempts=None, operations=None)
    broker.load([failed])
    assert read(broker, failed.id).failure == failed.failure


def test_loaded_jobs_are_operated_on_like_others(broker: RedisBroker, clock: FakeClock) -> None:
    """They stand in every index: due times, retention, filters."""
    jobs = exported(clock)
    broker.load(jobs)
    clock.advance(1)
    assert ids_of(Worker(broker).claim()) == [jobs[-1].id, jobs[3].id, jobs[4].id]
    assert broker.retry(JobFilter(states=(State.FAILED,))) == [jobs[1].id]
    assert broker.prune(successful_before=clock.now(), ended_before=clock.now(), keep_at_most=9) == 2
