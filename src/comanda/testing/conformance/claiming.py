# ruff: noqa: S101 - pytest's assert
"""Handing out jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...brokers.base import PROMOTION_STEP, Broker
from ...brokers.records import Demand, JobFilter, Kind, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import (
    BrokerCase,
    Worker,
    enqueue,
    enqueue_one,
    ids_of,
    new_job,
    outcome,
    read,
    state_of,
    success,
    together,
)


class Claiming(BrokerCase):
    """Order, fences, due times, expiry, and many workers at once."""

    def test_a_claimed_job_stays_in_the_store_and_is_running(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """R1: nothing is popped; the job stays, with its attempt and its fence."""
        job_id = enqueue_one(broker, payload=b"[1]", options=b"o")
        clock.advance(1)
        job = worker.claim_one()
        assert (job.id, job.task, job.queue, job.payload, job.options) == (job_id, "task", "default", b"[1]", b"o")
        assert (job.fence, job.attempt, job.crashes, job.enqueued_at) == (1, 1, 0, clock.now() - SECOND)
        stored = read(broker, job_id)
        assert (stored.state, stored.fence, stored.attempt) == (State.RUNNING, 1, 1)
        assert (stored.started_at, stored.finished_at) == (clock.now(), None)
        assert worker.claim() == []

    def test_higher_priority_comes_first_then_due_time_then_enqueue_order(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """Guarantee 8: -100 … 100, higher first; among equals the earlier due, then the earlier enqueued."""
        now = clock.now()
        low = enqueue_one(broker, priority=-100)
        late = enqueue_one(broker, due=now)
        first, second = enqueue(broker, 2, due=now - 10)
        high = enqueue_one(broker, priority=100)
        early = enqueue_one(broker, due=now - 20)
        assert ids_of(worker.claim()) == [high, early, first, second, late, low]

    def test_the_order_is_the_same_one_job_at_a_time(self, broker: Broker, worker: Worker) -> None:
        """A batch is nothing but many claims."""
        jobs = [enqueue_one(broker, priority=priority) for priority in (0, 5, -5, 5)]
        claimed = [worker.claim_one().id for _ in jobs]
        assert claimed == [jobs[1], jobs[3], jobs[0], jobs[2]]

    def test_a_batch_keeps_its_order_whatever_its_items_are(self, broker: Broker, worker: Worker) -> None:
        """Enqueue order is the order of the batch, with unique keys or without."""
        jobs = [new_job(unique_key=f"k{n}" if n % 3 == 1 else None) for n in range(9)]
        broker.enqueue(jobs)
        assert ids_of(worker.claim()) == [job.id for job in jobs]

    def test_no_more_than_the_limit_is_handed_out(self, broker: Broker, worker: Worker) -> None:
        """A worker gets what it asked for, and nothing for 0."""
        jobs = enqueue(broker, 5)
        assert worker.claim(0) == []
        assert ids_of(worker.claim(3)) == jobs[:3]
        assert ids_of(worker.claim(3)) == jobs[3:]

    def test_every_claim_raises_the_fence(self, broker: Broker, worker: Worker) -> None:
        """Guarantee 3: the fence is not the attempt number; it rises even where the attempt does not."""
        enqueue_one(broker)
        fences, attempts = [], []
        for _ in range(3):
            job = worker.claim_one()
            fences.append(job.fence)
            attempts.append(job.attempt)
            worker.settle(outcome(job, Kind.RELEASE))
        assert fences == [1, 2, 3]
        assert attempts == [1, 1, 1]

    def test_a_task_that_a_worker_does_not_know_is_left_alone(self, broker: Broker, worker: Worker) -> None:
        """Guarantee 7: unknown tasks stand in nobody's way, however many wait in front."""
        unknown = enqueue(broker, 200, task="unknown", priority=10)
        known = enqueue(broker, 3)
        assert ids_of(worker.claim(10)) == known
        assert state_of(broker, unknown[0]) is State.READY
        assert ids_of(Worker(broker, "unknown", "task").claim(200)) == unknown

    def test_tasks_share_their_queue_in_one_order(self, broker: Broker) -> None:
        """A worker that knows several tasks gets them as they come."""
        jobs = [
            enqueue_one(broker, task=task, priority=rank) for task, rank in (("a", 0), ("b", 1), ("a", 2), ("b", 0))
        ]
        assert ids_of(Worker(broker, "a", "b").claim()) == [jobs[2], jobs[1], jobs[0], jobs[3]]

    def test_a_scheduled_job_is_handed_out_when_it_is_due(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """Not a microsecond before."""
        job = enqueue_one(broker, delay=SECOND)
        clock.advance(0.999_999)
        assert worker.claim() == []
        clock.advance(0.000_001)
        assert ids_of(worker.claim()) == [job]

    def test_due_jobs_are_made_ready_500_at_a_time(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """A thousand jobs that fall due at once do not hold up one claim for all of them; the earliest come first."""
        jobs = [enqueue(broker, PROMOTION_STEP, delay=SECOND + step) for step in range(3)]
        clock.advance(2)
        assert [ids_of(worker.claim(2_000)) for _ in range(4)] == [*jobs, []]

    def test_a_job_that_falls_due_stands_where_its_due_time_puts_it(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """A delayed job is not sent to the end of the line."""
        delayed = enqueue_one(broker, delay=SECOND)
        clock.advance(2)
        later = enqueue_one(broker)
        assert ids_of(worker.claim()) == [delayed, later]

    def test_an_expired_job_ends_instead_of_being_handed_out(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """A job is started before its expiry or not at all, and spends no attempt on it."""
        expired = enqueue_one(broker, expires=clock.now() + SECOND)
        kept = enqueue_one(broker, expires=clock.now() + SECOND + 1)
        clock.advance(1)
        assert ids_of(worker.claim()) == [kept]
        stored = read(broker, expired)
        assert (stored.state, stored.attempt, stored.fence) == (State.EXPIRED, 0, 0)
        assert (stored.started_at, stored.finished_at) == (None, clock.now())

    def test_expired_jobs_do_not_hide_the_good_ones_behind_them(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """A worker that asks for work gets it, not an empty answer."""
        enqueue(broker, 20, expires=clock.now() + 1)
        good = enqueue(broker, 3)
        clock.advance(1)
        assert ids_of(worker.claim(1)) == good[:1]
        assert ids_of(worker.claim(10)) == good[1:]

    def test_a_job_that_was_started_in_time_runs_on(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Expiry is about the start, not about the end."""
        enqueue_one(broker, expires=clock.now() + SECOND)
        job = worker.claim_one()
        clock.advance(2)
        assert broker.rescue(60, lambda _owner: None).expired == 0
        assert worker.settle(success(job)) == []

    def test_many_workers_never_get_the_same_job(self, open_broker: Callable[[], Broker], broker: Broker) -> None:
        """A claim is atomic: the workers' shares are disjoint, and together they are everything."""
        enqueue(broker, 400)
        workers = [Worker(open_broker()) for _ in range(4)]

        def drain(worker: Worker) -> list[bytes]:
            taken = []
            while jobs := worker.claim(7):
                taken += ids_of(jobs)
            return taken

        shares = together(*(partial(drain, worker) for worker in workers))
        assert sorted(job for share in shares for job in share) == sorted(
            job.id for job in broker.find(JobFilter(), limit=500)
        )
        assert sum(len(share) for share in shares) == 400

    def test_many_threads_of_one_process_never_get_the_same_job(self, broker: Broker, worker: Worker) -> None:
        """The same for threads that share a broker and an owner."""
        enqueue(broker, 200)
        shares = together(*[lambda: [worker.claim(5) for _ in range(20)]] * 4)
        taken = [job.id for share in shares for batch in share for job in batch]
        assert len(taken) == len(set(taken)) == 200

    def test_an_owner_that_is_dead_or_unknown_gets_nothing(self, broker: Broker, worker: Worker) -> None:
        """Nobody would rescue what it takes: a frozen worker that wakes up must register anew."""
        job = enqueue_one(broker)
        broker.release(worker.owner, None)
        assert worker.claim() == []
        assert broker.claim(worker.owner + 1_000, Demand(1, worker.tasks)) == []
        assert state_of(broker, job) is State.READY
        assert ids_of(Worker(broker).claim()) == [job]
