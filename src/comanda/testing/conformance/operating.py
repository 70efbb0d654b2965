# ruff: noqa: S101 - pytest's assert
"""What operators do to jobs."""

from __future__ import annotations

import pytest

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind, State
from ...brokers.rules import acting
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
    operations_of,
    outcome,
    read,
    state_of,
    success,
)

_ENDS = ["success", "failure", "cancelled", "stopped", "expired", "quarantined"]


class Operating(BrokerCase):
    """Cancel, retry, reschedule, delete."""

    def test_a_waiting_job_is_cancelled_at_once(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Ready or scheduled: it ends and never runs; the operator's name is kept."""
        jobs = [enqueue_one(broker), enqueue_one(broker, delay=SECOND)]
        clock.advance(0.5)
        assert sorted(broker.cancel(JobFilter(ids=tuple(jobs)))) == sorted(jobs)
        clock.advance(1)
        assert worker.claim() == []
        for job in jobs:
            assert (state_of(broker, job), read(broker, job).finished_at) == (State.CANCELLED, clock.now() - SECOND)
            (operation,) = operations_of(broker, job)
            assert (operation.verb, operation.at) == ("cancel", clock.now() - SECOND)
            assert "@" in operation.actor

    def test_an_operation_carries_the_name_of_whoever_acts(self, broker: Broker) -> None:
        """A page acts for the user who has signed in, not for the one whose process it is."""
        job = enqueue_one(broker)
        with acting("ann"):
            broker.cancel(JobFilter(ids=(job,)))
        broker.retry(JobFilter(ids=(job,)))
        by_ann, by_us = operations_of(broker, job)
        assert (by_ann.verb, by_ann.actor) == ("cancel", "ann")
        assert "@" in by_us.actor

    def test_a_running_job_is_asked_to_stop(self, broker: Broker, other: Broker, worker: Worker) -> None:
        """Its worker hears of it with its next heartbeat, by the job's number and fence."""
        stopped, undisturbed = enqueue(broker, 2)
        jobs = worker.claim()
        assert broker.heartbeat([worker.owner]).stop == []
        assert other.cancel(one(stopped)) == [stopped]
        assert (state_of(broker, stopped), read(broker, stopped).stop_requested) == (State.RUNNING, True)
        assert [tuple(asked) for asked in broker.heartbeat([worker.owner]).stop] == [(jobs[0].n, jobs[0].fence)]
        worker.settle(outcome(jobs[0], Kind.CANCEL), success(jobs[1]))
        assert [state_of(broker, job) for job in (stopped, undisturbed)] == [State.CANCELLED, State.SUCCESSFUL]
        assert broker.heartbeat([worker.owner]).stop == []

    def test_a_job_that_finishes_before_it_stops_is_finished(self, broker: Broker, worker: Worker) -> None:
        """One terminal state: a cancel wins only if it is written first."""
        job_id = enqueue_one(broker)
        job = worker.claim_one()
        broker.cancel(one(job_id))
        assert worker.settle(success(job)) == []
        assert (state_of(broker, job_id), read(broker, job_id).result) == (State.SUCCESSFUL, b'"done"')

    @pytest.mark.parametrize("kind", [Kind.RETRY, Kind.SNOOZE, Kind.RELEASE])
    @pytest.mark.parametrize("delay", [0, SECOND])
    def test_a_job_that_was_asked_to_stop_is_not_tried_again(
        self, broker: Broker, worker: Worker, clock: FakeClock, kind: Kind, delay: int
    ) -> None:
        """Whatever its worker wants to do with it later: the operator said no."""
        job_id = enqueue_one(broker, unique_key="k")
        job = worker.claim_one()
        broker.cancel(one(job_id))
        assert worker.settle(outcome(job, kind, delay=delay)) == []
        stored = read(broker, job_id)
        assert (stored.state, stored.finished_at) == (State.CANCELLED, clock.now())
        clock.advance(2)
        assert worker.claim() == []
        enqueue_one(broker, unique_key="k")

    def test_cancelling_what_has_ended_changes_nothing(self, broker: Broker, worker: Worker) -> None:
        """R8: a terminal state changes only by an operator's retry."""
        job_id = enqueue_one(broker)
        worker.settle(success(worker.claim_one()))
        before = read(broker, job_id)
        assert broker.cancel(one(job_id)) == []
        assert read(broker, job_id) == before

    @pytest.mark.parametrize("end", _ENDS)
    def test_a_job_that_has_ended_can_be_retried(
        self, broker: Broker, worker: Worker, clock: FakeClock, end: str
    ) -> None:
        """With a fresh budget of attempts, its history kept, and the retry recorded."""
        job_id = enqueue_one(broker, expires=clock.now() + SECOND)
        _bring_to(end, broker, worker, clock, job_id)
        ended = read(broker, job_id)
        written = [attempt for attempt in attempts_of(broker, job_id) if attempt.outcome != "successful"]
        clock.advance(5)
        assert broker.retry(one(job_id)) == [job_id]
        stored = read(broker, job_id)
        assert (stored.state, stored.due, stored.attempt, stored.crashes) == (State.READY, clock.now(), 0, 0)
        assert (stored.result, stored.finished_at, stored.started_at, stored.stop_requested) == (
            None,
            None,
            None,
            False,
        )
        assert operations_of(broker, job_id)[-1].verb == "retry"
        assert stored.version > ended.version
        heir = Worker(broker)
        again = heir.claim_one()
        assert broker.heartbeat([heir.owner]).stop == []
        assert (again.id, again.attempt, again.crashes, again.fence) == (job_id, 1, 0, ended.fence + 1)
        assert [attempt for attempt in attempts_of(broker, job_id) if attempt.outcome != "running"] == written

    def test_retrying_what_has_not_ended_changes_nothing(self, broker: Broker, worker: Worker) -> None:
        """Waiting and running jobs need no second chance."""
        running, waiting = enqueue(broker, 2)
        worker.claim(1)
        before = [read(broker, job) for job in (running, waiting)]
        assert broker.retry(JobFilter(ids=(running, waiting))) == []
        assert [read(broker, job) for job in (running, waiting)] == before

    def test_a_retry_does_not_take_a_unique_key_from_its_holder(self, broker: Broker) -> None:
        """The younger job has the key now; the older one stays as it ended."""
        old = enqueue_one(broker, unique_key="k")
        broker.cancel(one(old))
        young = enqueue_one(broker, unique_key="k")
        free = enqueue_one(broker)
        broker.cancel(one(free))
        assert broker.retry(JobFilter(ids=(old, free))) == [free]
        assert [state_of(broker, job) for job in (old, young)] == [State.CANCELLED, State.READY]

    def test_of_two_ended_jobs_with_one_key_a_retry_brings_one_back(self, broker: Broker) -> None:
        """R47: the conflict of one item does not block the others."""
        ended = []
        for _ in range(2):
            ended.append(enqueue_one(broker, unique_key="k"))
            broker.cancel(one(ended[-1]))
        assert broker.retry(JobFilter(ids=tuple(ended))) == ended[:1]

    def test_a_waiting_job_gets_a_new_due_time(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Later or at once; it is recorded."""
        later, sooner = enqueue_one(broker), enqueue_one(broker, delay=60 * SECOND)
        assert broker.reschedule(one(later), clock.now() + SECOND) == [later]
        assert broker.reschedule(one(sooner), clock.now()) == [sooner]
        assert [state_of(broker, job) for job in (later, sooner)] == [State.SCHEDULED, State.READY]
        assert ids_of(worker.claim()) == [sooner]
        clock.advance(1)
        assert ids_of(worker.claim()) == [later]
        assert [operation.verb for operation in operations_of(broker, later)] == ["reschedule"]

    def test_running_and_ended_jobs_are_not_rescheduled(self, broker: Broker, worker: Worker) -> None:
        """There is nothing to wait for."""
        ended, running = enqueue(broker, 2)
        worker.settle(success(worker.claim_one()))
        worker.claim_one()
        assert broker.reschedule(JobFilter(ids=(ended, running)), 5) == []

    @pytest.mark.parametrize("end", _ENDS)
    def test_a_deleted_job_is_gone_with_all_that_belongs_to_it(
        self, broker: Broker, worker: Worker, clock: FakeClock, end: str
    ) -> None:
        """Afterwards its id may be used again, and nothing of its past comes back with it."""
        job_id = enqueue_one(broker, expires=clock.now() + SECOND)
        _bring_to(end, broker, worker, clock, job_id)
        broker.retry(one(job_id))
        broker.cancel(one(job_id))
        assert broker.delete(one(job_id)) == 1
        assert (broker.get([job_id]), broker.states([job_id]), broker.counts()) == ([None], {}, {})
        broker.enqueue([new_job()])
        (stored,) = broker.get(ids_of(broker.find(JobFilter())), attempts=True)
        assert stored is not None
        assert (stored.attempts, stored.operations) == ([], [])

    def test_a_running_job_is_not_deleted(self, broker: Broker, worker: Worker) -> None:
        """Its worker will say what became of it."""
        running, waiting = enqueue(broker, 2)
        job = worker.claim_one()
        assert broker.delete(JobFilter()) == 1
        assert broker.get([waiting]) == [None]
        assert worker.settle(success(job)) == []
        assert state_of(broker, running) is State.SUCCESSFUL

    def test_a_verb_reaches_thousands_of_jobs_in_one_call(self, broker: Broker, clock: FakeClock) -> None:
        """It works in steps, but none of the matching jobs is left out."""
        jobs = enqueue(broker, 2_300)
        assert sorted(broker.reschedule(JobFilter(), clock.now() + SECOND)) == sorted(jobs)
        assert sorted(broker.cancel(JobFilter())) == sorted(jobs)
        assert sorted(broker.retry(JobFilter())) == sorted(jobs)
        assert broker.counts() == {("default", State.READY): 2_300}
        assert broker.delete(JobFilter()) == 2_300


def _bring_to(end: str, broker: Broker, worker: Worker, clock: FakeClock, job_id: bytes) -> None:
    if end == "success":
        worker.settle(success(worker.claim_one()))
    elif end == "failure":
        worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
    elif end == "cancelled":
        broker.cancel(one(job_id))
    elif end == "stopped":
        job = worker.claim_one()
        broker.cancel(one(job_id))
        worker.settle(outcome(job, Kind.CANCEL))
    elif end == "expired":
        clock.advance(1)
        assert worker.claim() == []
    else:
        for _ in range(3):
            crash(broker, job_id)
    assert state_of(broker, job_id).is_terminal
