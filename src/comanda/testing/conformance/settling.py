# ruff: noqa: S101 - pytest's assert
"""Writing down what became of a job."""

from __future__ import annotations

import pytest

from ...brokers.base import Broker
from ...brokers.records import AttemptRecord, Demand, Failure, Kind, State
from ...clock import SECOND
from ..clock import FakeClock
from .case import BrokerCase, Worker, attempts_of, enqueue, enqueue_one, ids_of, one, outcome, read, state_of, success

_BACK = (Kind.RETRY, Kind.SNOOZE, Kind.RELEASE)


class Settling(BrokerCase):
    """Every kind of outcome, attempts, and the refusal of what comes too late."""

    def test_a_success_keeps_its_result_and_its_times(self, broker: Broker, worker: Worker) -> None:
        """The result is there as it was given, with when the work began and ended."""
        job_id = enqueue_one(broker)
        assert worker.settle(success(worker.claim_one())) == []
        stored = read(broker, job_id)
        assert (stored.state, stored.result, stored.failure) == (State.SUCCESSFUL, b'"done"', None)
        assert (stored.started_at, stored.finished_at, stored.attempt) == (1_000, 2_000, 1)
        assert _history(broker, job_id) == [(1, "successful")]
        assert _only(broker, job_id) == AttemptRecord(
            number=1, outcome="successful", started_at=1_000, finished_at=2_000, host="host", pid=1, version="1.0"
        )

    @pytest.mark.parametrize(
        ("kind", "state", "recorded"),
        [(Kind.FAILURE, State.FAILED, "failed"), (Kind.CANCEL, State.CANCELLED, "cancelled")],
    )
    def test_a_job_that_ends_badly_keeps_why(
        self, broker: Broker, worker: Worker, kind: Kind, state: State, recorded: str
    ) -> None:
        """The failure is kept with the job and with its attempt, and the worker that saw it."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), kind))
        stored = read(broker, job_id)
        failure = Failure("Boom", "it went wrong", "Traceback …", "exception")
        assert (stored.state, stored.result, stored.failure) == (state, None, failure)
        assert (stored.started_at, stored.finished_at, stored.attempt) == (1_000, 2_000, 1)
        assert (_history(broker, job_id), _only(broker, job_id).failure) == ([(1, recorded)], failure)
        assert (_only(broker, job_id).host, _only(broker, job_id).pid, _only(broker, job_id).version) == (
            "host",
            1,
            "1.0",
        )

    def test_a_retry_waits_for_its_delay_and_counts_as_an_attempt(
        self, broker: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """The job is scheduled in the store, not in a worker's memory (R3)."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), Kind.RETRY, delay=2 * SECOND))
        waiting = read(broker, job_id)
        assert (waiting.state, waiting.due, waiting.attempt) == (State.SCHEDULED, clock.now() + 2 * SECOND, 1)
        assert (waiting.started_at, waiting.finished_at) == (None, None)
        clock.advance(1.999_999)
        assert worker.claim() == []
        clock.advance(0.000_001)
        job = worker.claim_one()
        assert (job.id, job.attempt, job.fence) == (job_id, 2, 2)

    def test_a_snooze_waits_without_spending_an_attempt(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """RetryLater is no failure; it is recorded all the same."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), Kind.SNOOZE, delay=SECOND))
        assert (state_of(broker, job_id), read(broker, job_id).attempt) == (State.SCHEDULED, 0)
        assert _history(broker, job_id) == [(1, "snoozed")]
        clock.advance(1)
        assert worker.claim_one().attempt == 1

    def test_a_released_job_is_as_if_it_had_not_been_taken(self, broker: Broker, worker: Worker) -> None:
        """R22: what a stopping worker hands back spends no attempt, leaves no record and keeps its place."""
        job_id = enqueue_one(broker)
        job = worker.claim_one()
        enqueue_one(broker)
        worker.settle(outcome(job, Kind.RELEASE))
        stored = read(broker, job_id)
        assert (stored.state, stored.attempt, stored.attempts, stored.started_at) == (State.READY, 0, [], None)
        assert worker.claim_one().id == job_id

    def test_a_job_may_be_released_with_a_delay(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Redelivery may have its backoff (R27)."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), Kind.RELEASE, delay=SECOND))
        assert state_of(broker, job_id) is State.SCHEDULED
        clock.advance(1)
        assert worker.claim_one().attempt == 1

    @pytest.mark.parametrize("kind", _BACK)
    def test_without_a_delay_a_job_is_ready_at_once(self, broker: Broker, worker: Worker, kind: Kind) -> None:
        """Nothing waits for a promotion."""
        job_id = enqueue_one(broker)
        worker.settle(outcome(worker.claim_one(), kind))
        assert state_of(broker, job_id) is State.READY
        assert worker.claim_one().fence == 2

    def test_a_job_that_is_tried_again_goes_behind_those_that_wait(self, broker: Broker, worker: Worker) -> None:
        """A job that fails at once must not keep the others from running."""
        failing = enqueue_one(broker)
        job = worker.claim_one()
        waiting = enqueue_one(broker, due=1)
        worker.settle(outcome(job, Kind.RETRY))
        assert ids_of(worker.claim()) == [waiting, failing]

    def test_every_attempt_is_kept(self, broker: Broker, clock: FakeClock) -> None:
        """Times, worker and failure of each, in their order, the successful one included."""
        job_id = enqueue_one(broker)
        for pid, kind in enumerate((Kind.RETRY, Kind.SNOOZE, Kind.RELEASE, Kind.RETRY, Kind.SUCCESS), 1):
            worker = Worker(broker, pid=pid)
            worker.settle(outcome(worker.claim_one(), kind, reason="timeout" if pid == 4 else "exception"))
            clock.advance(1)
        assert _history(broker, job_id) == [(1, "failed"), (2, "snoozed"), (2, "timed_out"), (3, "successful")]
        assert [attempt.pid for attempt in attempts_of(broker, job_id)] == [1, 2, 4, 5]
        assert read(broker, job_id).failure is None

    def test_a_running_job_shows_its_attempt(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """Who runs it, and since when."""
        job_id = enqueue_one(broker)
        worker.claim_one()
        attempt = _only(broker, job_id)
        assert (attempt.outcome, attempt.started_at, attempt.finished_at) == ("running", clock.now(), None)
        assert (attempt.host, attempt.pid) == ("host", 1)

    @pytest.mark.parametrize("kind", list(Kind))
    def test_no_outcome_is_written_twice(self, broker: Broker, worker: Worker, kind: Kind) -> None:
        """The second one comes back refused, from the same batch or a later one, and changes nothing."""
        job_id = enqueue_one(broker)
        done = outcome(worker.claim_one(), kind)
        assert worker.settle(done, done) == [done]
        before = read(broker, job_id)
        assert worker.settle(done) == [done]
        assert read(broker, job_id) == before

    @pytest.mark.parametrize("kind", list(Kind))
    def test_a_stale_fence_is_refused(self, broker: Broker, worker: Worker, kind: Kind) -> None:
        """Guarantee 3, and the ABA case: the same worker holds the job again, but under another fence."""
        job_id = enqueue_one(broker)
        old = worker.claim_one()
        worker.settle(outcome(old, Kind.RELEASE))
        new = worker.claim_one()
        late = outcome(old, kind)
        assert worker.settle(late) == [late]
        assert state_of(broker, job_id) is State.RUNNING
        assert worker.settle(success(new)) == []

    @pytest.mark.parametrize("kind", list(Kind))
    def test_an_outcome_of_another_owner_is_refused(self, broker: Broker, worker: Worker, kind: Kind) -> None:
        """Only who holds the job may say what became of it."""
        job_id = enqueue_one(broker)
        job = worker.claim_one()
        foreign = outcome(job, kind)
        assert Worker(broker).settle(foreign) == [foreign]
        assert state_of(broker, job_id) is State.RUNNING

    def test_refused_outcomes_leave_the_rest_of_their_batch_alone(self, broker: Broker, worker: Worker) -> None:
        """R15: each item is judged for itself."""
        ids = enqueue(broker, 4)
        jobs = worker.claim()
        worker.settle(success(jobs[1]))
        outcomes = [success(jobs[0]), success(jobs[1]), outcome(jobs[2], Kind.FAILURE), success(jobs[3])]
        assert worker.settle(*outcomes) == [outcomes[1]]
        ended = [state_of(broker, job) for job in ids]
        assert ended == [State.SUCCESSFUL, State.SUCCESSFUL, State.FAILED, State.SUCCESSFUL]

    def test_the_last_batch_is_settled_and_the_next_claimed_in_one_step(self, broker: Broker, worker: Worker) -> None:
        """The hot path: what comes back at once may be claimed again by the same call."""
        first, second = enqueue(broker, 2)
        done, again = worker.claim(2)
        third = enqueue_one(broker)
        answer = broker.exchange(
            worker.owner, [success(done), outcome(again, Kind.RELEASE)], Demand(10, frozenset({"task"}))
        )
        assert answer.refused == []
        assert ids_of(answer.claimed) == [second, third]
        assert state_of(broker, first) is State.SUCCESSFUL

    def test_every_change_raises_the_version(self, broker: Broker, worker: Worker, clock: FakeClock) -> None:
        """The version is what streams resume from: no change goes by without it."""
        job_id = enqueue_one(broker, delay=1)
        seen = [_version(broker, job_id)]
        clock.advance(1)
        job = worker.claim_one()
        seen.append(_version(broker, job_id))
        broker.cancel(one(job_id))
        seen.append(_version(broker, job_id))
        worker.settle(outcome(job, Kind.CANCEL))
        seen.append(_version(broker, job_id))
        broker.retry(one(job_id))
        seen.append(_version(broker, job_id))
        broker.reschedule(one(job_id), clock.now() + SECOND)
        seen.append(_version(broker, job_id))
        assert seen == sorted(set(seen))

    @pytest.mark.parametrize("kind", list(Kind))
    def test_an_outcome_for_a_job_that_is_gone_is_refused(self, broker: Broker, worker: Worker, kind: Kind) -> None:
        """Row ids are never reused, so that nothing else can be hit."""
        job_id = enqueue_one(broker)
        job = worker.claim_one()
        worker.settle(success(job))
        broker.delete(one(job_id))
        enqueue_one(broker)
        assert worker.claim_one().n != job.n
        late = outcome(job, kind)
        assert worker.settle(late) == [late]


def _history(broker: Broker, job_id: bytes) -> list[tuple[int, str]]:
    return [(attempt.number, attempt.outcome) for attempt in attempts_of(broker, job_id)]


def _only(broker: Broker, job_id: bytes) -> AttemptRecord:
    (attempt,) = attempts_of(broker, job_id)
    return attempt


def _version(broker: Broker, job_id: bytes) -> int:
    return broker.states([job_id])[job_id][1]
