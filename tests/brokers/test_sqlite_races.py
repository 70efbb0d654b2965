"""Steps that look first and write afterwards repeat their condition inside the write (R8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from comanda.brokers.records import JobFilter, State
from comanda.brokers.sqlite import SQLiteBroker
from comanda.brokers.sqlite.session import Session
from comanda.testing import FakeClock
from comanda.testing.conformance.case import LEASE, Worker, enqueue, enqueue_one, ids_of, one, read, recount, state_of
from comanda.testing.conformance.liveness import nobody_knows
from tests.brokers.sqlite_files import LIBRARIES


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=LIBRARIES)
def brokers(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[list[SQLiteBroker]]:
    """Two processes on one file."""
    opened = [SQLiteBroker(tmp_path / "jobs.db", library_name=request.param, clock=clock) for _ in range(2)]
    yield opened
    for broker in opened:
        assert broker.counts() == recount(broker)
        broker.close()


@contextmanager
def before_it_writes(broker: SQLiteBroker, act: Callable[[], object]) -> Iterator[None]:
    """Let `act` happen between what the broker reads and its first write."""
    own, write = vars(broker._store), broker._store.write

    def act_then_write(**options: Any) -> AbstractContextManager[Session]:
        del own["write"]
        act()
        return write(**options)

    own["write"] = act_then_write
    yield
    assert "write" not in own, "the step wrote nothing"


def test_a_job_that_is_retried_while_it_is_pruned_stays(brokers: list[SQLiteBroker]) -> None:
    pruner, operator = brokers
    rescued, *others = enqueue(pruner, 3)
    pruner.cancel(JobFilter())
    with before_it_writes(pruner, lambda: operator.retry(one(rescued))):
        assert pruner.prune(successful_before=0, ended_before=0, keep_at_most=0) == 2
    assert state_of(pruner, rescued) is State.READY
    assert pruner.get(others) == [None, None]


def test_a_worker_that_comes_while_its_jobs_are_being_parked_finds_them(brokers: list[SQLiteBroker]) -> None:
    rescuer, deployed = brokers
    jobs = enqueue(rescuer, 3, task="new")
    workers: list[Worker] = []
    with before_it_writes(rescuer, lambda: workers.append(Worker(deployed, "new"))):
        assert rescuer.rescue(LEASE, nobody_knows).parked == 0
    assert ids_of(workers[0].claim()) == jobs


def test_a_job_that_is_cancelled_while_it_is_being_parked_stays_cancelled(brokers: list[SQLiteBroker]) -> None:
    rescuer, operator = brokers
    cancelled, parked = enqueue(rescuer, 2, task="unknown")
    with before_it_writes(rescuer, lambda: operator.cancel(one(cancelled))):
        assert rescuer.rescue(LEASE, nobody_knows).parked == 1
    assert [state_of(rescuer, job) for job in (cancelled, parked)] == [State.CANCELLED, State.READY]
    assert read(rescuer, parked).parked


def test_a_job_that_is_cancelled_while_it_is_being_expired_stays_cancelled(
    brokers: list[SQLiteBroker], clock: FakeClock
) -> None:
    rescuer, operator = brokers
    cancelled, overdue = enqueue(rescuer, 2, expires=clock.now() + 1)
    clock.advance(1)
    with before_it_writes(rescuer, lambda: operator.cancel(one(cancelled))):
        assert rescuer.rescue(LEASE, nobody_knows).expired == 1
    assert [state_of(rescuer, job) for job in (cancelled, overdue)] == [State.CANCELLED, State.EXPIRED]


def test_a_claim_does_not_step_over_expired_jobs_without_end(brokers: list[SQLiteBroker], clock: FakeClock) -> None:
    """The write lock is short: about 500 of them end in one claim, the rescue ends the others."""
    broker, _ = brokers
    enqueue(broker, 1_500, expires=clock.now() + 1)
    good = enqueue_one(broker)
    worker = Worker(broker)
    clock.advance(1)
    assert worker.claim(1) == []
    assert 500 <= broker.counts()["default", State.EXPIRED] <= 502
    assert broker.rescue(LEASE, nobody_knows).expired >= 998
    assert ids_of(worker.claim(1)) == [good]
    assert not read(broker, good).parked
