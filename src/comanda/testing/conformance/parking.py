# ruff: noqa: S101 - pytest's assert
"""Jobs whose task nobody knows, and jobs whose time is over."""

from __future__ import annotations

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import LEASE, BrokerCase, Worker, consumer, enqueue, enqueue_one, ids_of, one, outcome, read, state_of
from .liveness import nobody_knows


class Parking(BrokerCase):
    """What the rescue step does besides rescuing."""

    def test_a_job_whose_task_nobody_knows_is_parked_and_shown(self, broker: Broker, worker: Worker) -> None:
        """Guarantee 7: it waits, still ready to those who look, and is never dropped."""
        known, unknown = enqueue_one(broker), enqueue_one(broker, task="unknown")
        assert broker.rescue(LEASE, nobody_knows).parked == 1
        assert (read(broker, known).parked, read(broker, unknown).parked) == (False, True)
        assert state_of(broker, unknown) is State.READY
        assert broker.counts() == {("default", State.READY): 2}
        assert unknown in ids_of(broker.find(JobFilter(states=(State.READY,))))
        assert broker.rescue(LEASE, nobody_knows).parked == 0
        assert ids_of(worker.claim()) == [known]

    def test_a_worker_that_knows_a_task_takes_the_mark_off(self, broker: Broker, other: Broker) -> None:
        """Rolling deploys: the new version starts, and its jobs run."""
        jobs = enqueue(broker, 3, task="new")
        assert broker.rescue(LEASE, nobody_knows).parked == 3
        latecomer = Worker(other, "new")
        assert not read(broker, jobs[0]).parked
        assert ids_of(latecomer.claim()) == jobs
        assert broker.rescue(LEASE, nobody_knows).parked == 0

    def test_more_parked_jobs_than_one_step_takes_come_back_at_once(self, broker: Broker) -> None:
        """The mark comes off in steps, but all of it before the worker asks for work."""
        enqueue(broker, 2_500, task="new")
        while broker.rescue(LEASE, nobody_knows).parked:
            pass
        assert sum(job.parked for job in broker.find(JobFilter(), limit=3_000)) == 2_500
        Worker(broker, "new")
        assert not any(job.parked for job in broker.find(JobFilter(), limit=3_000))

    def test_a_task_is_known_as_long_as_one_worker_that_knows_it_lives(self, broker: Broker) -> None:
        """The last one to leave turns off the light."""
        first, second = Worker(broker), Worker(broker)
        enqueue_one(broker)
        broker.deregister(first.owner)
        assert broker.rescue(LEASE, nobody_knows).parked == 0
        broker.deregister(second.owner)
        assert broker.rescue(LEASE, nobody_knows).parked == 1

    def test_parked_jobs_can_be_cancelled_rescheduled_and_deleted(self, broker: Broker, clock: FakeClock) -> None:
        """They wait like any other ready job."""
        cancelled, moved, deleted = enqueue(broker, 3)
        broker.rescue(LEASE, nobody_knows)
        assert broker.cancel(one(cancelled)) == [cancelled]
        assert broker.reschedule(one(moved), clock.now() + SECOND) == [moved]
        assert broker.delete(one(deleted)) == 1
        assert (state_of(broker, cancelled), state_of(broker, moved)) == (State.CANCELLED, State.SCHEDULED)
        clock.advance(1)
        assert ids_of(Worker(broker).claim()) == [moved]

    def test_messages_are_never_parked(self, broker: Broker) -> None:
        """They have no task that anybody could know."""
        message = enqueue_one(broker, task="", queue="letters")
        assert broker.rescue(LEASE, nobody_knows).parked == 0
        assert not read(broker, message).parked
        assert ids_of(consumer(broker).claim()) == [message]

    def test_overdue_jobs_expire_without_a_claim(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Ready, scheduled or parked: whoever waits for one hears of its end although no worker asks for it."""
        limit = clock.now() + SECOND
        jobs = [
            enqueue_one(broker, expires=limit),
            enqueue_one(broker, expires=limit, delay=5 * SECOND),
            enqueue_one(broker, expires=limit, task="unknown"),
        ]
        kept = enqueue_one(broker, expires=limit + 1)
        assert broker.rescue(LEASE, nobody_knows).parked == 1
        assert broker.rescue(LEASE, nobody_knows).expired == 0
        clock.advance(1)
        assert broker.rescue(LEASE, nobody_knows).expired == 3
        assert {state_of(broker, job) for job in jobs} == {State.EXPIRED}
        assert {read(broker, job).finished_at for job in jobs} == {clock.now()}
        assert ids_of(worker.claim()) == [kept]

    def test_more_overdue_jobs_than_one_step_takes_expire_at_once(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """Nothing is left for two seconds later."""
        enqueue(broker, 2_500, expires=clock.now() + 1)
        clock.advance(1)
        assert broker.rescue(LEASE, nobody_knows).expired == 2_500

    def test_a_retry_that_comes_too_late_expires(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Every start is judged: what is worthless after a minute is so for the second attempt as well."""
        job = enqueue_one(broker, expires=clock.now() + SECOND)
        worker.settle(outcome(worker.claim_one(), Kind.RETRY, delay=2 * SECOND))
        clock.advance(2)
        assert worker.claim() == []
        assert state_of(broker, job) is State.EXPIRED
