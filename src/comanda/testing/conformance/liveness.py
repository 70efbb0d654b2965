# ruff: noqa: S101 - pytest's assert
"""Who is alive, and what becomes of a dead worker's jobs."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import pytest

from ...brokers.base import CRASH_LIMIT, Broker
from ...brokers.records import Demand, Kind, State, WorkerInfo
from ...clock import SECOND
from ..clock import FakeClock
from .case import (
    LEASE,
    BrokerCase,
    Worker,
    attempts_of,
    crash,
    enqueue,
    enqueue_one,
    ids_of,
    new_job,
    one,
    outcome,
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
    """Owners, heartbeats, rescue and quarantine."""

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

    def test_a_worker_that_leaves_in_order_gives_everything_back_uncharged(
        self, broker: Broker, worker: Worker
    ) -> None:
        """Nothing it held is lost, spends an attempt or counts as a crash."""
        jobs = enqueue(broker, 3)
        worker.claim()
        broker.deregister(worker.owner)
        found = [read(broker, job) for job in jobs]
        assert {(job.state, job.attempt, job.crashes) for job in found} == {(State.READY, 0, 0)}
        assert ids_of(Worker(broker).claim()) == jobs

    def test_only_what_was_started_is_charged_when_a_worker_dies(self, broker: Broker, worker: Worker) -> None:
        """R51: one bad job must not quarantine its innocent batch mates; all are back at once, in their places."""
        jobs = enqueue(broker, 3)
        claimed = worker.claim()
        assert broker.release(worker.owner, {claimed[1].n}) == 3
        found = [read(broker, job) for job in jobs]
        assert [job.crashes for job in found] == [0, 1, 0]
        assert [job.attempt for job in found] == [0, 1, 0]
        assert [[attempt.outcome for attempt in attempts_of(broker, job)] for job in jobs] == [[], ["lost"], []]
        assert {job.state for job in found} == {State.READY}
        assert ids_of(Worker(broker).claim()) == jobs

    def test_all_are_charged_when_nobody_knows_what_was_started(self, broker: Broker, worker: Worker) -> None:
        """When the supervisor died as well, every held job is a suspect."""
        jobs = enqueue(broker, 2)
        worker.claim()
        broker.release(worker.owner, None)
        assert [read(broker, job).crashes for job in jobs] == [1, 1]

    def test_a_lost_attempt_is_recorded(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """The death of a process is an outcome (R2): it stands in the history with its worker and times."""
        job_id = enqueue_one(broker)
        worker.claim_one()
        clock.advance(3)
        broker.release(worker.owner, None)
        (attempt,) = attempts_of(broker, job_id)
        assert (attempt.outcome, attempt.number, attempt.host) == ("lost", 1, "host")
        assert (attempt.started_at, attempt.finished_at) == (clock.now() - 3 * SECOND, clock.now())
        assert attempt.failure is not None
        assert attempt.failure.reason == "lost"

    def test_the_third_crash_quarantines_a_job_and_stops_nobody_else(self, broker: Broker, clock: FakeClock) -> None:
        """Guarantee 5: failed, with that reason, until an operator retries it."""
        poison = enqueue_one(broker, priority=1)
        innocent = enqueue_one(broker)
        for crashes in range(1, CRASH_LIMIT):
            crash(broker, poison)
            stored = read(broker, poison)
            assert (stored.state, stored.crashes) == (State.READY, crashes)
        crash(broker, poison)
        stored = read(broker, poison)
        assert (stored.state, stored.crashes, stored.finished_at) == (State.FAILED, CRASH_LIMIT, clock.now())
        assert stored.failure is not None
        assert stored.failure.reason == "quarantined"
        assert ids_of(Worker(broker).claim()) == [innocent]
        assert broker.retry(one(poison)) == [poison]
        assert Worker(broker).claim_one().crashes == 0

    def test_releasing_an_owner_twice_changes_nothing(self, broker: Broker, worker: Worker) -> None:
        """Whoever notices a death may say so, again and again."""
        job_id = enqueue_one(broker)
        worker.claim_one()
        assert [broker.release(worker.owner, None) for _ in range(3)] == [1, 0, 0]
        assert read(broker, job_id).crashes == 1

    def test_a_dead_worker_learns_it_from_its_heartbeat(self, broker: Broker, other: Broker, worker: Worker) -> None:
        """It stops, or registers anew; nothing brings the old owner back to life."""
        alive = Worker(broker)
        other.release(worker.owner, None)
        beat = broker.heartbeat([worker.owner, alive.owner, 1_000_000])
        assert beat.lost == [worker.owner, 1_000_000]
        assert not worker.beat()

    @pytest.mark.parametrize("kind", list(Kind))
    def test_the_late_outcome_of_a_dead_worker_is_refused(self, broker: Broker, worker: Worker, kind: Kind) -> None:
        """Lease lost, rescued, and then the old worker finishes: a late write counts for nothing (R41)."""
        job_id = enqueue_one(broker)
        late = outcome(worker.claim_one(), kind)
        broker.release(worker.owner, None)
        assert worker.settle(late) == [late]
        heir = Worker(broker)
        job = heir.claim_one()
        assert worker.settle(late) == [late]
        assert heir.settle(success(job)) == []
        assert state_of(broker, job_id) is State.SUCCESSFUL

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

    def test_a_rescued_job_that_was_asked_to_stop_does_not_run_again(self, broker: Broker, worker: Worker) -> None:
        """An operator's cancel outlives the worker that should have obeyed."""
        started, unstarted = enqueue(broker, 2)
        jobs = worker.claim()
        broker.cancel(one(started))
        broker.cancel(one(unstarted))
        broker.release(worker.owner, {jobs[0].n})
        assert [state_of(broker, job) for job in (started, unstarted)] == [State.CANCELLED, State.CANCELLED]
        assert Worker(broker).claim() == []

    def test_a_frozen_worker_that_wakes_up_takes_nothing_under_its_old_name(
        self, broker: Broker, worker: Worker
    ) -> None:
        """Buried, then asking for more in one exchange with its late outcome."""
        enqueue_one(broker)
        job = worker.claim_one()
        broker.release(worker.owner, None)
        answer = broker.exchange(worker.owner, [success(job)], Demand(5, worker.tasks))
        assert (answer.claimed, len(answer.refused)) == ([], 1)

    def test_a_rescued_job_keeps_its_unique_key(self, broker: Broker, worker: Worker) -> None:
        """It is unfinished: nobody may come between its two attempts."""
        job_id = enqueue_one(broker, unique_key="k")
        worker.claim_one()
        broker.release(worker.owner, None)
        assert broker.enqueue([new_job(unique_key="k")])[0].id == job_id


def _register_some(broker: Broker) -> list[int]:
    return [Worker(broker).owner for _ in range(5)]
