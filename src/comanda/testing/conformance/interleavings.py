# ruff: noqa: S101 - pytest's assert
"""Two actors, all orders of their steps (reliability guide 2.3).

Sweep against live worker is where queues break, and chance does not find it: each scenario runs once for every order
in which the steps of its two actors can fall.
"""

from __future__ import annotations

import pytest

from ...brokers.base import Broker
from ...brokers.records import Claimed, JobFilter, Kind, NewJob, Outcome, State
from ..clock import FakeClock
from .actors import Pause, Script, orders, play
from .case import LEASE, BrokerCase, Worker, enqueue_one, new_job, one, outcome, read, state_of, success
from .liveness import nobody_knows

_BACK = (Kind.RETRY, Kind.SNOOZE, Kind.RELEASE)


class Interleavings(BrokerCase):
    """What must hold in every order."""

    def test_rescue_against_a_worker_that_beats_and_finishes(
        self, broker: Broker, other: Broker, clock: FakeClock
    ) -> None:
        """One valid lease at any time: either the worker's outcome counts, or the job runs once more elsewhere."""
        for order in orders(4, 4):
            job_id = enqueue_one(broker)
            worker, heir = Worker(broker), Worker(other)
            jobs: list[Claimed] = []
            inherited: list[Claimed] = []
            refused: list[Outcome] = []
            buried: list[int] = []
            play(order, _beat_and_finish(worker, jobs, refused), _bury_and_inherit(heir, clock, buried, inherited))
            assert len(jobs) - len(refused) + len(inherited) == 1, order
            assert worker.owner in buried or not refused, order
            heir.settle(*(success(job) for job in inherited))
            stored = read(broker, job_id)
            assert (stored.state, stored.fence) == (State.SUCCESSFUL, len(jobs) + len(inherited)), order
            _leave(broker, worker, heir)

    @pytest.mark.parametrize("kind", list(Kind))
    def test_cancel_against_a_worker_that_settles(self, broker: Broker, other: Broker, kind: Kind) -> None:
        """One terminal state, and it is the one that was written first."""
        for order in orders(2, 2):
            job_id = enqueue_one(broker)
            worker = Worker(broker)
            jobs: list[Claimed] = []
            refused: list[Outcome] = []
            seen: list[State] = []
            play(order, _claim_and_settle(worker, kind, jobs, refused), _cancel_and_look(other, job_id, seen))
            final = state_of(broker, job_id)
            assert [state for state in seen if state.is_terminal and state is not final] == [], order
            assert (final.is_terminal, refused) == (True, []), order
            if not jobs or kind in (Kind.CANCEL, *_BACK):
                assert final is State.CANCELLED, order
            broker.delete(JobFilter())
            _leave(broker, worker)

    @pytest.mark.parametrize("kind", list(Kind))
    def test_hand_back_and_claim_by_the_same_worker_against_its_old_outcome(
        self, broker: Broker, other: Broker, kind: Kind
    ) -> None:
        """The ABA case: the owner is the same, the fence is not."""
        for order in orders(3, 2):
            job_id = enqueue_one(broker)
            worker = Worker(broker)
            first = worker.claim_one()
            again: list[Claimed] = []
            refused: list[Outcome] = []
            play(
                order,
                _release_and_run_again(worker, first, again),
                _settle_late(other, worker.owner, outcome(first, kind), refused),
            )
            stored = read(broker, job_id)
            if refused or kind in _BACK:
                assert (stored.state, stored.fence, len(again)) == (State.SUCCESSFUL, 2, 1), order
            else:
                assert (stored.state.is_terminal, stored.fence, again) == (True, 1, []), order
            broker.delete(JobFilter())
            _leave(broker, worker)

    def test_two_rescuers_against_each_other(self, broker: Broker, other: Broker, clock: FakeClock) -> None:
        """One death, one charge, whoever looks and writes first."""
        for order in orders(3, 3):
            job_id = enqueue_one(broker)
            dead = Worker(broker)
            dead.claim_one()
            for rescuer in (broker, other):
                rescuer.rescue(LEASE, nobody_knows)
            clock.advance(LEASE)
            buried: list[int] = []
            play(order, _rescue(broker, buried), _rescue(other, buried))
            assert buried == [dead.owner], order
            assert (read(broker, job_id).crashes, state_of(broker, job_id)) == (1, State.READY), order
            broker.delete(JobFilter())

    def test_an_enqueue_of_unknown_outcome_that_is_repeated(self, broker: Broker, other: Broker) -> None:
        """Whoever does not know whether a commit arrived enqueues again with the same id: never a second job."""
        for order in orders(2, 2):
            job = new_job(unique_key="k")
            worker = Worker(other)
            created: list[bool] = []
            play(order, _enqueue_twice(broker, job, created), _claim_and_settle(worker, Kind.SUCCESS, [], []))
            assert created == [True, False], order
            assert sum(other.counts().values()) == 1, order
            broker.delete(JobFilter())
            _leave(broker, worker)

    def test_retry_against_pruning(self, broker: Broker, other: Broker, clock: FakeClock) -> None:
        """What an operator brings back to life is not swept away with the dead."""
        for order in orders(2, 2):
            job_id = enqueue_one(broker)
            broker.cancel(one(job_id))
            clock.advance(1)
            retried: list[bytes] = []
            play(order, _retry(broker, job_id, retried), _prune(other, clock))
            assert bool(broker.states([job_id])) is bool(retried), order
            broker.delete(JobFilter())


