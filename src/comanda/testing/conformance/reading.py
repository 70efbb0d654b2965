# ruff: noqa: S101 - pytest's assert
"""Jobs, queues, counts and states as they are shown."""

from __future__ import annotations

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import BrokerCase, Worker, attempts_of, enqueue, enqueue_one, one, operations_of, outcome, success, together


class Reading(BrokerCase):
    """Reading changes nothing and sees what is committed."""

    def test_jobs_come_in_the_order_asked_for(self, broker: Broker) -> None:
        """None stands for what does not exist; asking twice answers twice."""
        first, second = enqueue(broker, 2)
        unknown = b"\x00" * 16
        found = broker.get([second, unknown, first, second])
        assert [job and job.id for job in found] == [second, None, first, second]
        assert broker.get([]) == []

    def test_attempts_and_operations_come_only_when_asked_for(self, broker: Broker, worker: Worker) -> None:
        """A list page does not pay for histories."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
        broker.retry(one(job_id))
        (plain,) = broker.get([job_id])
        (listed,) = broker.find(JobFilter())
        assert plain == listed
        assert plain is not None
        assert (plain.attempts, plain.operations) == (None, None)
        assert len(attempts_of(broker, job_id)) == 1
        assert len(operations_of(broker, job_id)) == 1

    def test_counts_name_what_there_is(self, broker: Broker, worker: Worker) -> None:
        """Jobs by queue and state, without zeros, without counting them."""
        enqueue(broker, 3, queue="a")
        enqueue(broker, 2, queue="b", delay=SECOND)
        worker.settle(success(worker.claim_one()))
        worker.claim_one()
        assert broker.counts() == {
            ("a", State.READY): 1,
            ("a", State.RUNNING): 1,
            ("a", State.SUCCESSFUL): 1,
            ("b", State.SCHEDULED): 2,
        }

    def test_counts_hold_when_many_write_at_once(self, broker: Broker, other: Broker) -> None:
        """Each transaction counts what it moved, so that the sums are right whoever came first (checked at the end)."""

        def work(place: Broker) -> None:
            worker = Worker(place)
            for turn in range(10):
                enqueue(place, 5)
                jobs = worker.claim(7)
                worker.settle(*(outcome(job, Kind((job.n + turn) % len(Kind))) for job in jobs))

        together(lambda: work(broker), lambda: work(other))
        assert sum(broker.counts().values()) == 100

    def test_a_queue_shows_its_counts_and_since_when_its_oldest_job_waits(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """The age of the oldest ready job is the one number that says whether a queue is served."""
        now = clock.now()
        enqueue_one(broker, queue="busy", priority=5)
        enqueue_one(broker, queue="busy", due=now - 7)
        enqueue_one(broker, queue="busy", priority=-5, due=now - 3)
        enqueue_one(broker, queue="waiting", delay=SECOND)
        enqueue_one(broker, queue="letters", task="")
        busy, letters, waiting = broker.queues()
        assert (busy.name, busy.kind, busy.paused, busy.oldest_ready_at) == ("busy", "jobs", False, now - 7)
        assert (letters.name, letters.kind, letters.oldest_ready_at) == ("letters", "messages", now)
        assert (waiting.name, waiting.oldest_ready_at) == ("waiting", None)
        assert busy.counts == {**dict.fromkeys(State, 0), State.READY: 3}
        worker.claim(100, "busy")
        assert broker.queues()[0].oldest_ready_at is None

    def test_states_are_what_a_waiter_needs(self, broker: Broker, worker: Worker) -> None:
        """State and version of what exists, nothing of what does not."""
        first, second = enqueue(broker, 2)
        before = broker.states([first, second, b"\x00" * 16])
        assert {*broker.existing([first, second, b"\x00" * 16])} == {first, second}
        assert {job: state for job, (state, _) in before.items()} == {first: State.READY, second: State.READY}
        worker.settle(success(worker.claim_one()))
        after = broker.states([first, second])
        assert after[first][0] is State.SUCCESSFUL
        assert after[first][1] > before[first][1]
        assert after[second] == before[second]

    def test_the_store_says_what_it_is(self, broker: Broker) -> None:
        """For `info` and `doctor`."""
        assert broker.describe()["store"]
