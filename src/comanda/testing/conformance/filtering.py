# ruff: noqa: S101 - pytest's assert
"""Which jobs a filter means: for `find` and for every verb that takes one."""

from __future__ import annotations

import pytest

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind, State
from ...clock import SECOND
from ...ids import to_text
from ..clock import FakeClock
from .case import BrokerCase, Worker, enqueue, enqueue_one, ids_of, new_jobs, outcome, state_of, success


class Filtering(BrokerCase):
    """Filters and pages."""

    def test_an_empty_filter_means_all_jobs(self, broker: Broker) -> None:
        """Whoever wants fewer says so."""
        jobs = enqueue(broker, 3)
        assert JobFilter().is_empty
        assert {*ids_of(broker.find(JobFilter()))} == {*jobs}

    def test_each_field_narrows_and_all_must_match(self, broker: Broker, clock: FakeClock) -> None:
        """Task, queue, state, time of enqueue, and any of them together."""
        first = enqueue_one(broker, task="a", queue="x")
        second = enqueue_one(broker, task="b", queue="x", delay=SECOND)
        clock.advance(1)
        third = enqueue_one(broker, task="a", queue="y")
        assert _found(broker, JobFilter(tasks=("a",))) == {first, third}
        assert _found(broker, JobFilter(queues=("x",))) == {first, second}
        assert _found(broker, JobFilter(states=(State.SCHEDULED,))) == {second}
        assert _found(broker, JobFilter(since=clock.now())) == {third}
        assert _found(broker, JobFilter(tasks=("a", "b"), queues=("x", "y"))) == {first, second, third}
        assert _found(broker, JobFilter(tasks=("a",), queues=("x",), states=(State.READY,))) == {first}
        assert _found(broker, JobFilter(ids=(second, third), tasks=("a",))) == {third}

    def test_a_field_that_names_nothing_matches_nothing(self, broker: Broker) -> None:
        """An empty list is not the same as no list: a verb must not fall on all jobs by accident."""
        job = enqueue_one(broker)
        for which in (
            *(JobFilter(ids=()), JobFilter(states=()), JobFilter(tasks=()), JobFilter(queues=())),
            *(JobFilter(tasks=("unknown",)), JobFilter(queues=("unknown",)), JobFilter(ids=(b"\x00" * 16,))),
        ):
            assert broker.find(which) == []
            assert broker.cancel(which) == []
            assert broker.delete(which) == 0
        assert state_of(broker, job) is State.READY

    @pytest.mark.parametrize("state", list(State))
    def test_every_state_can_be_asked_for(self, broker: Broker, worker: Worker, clock: FakeClock, state: State) -> None:
        """One job in each state, and a filter finds exactly its own."""
        ids = _one_in_each_state(broker, worker, clock)
        assert _found(broker, JobFilter(states=(state,))) == {ids[state]}
        others = tuple(other for other in State if other is not state)
        assert _found(broker, JobFilter(states=others)) == {job for other, job in ids.items() if other is not state}

    def test_an_id_may_be_given_by_its_beginning(self, broker: Broker) -> None:
        """As operators type it: hex digits, dashes or not, capitals or not; nonsense matches nothing."""
        jobs = new_jobs(3)
        broker.enqueue(jobs)
        text = to_text(jobs[1].id)
        everything = {job.id for job in jobs}
        assert _found(broker, JobFilter(id_prefix=text)) == {jobs[1].id}
        assert _found(broker, JobFilter(id_prefix=text.upper())) == {jobs[1].id}
        assert _found(broker, JobFilter(id_prefix=jobs[1].id.hex()[:17])) == {jobs[1].id}
        assert _found(broker, JobFilter(id_prefix=text[:12])) == everything
        assert _found(broker, JobFilter(id_prefix="xyz")) == set()

    def test_pages_cover_everything_once_newest_first(self, broker: Broker) -> None:
        """A keyset page begins behind the last id of the one before."""
        jobs = enqueue(broker, 25)
        assert _pages(broker, JobFilter(), oldest_first=False) == jobs[::-1]

    def test_pages_can_be_read_from_the_oldest_on(self, broker: Broker) -> None:
        """The other direction, for whoever wants to see what waits longest."""
        jobs = enqueue(broker, 25)
        assert _pages(broker, JobFilter(), oldest_first=True) == jobs

    def test_pages_of_a_filter_leave_out_nothing_when_jobs_come_and_go(self, broker: Broker) -> None:
        """An offset would skip; a key does not."""
        jobs = new_jobs(25)
        broker.enqueue(jobs[:20])
        first = broker.find(JobFilter(tasks=("task",)), limit=10)
        broker.delete(JobFilter(ids=tuple(job.id for job in jobs[15:20])))
        broker.enqueue(jobs[20:])
        second = broker.find(JobFilter(tasks=("task",)), limit=10, after=first[-1].id)
        assert ids_of(second) == [job.id for job in jobs[9::-1]]

    def test_every_verb_takes_the_same_filters(self, broker: Broker, clock: FakeClock) -> None:
        """Cancel, retry, reschedule and delete by queue, task, state, time and prefix."""
        enqueue(broker, 2, queue="kept")
        clock.advance(1)
        jobs = set(enqueue(broker, 3, queue="touched", task="t"))
        which = JobFilter(queues=("touched",), tasks=("t",), since=clock.now())
        assert set(broker.reschedule(which, clock.now() + 1)) == jobs
        assert set(broker.cancel(JobFilter(queues=("touched",), states=(State.SCHEDULED,)))) == jobs
        assert set(broker.retry(JobFilter(queues=("touched", "kept")))) == jobs
        assert broker.delete(JobFilter(tasks=("t",))) == 3
        assert broker.counts() == {("kept", State.READY): 2}


def _one_in_each_state(broker: Broker, worker: Worker, clock: FakeClock) -> dict[State, bytes]:
    ids = {State.SUCCESSFUL: enqueue_one(broker)}
    worker.settle(success(worker.claim_one()))
    ids[State.FAILED] = enqueue_one(broker)
    worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
    ids[State.EXPIRED] = enqueue_one(broker, expires=clock.now())
    assert worker.claim() == []
    ids[State.RUNNING] = enqueue_one(broker)
    worker.claim_one()
    ids[State.CANCELLED] = enqueue_one(broker)
    broker.cancel(JobFilter(ids=(ids[State.CANCELLED],)))
    ids[State.READY] = enqueue_one(broker)
    ids[State.SCHEDULED] = enqueue_one(broker, delay=SECOND)
    return ids


def _found(broker: Broker, which: JobFilter) -> set[bytes]:
    return set(ids_of(broker.find(which)))


def _pages(broker: Broker, which: JobFilter, *, oldest_first: bool) -> list[bytes]:
    seen: list[bytes] = []
    while page := broker.find(which, limit=7, after=seen[-1] if seen else None, oldest_first=oldest_first):
        seen += ids_of(page)
    return seen