def _beat_and_finish(worker: Worker, jobs: list[Claimed], refused: list[Outcome]) -> Script:
    def script(pause: Pause) -> None:
        jobs.extend(worker.claim(1))
        pause()
        worker.beat()
        pause()
        worker.beat()
        pause()
        refused.extend(worker.settle(*(success(job) for job in jobs)))

    return script


def _bury_and_inherit(heir: Worker, clock: FakeClock, buried: list[int], inherited: list[Claimed]) -> Script:
    def script(pause: Pause) -> None:
        heir.broker.rescue(LEASE, nobody_knows)
        pause()
        clock.advance(LEASE)
        heir.beat()
        _rescue(heir.broker, buried)(pause)
        inherited.extend(heir.claim(1))

    return script


def _rescue(broker: Broker, buried: list[int]) -> Script:
    def script(pause: Pause) -> None:
        def started(_owner: int) -> None:
            pause()  # between the look and the update

        buried.extend(broker.rescue(LEASE, started).owners)
        pause()

    return script


def _claim_and_settle(worker: Worker, kind: Kind, jobs: list[Claimed], refused: list[Outcome]) -> Script:
    def script(pause: Pause) -> None:
        jobs.extend(worker.claim(1))
        pause()
        refused.extend(worker.settle(*(outcome(job, kind) for job in jobs)))

    return script


def _release_and_run_again(worker: Worker, first: Claimed, again: list[Claimed]) -> Script:
    def script(pause: Pause) -> None:
        worker.settle(outcome(first, Kind.RELEASE))
        pause()
        again.extend(worker.claim(1))
        pause()
        worker.settle(*(success(job) for job in again))

    return script


def _settle_late(broker: Broker, owner: int, late: Outcome, refused: list[Outcome]) -> Script:
    def script(pause: Pause) -> None:
        pause()
        refused.extend(broker.settle(owner, [late]))

    return script


def _cancel_and_look(broker: Broker, job_id: bytes, seen: list[State]) -> Script:
    def script(pause: Pause) -> None:
        broker.cancel(one(job_id))
        seen.append(state_of(broker, job_id))
        pause()
        seen.append(state_of(broker, job_id))

    return script


def _enqueue_twice(broker: Broker, job: NewJob, created: list[bool]) -> Script:
    def script(pause: Pause) -> None:
        created.append(broker.enqueue([job])[0].created)
        pause()
        created.append(broker.enqueue([job])[0].created)

    return script


def _retry(broker: Broker, job_id: bytes, retried: list[bytes]) -> Script:
    def script(pause: Pause) -> None:
        retried.extend(broker.retry(one(job_id)))
        pause()

    return script


def _prune(broker: Broker, clock: FakeClock) -> Script:
    def script(pause: Pause) -> None:
        for _ in range(2):
            broker.prune(successful_before=0, ended_before=clock.now(), keep_at_most=1_000)
            pause()

    return script


def _leave(broker: Broker, *workers: Worker) -> None:
    for worker in workers:
        broker.deregister(worker.owner)
