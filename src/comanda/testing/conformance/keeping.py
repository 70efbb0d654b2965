# ruff: noqa: S101 - pytest's assert
"""Retention."""

from __future__ import annotations

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind, Outcome, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import BrokerCase, Worker, consumer, enqueue, enqueue_one, ids_of, new_job, one, outcome, read

_MANY = 1_000_000


def prune_all(broker: Broker, *, successful_before: int = 0, ended_before: int = 0, keep_at_most: int = _MANY) -> int:
    """Prune until nothing is left to remove; return how many jobs went."""
    removed = 0
    while step := broker.prune(
        successful_before=successful_before, ended_before=ended_before, keep_at_most=keep_at_most
    ):
        assert step <= 1_000
        removed += step
    return removed


class Keeping(BrokerCase):
    """What goes by age and by number, and what never goes."""

    def test_successful_jobs_and_others_have_ages_of_their_own(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """R31: a failure is worth keeping longer than a success."""
        good = _ended(broker, worker, Kind.SUCCESS, at=clock.now())
        bad = _ended(broker, worker, Kind.FAILURE, at=clock.now())
        cancelled = _ended(broker, worker, Kind.CANCEL, at=clock.now())
        late = _ended(broker, worker, Kind.SUCCESS, at=clock.now() + SECOND)
        clock.advance(2)
        limit = clock.now() - SECOND
        assert prune_all(broker, successful_before=limit) == 1
        assert {job.id for job in broker.find(JobFilter())} == {bad, cancelled, late}
        assert prune_all(broker, successful_before=limit, ended_before=limit) == 2
        assert ids_of(broker.find(JobFilter())) == [late]
        assert broker.get([good]) == [None]

    def test_the_limit_is_when_a_job_ended_not_when_it_came(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """A job that waited for a month and ran today is kept."""
        old = enqueue_one(broker)
        clock.advance(100)
        worker.settle(_at(outcome_of=Kind.SUCCESS, worker=worker, moment=clock.now()))
        assert prune_all(broker, successful_before=clock.now() - SECOND, ended_before=clock.now() - SECOND) == 0
        assert prune_all(broker, successful_before=clock.now() + 1) == 1
        assert broker.get([old]) == [None]

    def test_too_many_finished_jobs_go_oldest_first(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """A bound on the number holds however young they are."""
        jobs = []
        for kind in (Kind.SUCCESS, Kind.FAILURE, Kind.SUCCESS, Kind.CANCEL, Kind.SUCCESS):
            jobs.append(_ended(broker, worker, kind, at=clock.now()))
            clock.advance(1)
        assert prune_all(broker, keep_at_most=2) == 3
        assert ids_of(broker.find(JobFilter(), oldest_first=True)) == sorted(jobs[3:])
        assert prune_all(broker, keep_at_most=0) == 2

    def test_unfinished_jobs_are_never_pruned(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Neither by age nor by number, whatever they wait for; nor do they hide what stands behind them."""
        running = enqueue_one(broker)
        worker.claim_one()
        waiting = [enqueue_one(broker, delay=9_000 * SECOND), enqueue_one(broker, task="unknown")]
        _ended(broker, worker, Kind.SUCCESS, at=clock.now())
        clock.advance(1_000)
        limit = clock.now()
        assert prune_all(broker, successful_before=limit, ended_before=limit, keep_at_most=0) == 1
        assert {job.id for job in broker.find(JobFilter())} == {running, *waiting}

    def test_retention_works_in_small_steps_to_its_end(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """At most 1,000 a step, so that nobody waits long; 0 means there is nothing left."""
        enqueue(broker, 2_200, delay=1)
        assert len(broker.cancel(JobFilter())) == 2_200
        kept = _ended(broker, worker, Kind.SUCCESS, at=clock.now())
        limit = clock.now() + 1
        steps = [broker.prune(successful_before=0, ended_before=limit, keep_at_most=_MANY) for _ in range(4)]
        assert (sum(steps), steps[-1]) == (2_200, 0)
        assert max(steps) <= 1_000
        assert ids_of(broker.find(JobFilter())) == [kept]

    def test_what_is_retried_in_time_stays(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """An operator's retry makes a job unfinished again."""
        job = _ended(broker, worker, Kind.FAILURE, at=clock.now())
        broker.retry(one(job))
        clock.advance(100)
        assert prune_all(broker, successful_before=clock.now(), ended_before=clock.now()) == 0
        worker.settle(_at(outcome_of=Kind.SUCCESS, worker=worker, moment=clock.now()))
        assert prune_all(broker, successful_before=clock.now() + 1) == 1

    def test_a_pruned_job_leaves_nothing_behind(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Its history goes with it: a job stored with its id afterwards begins anew."""
        job = new_job()
        broker.enqueue([job])
        worker.settle(_at(outcome_of=Kind.FAILURE, worker=worker, moment=clock.now()))
        clock.advance(1)
        assert prune_all(broker, ended_before=clock.now()) == 1
        assert broker.enqueue([job])[0].created
        assert (read(broker, job.id).attempts, read(broker, job.id).operations) == ([], [])

    def test_workers_that_are_long_gone_are_forgotten(self, broker: Broker, clock: FakeClock) -> None:
        """A list of workers that grows with every deploy helps nobody; living ones stay."""
        gone, alive = Worker(broker), Worker(broker)
        broker.deregister(gone.owner)
        clock.advance(100)
        prune_all(broker, successful_before=clock.now(), ended_before=clock.now())
        assert [worker.owner for worker in broker.workers()] == [alive.owner]

    def test_failed_messages_are_kept_like_failed_jobs(self, broker: Broker, clock: FakeClock) -> None:
        """They can be looked at, and go when their time has come."""
        enqueue_one(broker, task="", queue="letters")
        reader = consumer(broker)
        reader.settle(_at(outcome_of=Kind.FAILURE, worker=reader, moment=clock.now()))
        clock.advance(1)
        assert broker.counts() == {("letters", State.FAILED): 1}
        assert prune_all(broker, ended_before=clock.now()) == 1

    def test_housekeeping_loses_nothing(self, broker: Broker, worker: Worker) -> None:
        """`maintain` may be called at any time."""
        job = enqueue_one(broker)
        broker.maintain()
        assert ids_of(worker.claim()) == [job]


def _at(*, outcome_of: Kind, worker: Worker, moment: int) -> Outcome:
    done = outcome(worker.claim_one(), outcome_of)
    done.finished_at = moment
    return done


def _ended(broker: Broker, worker: Worker, kind: Kind, *, at: int) -> bytes:
    job = enqueue_one(broker, priority=100)
    assert worker.settle(_at(outcome_of=kind, worker=worker, moment=at)) == []
    return job
