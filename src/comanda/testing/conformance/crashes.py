# ruff: noqa: S101 - pytest's assert
"""What becomes of the jobs of a worker that is gone."""

from __future__ import annotations

import pytest

from ...brokers.base import CRASH_LIMIT, Broker
from ...brokers.records import Demand, Kind, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import (
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
)


class Crashes(BrokerCase):
    """Leaving, dying, charging and quarantine."""

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
