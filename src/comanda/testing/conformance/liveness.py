# ruff: noqa: S101 - pytest's assert
"""Who is alive, and who is not."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import pytest

from ...brokers.base import Broker
from ...brokers.records import State, WorkerInfo
from ...clock import SECOND
from ..clock import FakeClock
from .case import (
    LEASE,
    BrokerCase,
    Worker,
    enqueue,
    enqueue_one,
    ids_of,
    read,
    state_of,
    success,
    together,
)

_HOUR = 3_600 * SECOND


def nobody_knows(_owner: int) -> Collection[int] | None:
    """Say of no owner what it was executing: all its jobs are suspects."""
    return None


class Liveness(BrokerCase):
    """Owners, heartbeats and rescue."""

    def test_owner_ids_are_never_used_twice(self, broker: Broker, other: Broker) -> None:
        """R19: an owner id is new at every boot, whoever left before."""
        first = Worker(broker)
        broker.deregister(first.owner)
        owners = together(*(partial(_register_some, place) for place in (broker, other, broker, other)))
        seen = [owner for some in owners for owner in some]
        assert len(set(seen)) == 20
        assert first.owner not in seen

    def test_the_workers_are_listed_living_ones_first(self, broker: Broker, clock: FakeClock) -> None:
        """Who works here: host, process, version, tasks and queues, and since when."""
        gone = Worker(broker)
        clock.advance(1)
        info = WorkerInfo(host="h", pid=7, version="2", kind="embedded", tasks=("a", "b"), queues=("q",))
        alive = broker.register(info)
        clock.advance(1)
        broker.deregister(gone.owner)
        broker.heartbeat([alive])
        first, second = broker.workers()
        assert (first.owner, first.host, first.pid, first.version, first.kind) == (alive, "h", 7, "2", "embedded")
        assert (set(first.tasks), first.queues) == ({"a", "b"}, ("q",))
        assert (first.started_at, first.beat_at) == (clock.now() - SECOND, clock.now())
        assert (first.ended_at, second.owner, second.queues) == (None, gone.owner, None)
        assert second.ended_at == clock.now()

    def test_a_dead_worker_learns_it_from_its_heartbeat(self, broker: Broker, other: Broker, worker: Worker) -> None:
        """It stops, or registers anew; nothing brings the old owner back to life."""
        alive = Worker(broker)
        other.release(worker.owner, None)
        beat = broker.heartbeat([worker.owner, alive.owner, 1_000_000])
        assert beat.lost == [worker.owner, 1_000_000]
        assert not worker.beat()

    def test_a_silent_worker_is_rescued_after_the_lease(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Guarantee 4: not before, and its jobs are ready at once."""
        job_id = enqueue_one(broker)
        worker.claim_one()
        broker.rescue(LEASE, nobody_knows)
        clock.advance(LEASE - 0.001)
        assert broker.rescue(LEASE, nobody_knows).owners == []
        clock.advance(0.001)
        done = broker.rescue(LEASE, nobody_knows)
        assert (done.owners, done.jobs) == ([worker.owner], 1)
        assert (state_of(broker, job_id), read(broker, job_id).crashes) == (State.READY, 1)
        assert broker.rescue(LEASE, nobody_knows).owners == []
        assert not worker.beat()

    def test_the_rescue_charges_what_the_dead_worker_was_executing(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """The rescuer asks who knows, owner by owner."""
        jobs = enqueue(broker, 2)
        first, _ = worker.claim()
        broker.rescue(LEASE, nobody_knows)
        clock.advance(LEASE)
        asked: list[int] = []

        def started(owner: int) -> Collection[int] | None:
            asked.append(owner)
            return {first.n}

        broker.rescue(LEASE, started)
        assert asked == [worker.owner]
        assert [read(broker, job).crashes for job in jobs] == [1, 0]

    def test_a_worker_whose_heart_beats_is_never_rescued(
        self, broker: Broker, other: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """A healthy job of any length runs once."""
        enqueue_one(broker)
        job = worker.claim_one()
        for _ in range(20):
            clock.advance(LEASE / 2)
            assert worker.beat()
            assert other.rescue(LEASE, nobody_knows).owners == []
        assert worker.settle(success(job)) == []

    @pytest.mark.parametrize("step", [-_HOUR, _HOUR])
    def test_a_stepped_wall_clock_neither_kills_nor_saves_anybody(
        self, broker: Broker, worker: Worker, clock: FakeClock, step: int
    ) -> None:
        """R45: liveness is measured on a clock that nobody can step."""
        enqueue_one(broker)
        worker.claim_one()
        broker.rescue(LEASE, nobody_knows)
        clock.set(clock.now() + step)
        assert broker.rescue(LEASE, nobody_knows).owners == []
        clock.advance(LEASE / 2)
        clock.set(clock.now() - 2 * step)
        assert broker.rescue(LEASE, nobody_knows).owners == []
        clock.advance(LEASE / 2)
        assert broker.rescue(LEASE, nobody_knows).owners == [worker.owner]

    def test_a_heartbeat_between_look_and_burial_saves_the_worker(
        self, broker: Broker, other: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """R8: the rescue repeats its condition inside the update."""
        job_id = enqueue_one(broker)
        job = worker.claim_one()
        other.rescue(LEASE, nobody_knows)
        clock.advance(LEASE)

        def started(_owner: int) -> None:
            assert worker.beat()

        done = other.rescue(LEASE, started)
        assert (done.owners, done.jobs) == ([], 0)
        assert (state_of(broker, job_id), read(broker, job_id).crashes) == (State.RUNNING, 0)
        assert worker.settle(success(job)) == []

    def test_a_job_that_finishes_between_look_and_burial_stays_finished(
        self, broker: Broker, other: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """The sweep selects, the worker finishes, the sweep updates: success never becomes anything else."""
        done, running = enqueue(broker, 2)
        jobs = worker.claim()
        other.rescue(LEASE, nobody_knows)
        clock.advance(LEASE)

        def started(_owner: int) -> None:
            assert worker.settle(success(jobs[0])) == []

        assert other.rescue(LEASE, started).jobs == 1
        assert [state_of(broker, job) for job in (done, running)] == [State.SUCCESSFUL, State.READY]

    def test_two_rescuers_bury_a_worker_once(
        self, broker: Broker, other: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """Every worker rescues; a job is charged once for one death."""
        job_id = enqueue_one(broker)
        worker.claim_one()
        for rescuer in (broker, other):
            rescuer.rescue(LEASE, nobody_knows)
        clock.advance(LEASE)
        inner: list[list[int]] = []

        def started(_owner: int) -> None:
            if not inner:
                inner.append([])
                inner[0] = broker.rescue(LEASE, nobody_knows).owners

        assert other.rescue(LEASE, started).owners == []
        assert inner == [[worker.owner]]
        assert read(broker, job_id).crashes == 1

    def test_many_dead_workers_are_rescued_at_once(self, broker: Broker, clock: FakeClock) -> None:
        """A rescue leaves nobody for later."""
        jobs = enqueue(broker, 60)
        workers = [Worker(broker) for _ in range(20)]
        for worker in workers:
            assert len(worker.claim(3)) == 3
        survivor = Worker(broker)
        broker.rescue(LEASE, nobody_knows)
        clock.advance(LEASE)
        survivor.beat()
        done = broker.rescue(LEASE, nobody_knows)
        assert (sorted(done.owners), done.jobs) == ([worker.owner for worker in workers], 60)
        assert sorted(ids_of(survivor.claim())) == sorted(jobs)


def _register_some(broker: Broker) -> list[int]:
    return [Worker(broker).owner for _ in range(5)]
