# ruff: noqa: S101 - pytest's assert
"""What every theme of the suite stands on: brokers on one store, a clock, and people who work with them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from ...brokers.base import Broker, Capability
from ...brokers.records import (
    MESSAGE,
    AttemptRecord,
    Claimed,
    Demand,
    Failure,
    JobFilter,
    JobRecord,
    Kind,
    NewJob,
    OperationRecord,
    Outcome,
    State,
    WorkerInfo,
)
from ...clock import Clock
from ...ids import new_ids
from ..clock import FakeClock

BrokerFactory = Callable[[Clock], Broker]
"""Opens a broker on the test's store; called again, another one on the same store."""

LEASE = 10.0
PATIENCE = 20.0
"""Seconds after which a test that waits for another thread gives up."""

T = TypeVar("T")


class BrokerCase:
    """The fixtures. A subclass overrides `make_broker`."""

    @pytest.fixture
    def make_broker(self) -> BrokerFactory:
        """Return the factory of the broker under test."""
        raise NotImplementedError("override the fixture make_broker")

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The clock of every broker in the test."""
        return FakeClock()

    @pytest.fixture
    def open_broker(self, make_broker: BrokerFactory, clock: FakeClock) -> Iterator[Callable[[], Broker]]:
        """Open the store as one more process, where the broker can be shared by several."""
        opened: list[Broker] = []

        def open_one() -> Broker:
            if opened and Capability.CROSS_PROCESS not in opened[0].capabilities:
                return opened[0]
            opened.append(make_broker(clock))
            opened[-1].open()
            return opened[-1]

        yield open_one
        for broker in opened:
            broker.close()

    @pytest.fixture
    def broker(self, open_broker: Callable[[], Broker]) -> Iterator[Broker]:
        """The broker under test. After every test its counts are compared with its jobs."""
        broker = open_broker()
        yield broker
        assert broker.counts() == recount(broker)

    @pytest.fixture
    def other(self, broker: Broker, open_broker: Callable[[], Broker]) -> Broker:
        """The same store as another process sees it."""
        return open_broker()

    @pytest.fixture
    def worker(self, broker: Broker) -> Worker:
        """A worker that knows the task `task`."""
        return Worker(broker)


class Worker:
    """A registered owner, and what it does."""

    def __init__(self, broker: Broker, *tasks: str, kind: str = "child", pid: int = 1) -> None:
        self.broker = broker
        self.tasks = frozenset(tasks or ("task",))
        info = WorkerInfo(host="host", pid=pid, version="1.0", kind=kind, tasks=tuple(sorted(self.tasks)))
        self.owner = broker.register(info)

    def claim(self, limit: int = 100, *queues: str, strict: bool = False) -> list[Claimed]:
        """Take up to `limit` jobs, from `queues` if given."""
        return self.broker.claim(self.owner, Demand(limit, self.tasks, queues or None, strict))

    def claim_one(self) -> Claimed:
        """Take the one job that must be there."""
        (job,) = self.claim(1)
        return job

    def settle(self, *outcomes: Outcome) -> list[Outcome]:
        """Write outcomes; return those refused."""
        return self.broker.settle(self.owner, outcomes)

    def beat(self) -> bool:
        """Renew the lease; return whether the store still counts this worker among the living."""
        return not self.broker.heartbeat([self.owner]).lost


def consumer(broker: Broker) -> Worker:
    """Return somebody who takes messages."""
    return Worker(broker, MESSAGE, kind="consumer")


def new_jobs(count: int, **options: Any) -> list[NewJob]:
    """Return new jobs of the task `task` in the queue `default`, unless the options say otherwise."""
    settings: dict[str, Any] = {"task": "task", "queue": "default", "payload": b"[]", **options}
    return [NewJob(id=job_id, **settings) for job_id in new_ids(count)]


def new_job(**options: Any) -> NewJob:
    """Return one new job."""
    return new_jobs(1, **options)[0]


def enqueue(broker: Broker, count: int = 1, **options: Any) -> list[bytes]:
    """Store jobs that must all be new; return their ids."""
    answers = broker.enqueue(new_jobs(count, **options))
    assert all(answer.created and answer.error is None for answer in answers)
    return [answer.id for answer in answers]


def enqueue_one(broker: Broker, **options: Any) -> bytes:
    """Store one job and return its id."""
    return enqueue(broker, 1, **options)[0]


def outcome(job: Claimed, kind: Kind, *, delay: int = 0, reason: str = "exception") -> Outcome:
    """Return an outcome as a worker would write it: the work began at 1,000 µs and ended at 2,000 µs."""
    result = b'"done"' if kind == Kind.SUCCESS else None
    failure = None if kind in (Kind.SUCCESS, Kind.RELEASE) else Failure("Boom", "it went wrong", "Traceback …", reason)
    return Outcome(job, kind, 1_000, 2_000, result, failure, delay)


def success(job: Claimed) -> Outcome:
    """Return the outcome of a job that worked."""
    return outcome(job, Kind.SUCCESS)


def read(broker: Broker, job_id: bytes) -> JobRecord:
    """Return a job that must exist, with its attempts and operations."""
    (found,) = broker.get([job_id], attempts=True)
    assert found is not None
    return found


def attempts_of(broker: Broker, job_id: bytes) -> list[AttemptRecord]:
    """Return the attempts of a job that must exist, the first one first."""
    attempts = read(broker, job_id).attempts
    assert attempts is not None
    return attempts


def operations_of(broker: Broker, job_id: bytes) -> list[OperationRecord]:
    """Return what operators did to a job that must exist, in order."""
    operations = read(broker, job_id).operations
    assert operations is not None
    return operations


def state_of(broker: Broker, job_id: bytes) -> State:
    """Return the state of a job that must exist."""
    return read(broker, job_id).state


def one(job_id: bytes) -> JobFilter:
    """Return the filter that means one job."""
    return JobFilter(ids=(job_id,))


def ids_of(jobs: Sequence[Claimed] | Sequence[JobRecord]) -> list[bytes]:
    """Return the ids in their order."""
    return [job.id for job in jobs]


def recount(broker: Broker) -> dict[tuple[str, State], int]:
    """Count all jobs one by one, page by page."""
    found: Counter[tuple[str, State]] = Counter()
    page = broker.find(JobFilter(), limit=1_000)
    while page:
        found.update((job.queue, job.state) for job in page)
        page = broker.find(JobFilter(), limit=1_000, after=page[-1].id)
    return dict(found)


def crash(broker: Broker, job_id: bytes) -> None:
    """Let a worker claim the job, start it and die."""
    worker = Worker(broker)
    job = worker.claim_one()
    assert job.id == job_id
    assert broker.release(worker.owner, {job.n}) == 1


def together(*functions: Callable[[], T]) -> list[T]:
    """Run functions in threads that start at the same moment; return their answers, raise what one of them raised."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], T]) -> T:
        barrier.wait(PATIENCE)
        return function()

    with ThreadPoolExecutor(len(functions)) as threads:
        return [future.result(PATIENCE) for future in [threads.submit(run, function) for function in functions]]
