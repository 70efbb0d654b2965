# ruff: noqa: S101 - pytest's assert
"""For brokers that declare DURABLE: what outlives the process."""

from __future__ import annotations

from collections.abc import Callable

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind
from ..clock import FakeClock
from .case import LEASE, BrokerCase, Worker, enqueue, enqueue_one, ids_of, new_jobs, outcome, read, recount, success
from .liveness import nobody_knows


class Durability(BrokerCase):
    """Closing, opening again, and taking over from a process that is gone."""

    def test_what_was_stored_outlives_its_process(self, broker: Broker, open_broker: Callable[[], Broker]) -> None:
        """Jobs, results, histories, paused queues: all is there for the next process."""
        enqueue(broker, 3)
        worker = Worker(broker)
        first, second, _ = worker.claim()
        worker.settle(success(first), outcome(second, Kind.RETRY, delay=5))
        broker.pause("default")
        before = broker.get(ids_of(broker.find(JobFilter())), attempts=True)
        broker.close()
        later = open_broker()
        assert later.get(ids_of(later.find(JobFilter())), attempts=True) == before
        assert later.counts() == recount(later)
        assert [queue.paused for queue in later.queues()] == [True]

    def test_a_closed_broker_opens_by_need(self, broker: Broker) -> None:
        """`close` is no end: the next verb connects again, and closing twice is closing once."""
        job = enqueue_one(broker)
        broker.close()
        broker.close()
        assert ids_of(Worker(broker).claim()) == [job]

    def test_opening_twice_is_opening_once(self, broker: Broker) -> None:
        """Idempotent, as every verb does it by need."""
        broker.open()
        broker.open()
        enqueue_one(broker)

    def test_the_jobs_of_a_process_that_is_gone_are_rescued_by_the_next(
        self, broker: Broker, open_broker: Callable[[], Broker], clock: FakeClock
    ) -> None:
        """Guarantee 4: recovery needs no set-up and nobody who remembers."""
        jobs = enqueue(broker, 3)
        dead = Worker(broker)
        dead.claim()
        broker.close()
        heir = Worker(open_broker())
        heir.broker.rescue(LEASE, nobody_knows)
        clock.advance(LEASE)
        assert heir.beat()
        assert heir.broker.rescue(LEASE, nobody_knows).owners == [dead.owner]
        assert ids_of(heir.claim()) == jobs
        assert {read(heir.broker, job).crashes for job in jobs} == {1}

    def test_ids_and_fences_go_on_where_they_stood(self, broker: Broker, open_broker: Callable[[], Broker]) -> None:
        """Nothing of an earlier process can be mistaken for something of a later one."""
        (job,) = new_jobs(1)
        broker.enqueue([job])
        first = Worker(broker)
        held = first.claim_one()
        broker.deregister(first.owner)
        broker.close()
        second = Worker(open_broker())
        assert second.owner != first.owner
        assert second.claim_one().fence == held.fence + 1
        assert not second.broker.enqueue([job])[0].created
