# ruff: noqa: S101 - pytest's assert
"""Storing jobs."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from ...brokers.base import ENQUEUE_LIMIT, Broker
from ...brokers.records import JobFilter, Kind, State
from ...clock import SECOND
from ...errors import ConfigurationError
from ..clock import FakeClock
from .case import (
    BrokerCase,
    Worker,
    consumer,
    crash,
    enqueue,
    enqueue_one,
    new_job,
    new_jobs,
    one,
    outcome,
    read,
    state_of,
    success,
    together,
)


class Enqueueing(BrokerCase):
    """Batches, ids, due times and unique keys."""

    def test_a_stored_job_is_read_back_field_by_field(self, broker: Broker, clock: FakeClock) -> None:
        """Nothing of a job is lost or bent on its way through the store, NUL bytes and foreign letters included."""
        job = new_job(
            task="shop.mail",
            queue="grüße",
            payload=b'{"a":\x00\xff}',
            priority=7,
            expires=clock.now() + 60 * SECOND,
            unique_key="käse-42",
            options=b"\x00options",
        )
        (answer,) = broker.enqueue([job])
        assert (answer.id, answer.created, answer.error) == (job.id, True, None)
        stored = read(broker, job.id)
        assert (stored.id, stored.task, stored.queue, stored.payload) == (job.id, "shop.mail", "grüße", job.payload)
        assert (stored.priority, stored.expires, stored.unique_key) == (7, job.expires, "käse-42")
        assert (stored.options, stored.state, stored.due) == (b"\x00options", State.READY, clock.now())
        assert (stored.enqueued_at, stored.started_at, stored.finished_at) == (clock.now(), None, None)
        assert (stored.attempt, stored.crashes, stored.fence, stored.result) == (0, 0, 0, None)
        assert (stored.parked, stored.stop_requested, stored.failure) == (False, False, None)

    def test_an_empty_batch_is_answered_with_nothing(self, broker: Broker) -> None:
        """No job is no error."""
        assert broker.enqueue([]) == []
        assert broker.counts() == {}

    def test_a_batch_is_answered_in_its_order(self, broker: Broker) -> None:
        """R15: an answer for each item, in the order in which they came."""
        jobs = new_jobs(5)
        assert [answer.id for answer in broker.enqueue(jobs)] == [job.id for job in jobs]

    def test_the_largest_batch_is_stored_whole(self, broker: Broker) -> None:
        """One transaction takes 10,000 jobs."""
        enqueue(broker, ENQUEUE_LIMIT)
        assert broker.counts() == {("default", State.READY): ENQUEUE_LIMIT}

    def test_nobody_ever_sees_a_part_of_a_batch(self, broker: Broker, other: Broker) -> None:
        """A batch is one transaction: a reader finds all of it or nothing."""
        done = threading.Event()

        def write() -> None:
            try:
                for _ in range(20):
                    enqueue(broker, 50)
            finally:
                done.set()

        def look() -> set[int]:
            seen = {0}
            while not done.is_set():
                seen.add(sum(other.counts().values()))
            return seen

        _, seen = together(write, look)
        assert seen is not None
        assert {jobs % 50 for jobs in seen} == {0}

    def test_a_job_with_a_delay_or_a_due_time_is_scheduled(self, broker: Broker, clock: FakeClock) -> None:
        """A job that is due later stands outside the ready ones; one that is due now or before does not."""
        now = clock.now()
        delayed = enqueue_one(broker, delay=5)
        later = enqueue_one(broker, due=now + 1)
        due = enqueue_one(broker, due=now)
        overdue = enqueue_one(broker, due=now - 1)
        assert [read(broker, job).due - now for job in (delayed, later, due, overdue)] == [5, 1, 0, -1]
        states = [state_of(broker, job) for job in (delayed, later, due, overdue)]
        assert states == [State.SCHEDULED, State.SCHEDULED, State.READY, State.READY]

    def test_an_id_is_never_stored_twice(self, broker: Broker, other: Broker, worker: Worker) -> None:
        """Guarantee 1: enqueueing again with an id never makes a second job, even after the first has ended."""
        job = new_job()
        assert broker.enqueue([job, job])[0].created
        (again,) = other.enqueue([job])
        assert (again.id, again.created, again.error) == (job.id, False, None)
        worker.settle(success(worker.claim_one()))
        assert not broker.enqueue([job])[0].created
        assert state_of(broker, job.id) is State.SUCCESSFUL
        assert broker.counts() == {("default", State.SUCCESSFUL): 1}

    def test_an_id_that_exists_leaves_the_rest_of_its_batch_alone(self, broker: Broker) -> None:
        """R47: one item's conflict is its own."""
        first, second, third = new_jobs(3)
        broker.enqueue([second])
        answers = broker.enqueue([first, second, third])
        assert [answer.created for answer in answers] == [True, False, True]
        assert [answer.id for answer in answers] == [first.id, second.id, third.id]

    def test_one_id_enqueued_by_many_threads_makes_one_job(self, broker: Broker, other: Broker) -> None:
        """Whoever comes second hears that the job exists."""
        jobs = new_jobs(20)
        answers = together(*(partial(place.enqueue, jobs) for place in (broker, other, broker, other)))
        assert sum(answer.created for batch in answers for answer in batch) == 20
        assert broker.counts() == {("default", State.READY): 20}

    def test_a_unique_key_that_is_held_answers_with_its_holder(self, broker: Broker, other: Broker) -> None:
        """A second job with the key of an unfinished one is not stored; the answer names the first."""
        holder = enqueue_one(broker, unique_key="k")
        (answer,) = other.enqueue([new_job(unique_key="k", queue="elsewhere")])
        assert (answer.id, answer.created, answer.error) == (holder, False, None)
        assert broker.counts() == {("default", State.READY): 1}

    def test_a_conflict_of_keys_fails_that_item_alone(self, broker: Broker) -> None:
        """R47: item k violates uniqueness, the others commit."""
        holder = enqueue_one(broker, unique_key="k")
        jobs = [*new_jobs(2), new_job(unique_key="k"), new_job(unique_key="free"), new_job(unique_key="free")]
        answers = broker.enqueue(jobs)
        assert [answer.created for answer in answers] == [True, True, False, True, False]
        assert [answers[2].id, answers[4].id] == [holder, jobs[3].id]
        assert broker.counts() == {("default", State.READY): 4}

    def test_one_key_enqueued_by_many_threads_makes_one_job(self, broker: Broker, other: Broker) -> None:
        """The store decides, so that no race makes two."""

        def enqueue_key(place: Broker) -> list[bool]:
            return [place.enqueue([new_job(unique_key=f"k{n}")])[0].created for n in range(10)]

        created = together(*(partial(enqueue_key, place) for place in (broker, other, broker, other)))
        assert [sum(who[n] for who in created) for n in range(10)] == [1] * 10

    @pytest.mark.parametrize("end", ["success", "failure", "cancelled", "deleted", "expired", "quarantined"])
    def test_a_unique_key_is_free_when_its_job_has_ended(
        self, broker: Broker, worker: Worker, clock: FakeClock, end: str
    ) -> None:
        """Every way to the end frees the key."""
        holder = enqueue_one(broker, unique_key="k", expires=clock.now() + 1)
        if end == "success":
            worker.settle(success(worker.claim_one()))
        elif end == "failure":
            worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
        elif end == "cancelled":
            broker.cancel(one(holder))
        elif end == "deleted":
            broker.delete(one(holder))
        elif end == "expired":
            clock.advance(1)
            assert worker.claim() == []
        else:
            for _ in range(3):
                crash(broker, holder)
        assert enqueue_one(broker, unique_key="k") != holder

    def test_a_unique_key_is_held_until_then(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Scheduled, running, between two attempts, parked: all of that is unfinished."""

        def is_held() -> bool:
            return not broker.enqueue([new_job(unique_key="k")])[0].created

        enqueue_one(broker, unique_key="k", delay=SECOND)
        assert is_held()
        clock.advance(1)
        job = worker.claim_one()
        assert is_held()
        worker.settle(outcome(job, Kind.RETRY, delay=SECOND))
        assert is_held()
        clock.advance(1)
        worker.settle(outcome(worker.claim_one(), Kind.RELEASE))
        broker.deregister(worker.owner)
        assert broker.rescue(60, lambda _owner: None).parked == 1
        assert is_held()

    def test_keys_are_one_space_over_all_queues_and_tasks(self, broker: Broker) -> None:
        """A key means the same wherever its job runs."""
        holder = enqueue_one(broker, unique_key="k")
        (answer,) = broker.enqueue([new_job(unique_key="k", task="another", queue="another")])
        assert (answer.id, answer.created) == (holder, False)

    def test_a_queue_of_messages_takes_no_jobs_and_the_reverse(self, broker: Broker, other: Broker) -> None:
        """The two never share a name; the item that mixes them up fails alone, with a sentence."""
        enqueue_one(broker, queue="work")
        enqueue_one(broker, queue="letters", task="")
        wrong, right = new_job(queue="letters"), new_job(queue="work")
        answers = other.enqueue([wrong, right, new_job(queue="work", task="")])
        assert [answer.created for answer in answers] == [False, True, False]
        assert isinstance(answers[0].error, ConfigurationError)
        assert "'letters'" in str(answers[0].error)
        assert "'work'" in str(answers[2].error)
        assert broker.get([wrong.id]) == [None]
        assert len(consumer(broker).claim()) == 1

    def test_a_stored_job_is_seen_by_everybody_at_once(self, broker: Broker, other: Broker) -> None:
        """A job can be found from the moment at which its enqueue has returned."""
        stored = enqueue(broker, 3)
        assert {job.id for job in other.find(JobFilter(states=(State.READY,)))} == set(stored)
