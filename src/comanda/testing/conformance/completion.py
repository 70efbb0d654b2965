# ruff: noqa: S101 - pytest's assert
"""For brokers that declare TRANSACTIONAL_COMPLETION: a task's writes and its completion in one transaction.

The application's own write is stood for by an enqueue on the same connection, by `enqueue_statements`; the connection
is taken to have `execute(sql, parameters)`, whose answer has `fetchall()`.
"""

from __future__ import annotations

from typing import Any

import pytest

from ...brokers.base import Broker
from ...brokers.records import Claimed, Kind, State
from .case import BrokerCase, Worker, attempts_of, enqueue_one, ids_of, new_job, outcome, read, state_of, success
from .transactions import run


class TransactionalCompletion(BrokerCase):
    """Guarantee 6: an exactly-once effect."""

    @pytest.fixture
    def claimed(self, broker: Broker, worker: Worker) -> Claimed:
        """A job in the hands of the worker."""
        enqueue_one(broker)
        return worker.claim_one()

    def test_what_a_task_writes_and_its_completion_are_one_commit(
        self, broker: Broker, other: Broker, worker: Worker, claimed: Claimed
    ) -> None:
        """Nobody sees the one without the other."""
        effect = new_job()
        completion = broker.completion()
        run(broker, completion.begin(), effect)
        assert (other.get([effect.id]), state_of(other, claimed.id)) == ([None], State.RUNNING)
        assert completion.complete(worker.owner, success(claimed))
        done = read(other, claimed.id)
        assert (done.state, done.result) == (State.SUCCESSFUL, success(claimed).result)
        assert state_of(other, effect.id) is State.READY
        assert [attempt.outcome for attempt in attempts_of(broker, claimed.id)] == ["successful"]
        completion.close()

    def test_a_roll_back_undoes_what_was_written_and_leaves_the_job_running(
        self, broker: Broker, worker: Worker, claimed: Claimed
    ) -> None:
        """The usual way is open then: a retry, for instance."""
        effect = new_job()
        completion = broker.completion()
        run(broker, completion.begin(), effect)
        completion.roll_back()
        assert (broker.get([effect.id]), state_of(broker, claimed.id)) == ([None], State.RUNNING)
        assert worker.settle(outcome(claimed, Kind.RETRY)) == []
        completion.close()

    def test_who_has_lost_the_job_commits_nothing(self, broker: Broker, worker: Worker, claimed: Claimed) -> None:
        """Conditional on (job, fence, owner), like every other outcome: its writes go with it."""
        effect = new_job()
        completion = broker.completion()
        self._lose(broker, worker)
        run(broker, completion.begin(), effect)
        assert not completion.complete(worker.owner, success(claimed))
        assert (broker.get([effect.id]), state_of(broker, claimed.id)) == ([None], State.READY)
        completion.close()

    def test_another_owner_with_the_same_job_commits_nothing(
        self, broker: Broker, worker: Worker, claimed: Claimed
    ) -> None:
        """The fence of a later claim is another one, and so is its owner."""
        later = Worker(broker)
        self._lose(broker, worker)
        again = later.claim_one()
        completion = broker.completion()
        completion.begin()
        assert not completion.complete(worker.owner, success(claimed))
        completion.begin()
        assert not completion.complete(later.owner, success(claimed))
        completion.begin()
        assert completion.complete(later.owner, success(again))
        completion.close()

    def test_one_completion_after_the_other_on_one_connection(self, broker: Broker, worker: Worker) -> None:
        """A worker keeps it from job to job."""
        jobs = [enqueue_one(broker) for _ in range(3)]
        completion = broker.completion()
        begun: list[bool] = []
        for job in worker.claim():
            begun.append(completion.is_begun)
            assert completion.begin() is completion.begin()
            begun.append(completion.is_begun)
            assert completion.complete(worker.owner, success(job))
        assert begun == [False, True] * 3
        assert [state_of(broker, job_id) for job_id in jobs] == [State.SUCCESSFUL] * 3
        completion.close()

    def test_a_completed_job_is_not_settled_again(self, broker: Broker, worker: Worker, claimed: Claimed) -> None:
        """The worker need not know whether its commit came through: a second outcome is refused."""
        completion = broker.completion()
        completion.begin()
        assert completion.complete(worker.owner, success(claimed))
        late = outcome(claimed, Kind.RETRY)
        assert worker.settle(late) == [late]
        completion.close()

    def test_closing_undoes_what_is_open(self, broker: Broker, worker: Worker, claimed: Claimed) -> None:
        """A worker that ends in the middle has done nothing."""
        effect = new_job()
        completion = broker.completion()
        run(broker, completion.begin(), effect)
        completion.close()
        assert (broker.get([effect.id]), state_of(broker, claimed.id)) == ([None], State.RUNNING)

    def test_a_job_of_the_task_s_own_transaction_can_be_claimed_at_once(
        self, broker: Broker, worker: Worker, claimed: Claimed
    ) -> None:
        """A follow-up exists exactly if its cause was completed."""
        follow_up: Any = new_job()
        completion = broker.completion()
        run(broker, completion.begin(), follow_up)
        completion.complete(worker.owner, success(claimed))
        assert ids_of(worker.claim()) == [follow_up.id]
        completion.close()

    def _lose(self, broker: Broker, worker: Worker) -> None:
        broker.release(worker.owner, ())
