# ruff: noqa: S101 - pytest's assert
"""Messages: jobs without a task, in queues of their own."""

from __future__ import annotations

import pytest

from ...brokers.base import Broker
from ...brokers.records import MESSAGE, JobFilter, Kind, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import (
    BrokerCase,
    Worker,
    attempts_of,
    consumer,
    enqueue,
    enqueue_one,
    ids_of,
    outcome,
    state_of,
    success,
    together,
)


class Messages(BrokerCase):
    """Put, taken, acknowledged, given back."""

    def test_messages_come_in_the_order_they_were_put(self, broker: Broker) -> None:
        """A line is a line."""
        letters = enqueue(broker, 5, task=MESSAGE, queue="letters")
        reader = consumer(broker)
        assert [reader.claim_one().id for _ in letters] == letters

    def test_an_acknowledged_message_is_gone(self, broker: Broker) -> None:
        """No record, no count, no result to keep."""
        letter = enqueue_one(broker, task=MESSAGE, queue="letters")
        reader = consumer(broker)
        assert reader.settle(success(reader.claim_one())) == []
        assert broker.get([letter]) == [None]
        assert broker.counts() == {}

    def test_an_acknowledgement_counts_once(self, broker: Broker) -> None:
        """The second is refused like any other late outcome."""
        enqueue(broker, 2, task=MESSAGE, queue="letters")
        reader = consumer(broker)
        done = success(reader.claim_one())
        assert reader.settle(done, done) == [done]
        assert broker.counts() == {("letters", State.READY): 1}

    def test_a_message_that_is_given_back_keeps_its_place(self, broker: Broker) -> None:
        """As if it had not been taken."""
        letters = enqueue(broker, 3, task=MESSAGE, queue="letters")
        reader = consumer(broker)
        reader.settle(outcome(reader.claim_one(), Kind.RELEASE))
        assert ids_of(reader.claim()) == letters

    def test_a_message_whose_work_failed_comes_back_or_is_kept_as_failed(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        """Retried with a delay like a job; after its last failure it can be looked at and put back by hand."""
        letter = enqueue_one(broker, task=MESSAGE, queue="letters")
        reader = consumer(broker)
        reader.settle(outcome(reader.claim_one(), Kind.RETRY, delay=SECOND))
        assert reader.claim() == []
        clock.advance(1)
        second = reader.claim_one()
        assert (second.id, second.attempt) == (letter, 2)
        reader.settle(outcome(second, Kind.FAILURE))
        assert state_of(broker, letter) is State.FAILED
        assert len(attempts_of(broker, letter)) == 2
        assert broker.retry(JobFilter(ids=(letter,))) == [letter]
        reader.settle(success(reader.claim_one()))
        assert broker.get([letter]) == [None]

    @pytest.mark.parametrize("end", ["deregister", "release"])
    def test_the_message_of_a_consumer_that_is_gone_comes_back(self, broker: Broker, end: str) -> None:
        """At least once: until it is acknowledged it is only lent."""
        letter = enqueue_one(broker, task=MESSAGE, queue="letters")
        first, second = consumer(broker), consumer(broker)
        job = first.claim_one()
        if end == "deregister":
            broker.deregister(first.owner)
        else:
            broker.release(first.owner, {job.n})
        assert second.claim_one().id == letter
        assert first.settle(success(job)) != []

    def test_consumers_get_messages_only_and_workers_jobs_only(self, broker: Broker, worker: Worker) -> None:
        """Even when neither names its queues."""
        letter = enqueue_one(broker, task=MESSAGE, queue="letters")
        job = enqueue_one(broker)
        assert ids_of(worker.claim()) == [job]
        assert ids_of(consumer(broker).claim()) == [letter]

    def test_several_consumers_never_get_the_same_message(self, broker: Broker, other: Broker) -> None:
        """Every message has one reader at a time."""
        letters = enqueue(broker, 100, task=MESSAGE, queue="letters")
        readers = [consumer(broker), consumer(other)]

        def drain(reader: Worker) -> list[bytes]:
            taken = []
            while found := reader.claim(1):
                taken.append(found[0].id)
                reader.settle(success(found[0]))
            return taken

        shares = together(*[lambda reader=reader: drain(reader) for reader in readers])
        assert sorted(shares[0] + shares[1]) == sorted(letters)
        assert broker.counts() == {}

    def test_the_waiting_messages_can_be_counted_shown_and_cleared(self, broker: Broker, clock: FakeClock) -> None:
        """What is being worked on stays."""
        enqueue(broker, 3, task=MESSAGE, queue="letters")
        enqueue_one(broker, task=MESSAGE, queue="letters", due=clock.now() + SECOND)
        enqueue_one(broker)
        consumer(broker).claim_one()
        waiting = JobFilter(queues=("letters",), tasks=(MESSAGE,), states=(State.SCHEDULED, State.READY))
        assert len(broker.find(waiting)) == 3
        assert broker.delete(waiting) == 3
        assert broker.counts() == {("letters", State.RUNNING): 1, ("default", State.READY): 1}
