# ruff: noqa: S101 - pytest's assert
"""Jobs that come from another store. The suite has one store: what leaves it by `delete` comes back by `load`."""

from __future__ import annotations

import pytest
from msgspec import structs

from ...brokers.base import CRASH_LIMIT, Broker
from ...brokers.records import (
    LIVE_STATES,
    MESSAGE,
    TERMINAL_STATES,
    Failure,
    JobFilter,
    JobRecord,
    Kind,
    State,
)
from ...clock import SECOND
from ...errors import ConfigurationError
from ...ids import new_ids
from ..clock import FakeClock
from .case import (
    BrokerCase,
    Worker,
    consumer,
    crash,
    enqueue_one,
    ids_of,
    new_job,
    one,
    outcome,
    read,
    state_of,
    success,
)
from .past import HISTORIES, attempt, lasting, live_through, record


class Moving(BrokerCase):
    """`load`: a job reads as it read where it came from, and goes on from there."""

    @pytest.mark.parametrize("history", HISTORIES)
    def test_a_moved_job_reads_as_before(self, broker: Broker, worker: Worker, clock: FakeClock, history: str) -> None:
        """State, times, budget, result and everything that its page tells; the fence and the version are new."""
        job_id = enqueue_one(broker, priority=7, unique_key="k", options=b"{}", expires=clock.now() + 60 * SECOND)
        live_through(history, broker, worker, clock, job_id)
        before = read(broker, job_id)
        assert _move(broker, before) == [True]
        assert lasting(read(broker, job_id)) == lasting(before)
        assert broker.find(JobFilter())[0] == structs.replace(read(broker, job_id), attempts=None, operations=None)

    def test_a_running_job_comes_as_ready(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Its worker stayed behind, and so the attempt that it was in does not count."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), Kind.RETRY))
        worker.claim_one()
        before = read(broker, job_id)
        assert before.attempts is not None
        broker.deregister(worker.owner)
        clock.advance(5)
        assert _move(broker, before) == [True]
        after = read(broker, job_id)
        assert (after.state, after.attempt, after.started_at, after.due) == (State.READY, 1, None, before.due)
        assert after.attempts == before.attempts[:1]
        assert [(job.id, job.attempt) for job in Worker(broker).claim()] == [(job_id, 2)]

    def test_a_running_job_that_was_asked_to_stop_comes_as_cancelled(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """The operator said no: it does not run again because it moved."""
        job_id = enqueue_one(broker, unique_key="k")
        worker.claim_one()
        broker.cancel(one(job_id))
        before = read(broker, job_id)
        broker.deregister(worker.owner)
        clock.advance(5)
        assert _move(broker, before) == [True]
        after = read(broker, job_id)
        assert (after.state, after.finished_at, after.stop_requested) == (State.CANCELLED, clock.now(), False)
        assert after.operations == before.operations
        assert Worker(broker).claim() == []
        enqueue_one(broker, unique_key="k")

    def test_a_moved_job_goes_on_where_it_stood(self, broker: Broker, worker: Worker) -> None:
        """The next attempt has the next number, its record comes after the old ones, and no crash is forgotten."""
        job_id = enqueue_one(broker)
        for _ in range(CRASH_LIMIT - 1):
            crash(broker, job_id)
        worker.settle(outcome(worker.claim_one(), Kind.RETRY))
        _move(broker, read(broker, job_id))
        job = worker.claim_one()
        assert (job.attempt, job.crashes) == (CRASH_LIMIT + 1, CRASH_LIMIT - 1)
        assert broker.release(worker.owner, {job.n}) == 1
        stored = read(broker, job_id)
        assert (stored.state, stored.failure and stored.failure.reason) == (State.FAILED, "quarantined")
        assert [attempt.number for attempt in stored.attempts or ()] == [1, 2, 3, 4]

    def test_a_worker_that_held_the_job_before_cannot_settle_it(self, broker: Broker, worker: Worker) -> None:
        """What it proves, it proves for the job that left."""
        job_id = enqueue_one(broker)
        held = worker.claim_one()
        worker.settle(outcome(held, Kind.RELEASE))
        _move(broker, read(broker, job_id))
        assert worker.settle(success(held))
        assert state_of(broker, job_id) is State.READY

    def test_a_job_that_is_here_already_stays_as_it_is(self, broker: Broker, worker: Worker) -> None:
        """Loading twice changes nothing, whatever became of the job in between."""
        kept, new = enqueue_one(broker), record()
        stale = read(broker, kept)
        worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
        before = read(broker, kept)
        assert broker.load([stale, new, stale]) == [False, True, False]
        assert broker.load([stale, new]) == [False, False]
        assert read(broker, kept) == before
        assert broker.load([]) == []

    @pytest.mark.parametrize("state", LIVE_STATES)
    def test_a_unique_key_keeps_its_holder(self, broker: Broker, state: State) -> None:
        """An unfinished job that comes second is left out, alone of its batch; so it is within one batch."""
        holder = enqueue_one(broker, unique_key="k")
        second, third, free = record(state=state, unique_key="k"), record(unique_key="l"), record(unique_key="l")
        assert broker.load([second, third, free]) == [False, True, False]
        assert broker.get([second.id, free.id]) == [None, None]
        assert state_of(broker, holder) is State.READY

    @pytest.mark.parametrize("state", TERMINAL_STATES)
    def test_a_job_that_has_ended_needs_no_unique_key(self, broker: Broker, state: State) -> None:
        """It comes beside the holder, and takes nothing from anybody."""
        ended = record(state=state, unique_key="k")
        holder = enqueue_one(broker, unique_key="k")
        assert broker.load([ended]) == [True]
        assert read(broker, ended.id).unique_key == "k"
        broker.delete(one(holder))
        enqueue_one(broker, unique_key="k")

    def test_a_loaded_job_holds_its_unique_key(self, broker: Broker) -> None:
        """Until it ends, as if it had been enqueued here."""
        moved = record(unique_key="k")
        broker.load([moved])
        (answer,) = broker.enqueue([new_job(unique_key="k")])
        assert (answer.id, answer.created) == (moved.id, False)
        broker.cancel(one(moved.id))
        enqueue_one(broker, unique_key="k")

    def test_loaded_jobs_are_claimed_in_their_order(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Priority, due time, then the order of loading, between and behind those that were here."""
        now = clock.now()
        here = enqueue_one(broker)
        late, early, urgent, same = (record(due=now), record(due=now - 2), record(priority=9), record(due=now))
        broker.load([late, early, urgent, same])
        assert ids_of(worker.claim()) == [urgent.id, early.id, here, late.id, same.id]

    def test_loaded_scheduled_jobs_fall_due(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Also those whose time passed while they were on their way."""
        passed = record(state=State.SCHEDULED, due=clock.now() - SECOND)
        coming = record(state=State.SCHEDULED, due=clock.now() + SECOND)
        broker.load([coming, passed])
        assert ids_of(worker.claim()) == [passed.id]
        clock.advance(1)
        assert ids_of(worker.claim()) == [coming.id]

    def test_a_loaded_job_expires(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Its last moment came with it."""
        moved = record(expires=clock.now() + SECOND)
        broker.load([moved])
        clock.advance(2)
        assert worker.claim() == []
        assert state_of(broker, moved.id) is State.EXPIRED

    def test_messages_move_too(self, broker: Broker) -> None:
        """Into a queue of messages, where they wait for a consumer."""
        letter = record(task=MESSAGE, queue="letters", payload=b'"hello"')
        assert broker.load([letter]) == [True]
        assert [(queue.name, queue.kind) for queue in broker.queues()] == [("letters", "messages")]
        reader = consumer(broker)
        job = reader.claim_one()
        assert (job.id, job.payload) == (letter.id, b'"hello"')
        reader.settle(success(job))
        assert broker.get([letter.id]) == [None]

    def test_a_queue_of_the_other_kind_takes_none_of_the_batch(self, broker: Broker) -> None:
        """Half a batch would leave nobody knowing what is here."""
        here = enqueue_one(broker, queue="default")
        with pytest.raises(ConfigurationError, match="holds jobs and cannot take messages"):
            broker.load([record(), record(task=MESSAGE, queue="default")])
        assert ids_of(broker.find(JobFilter())) == [here]
        assert broker.load([record()]) == [True]

    def test_counts_and_pages_hold_what_was_loaded(self, broker: Broker) -> None:
        """Ids of any age find their place among the others, whatever came first."""
        old, *here, new = new_ids(5)
        broker.enqueue([structs.replace(new_job(), id=job_id) for job_id in here])
        states = {new: State.FAILED, old: State.SUCCESSFUL}
        broker.load([record(id=job_id, state=state, queue="moved") for job_id, state in states.items()])
        assert broker.counts() == {
            ("default", State.READY): 3,
            ("moved", State.FAILED): 1,
            ("moved", State.SUCCESSFUL): 1,
        }
        first = broker.find(JobFilter(), limit=3, oldest_first=True)
        second = broker.find(JobFilter(), limit=3, oldest_first=True, after=first[-1].id)
        assert ids_of([*first, *second]) == [old, *here, new]
        assert broker.delete(JobFilter(states=(State.FAILED,))) == 1

    def test_attempts_of_foreign_workers_are_kept_and_bring_nobody_to_life(
        self, broker: Broker, worker: Worker
    ) -> None:
        """Host, process and version are shown as they were; `info` and rescues see no worker of another store."""
        failed = [
            attempt(1, "failed", "far", 7),
            attempt(2, "timed_out", "away", 8),
            attempt(3, "snoozed", "far", 7),
        ]
        moved = record(state=State.FAILED, attempt=3, failure=failed[-1].failure, attempts=failed)
        done = record(state=State.SUCCESSFUL, attempt=2, started_at=30, finished_at=40, result=b"1")
        done.attempts = [attempt(1, "failed", "far", 7), attempt(2, "successful", "away", 9)]
        broker.load([moved, done])
        assert read(broker, moved.id).attempts == failed
        assert read(broker, done.id).attempts == done.attempts
        assert [record.owner for record in broker.workers() if record.ended_at is None] == [worker.owner]
        assert broker.rescue(0, lambda _owner: ()).jobs == 0

    def test_a_failure_without_attempts_is_kept(self, broker: Broker) -> None:
        """From a store that kept less."""
        failure = Failure("Boom", "it went wrong", "Traceback …")
        moved = record(state=State.FAILED, attempt=2, failure=failure, finished_at=40, attempts=None)
        broker.load([moved])
        stored = read(broker, moved.id)
        assert (stored.state, stored.attempt, stored.failure, stored.finished_at) == (State.FAILED, 2, failure, 40)

    def test_a_moved_job_can_be_retried_and_pruned(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """It is a job like the others."""
        failed, done = (record(state=state, finished_at=40) for state in (State.FAILED, State.SUCCESSFUL))
        broker.load([failed, done])
        assert broker.retry(one(failed.id)) == [failed.id]
        assert worker.claim_one().attempt == 1
        now = clock.now()
        assert broker.prune(successful_before=now, ended_before=now, keep_at_most=100) == 1
        assert broker.get([done.id]) == [None]

    def test_a_thousand_jobs_are_loaded_at_once(self, broker: Broker, other: Broker) -> None:
        """One transaction, seen by all."""
        jobs = [record(unique_key=f"k{number}") for number in range(1_000)]
        assert broker.load(jobs) == [True] * 1_000
        assert other.counts() == {("default", State.READY): 1_000}
        assert other.load(jobs) == [False] * 1_000


def _move(broker: Broker, job: JobRecord) -> list[bool]:
    """Take a job out of the store and load what was read of it."""
    assert broker.delete(one(job.id)) == 1
    return broker.load([job])
