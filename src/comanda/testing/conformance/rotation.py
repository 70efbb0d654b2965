# ruff: noqa: S101 - pytest's assert
"""Visiting several queues, and passing by those that are paused."""

from __future__ import annotations

from collections import Counter

import pytest

from ...brokers.base import Broker
from ...brokers.records import Claimed
from ...clock import SECOND
from ...errors import ConfigurationError
from ..clock import FakeClock
from .case import BrokerCase, Worker, enqueue, enqueue_one, ids_of


class RotatingQueues(BrokerCase):
    """Rotation, strict order, pausing."""

    def test_a_worker_takes_from_the_queues_it_names_and_no_others(self, broker: Broker, worker: Worker) -> None:
        """Queues that do not exist yet are no error: their first job may come at any time."""
        enqueue_one(broker, queue="a")
        wanted = enqueue_one(broker, queue="b")
        assert ids_of(worker.claim(10, "b", "not yet")) == [wanted]
        late = enqueue_one(broker, queue="not yet")
        assert ids_of(worker.claim(10, "b", "not yet")) == [late]

    def test_a_worker_that_names_none_takes_from_all(self, broker: Broker, worker: Worker) -> None:
        """Queues that came after it started are served too."""
        enqueue_one(broker, queue="a")
        assert _by_queue(worker.claim()) == {"a": 1}
        enqueue_one(broker, queue="b")
        assert _by_queue(worker.claim()) == {"b": 1}

    def test_queues_are_visited_in_rotation(self, broker: Broker, worker: Worker) -> None:
        """Guarantee 8: a queue that is never empty does not starve the others."""
        for queue in ("a", "b", "c"):
            enqueue(broker, 30, queue=queue)
        one_by_one = [worker.claim_one() for _ in range(9)]
        assert _by_queue(one_by_one) == {"a": 3, "b": 3, "c": 3}
        assert _by_queue(worker.claim(9)) == {"a": 3, "b": 3, "c": 3}

    def test_a_share_that_one_queue_leaves_goes_to_the_others(self, broker: Broker, worker: Worker) -> None:
        """Fairness leaves no slot idle."""
        enqueue(broker, 2, queue="short")
        enqueue(broker, 20, queue="long")
        assert _by_queue(worker.claim(10, "short", "long", "empty")) == {"short": 2, "long": 8}

    def test_strict_empties_the_queues_in_the_given_order(self, broker: Broker, worker: Worker) -> None:
        """With --strict the second queue waits for the first to be empty."""
        enqueue(broker, 3, queue="b")
        enqueue(broker, 3, queue="a")
        order = [worker.claim(2, "b", "a", strict=True) for _ in range(3)]
        assert [_by_queue(batch) for batch in order] == [{"b": 2}, {"b": 1, "a": 1}, {"a": 2}]

    def test_a_paused_queue_hands_out_nothing(
        self, broker: Broker, other: Broker, worker: Worker, clock: FakeClock
    ) -> None:
        """It takes jobs, and its scheduled ones fall due, but none starts before it is resumed: in every process."""
        jobs = [enqueue_one(broker, queue="a"), enqueue_one(broker, queue="a", delay=SECOND)]
        enqueue_one(broker, queue="b")
        other.pause("a")
        clock.advance(1)
        jobs.append(enqueue_one(broker, queue="a"))
        assert _by_queue(worker.claim()) == {"b": 1}
        assert [queue.paused for queue in broker.queues()] == [True, False]
        other.resume("a")
        assert ids_of(worker.claim()) == jobs

    def test_what_runs_when_a_queue_is_paused_runs_on(self, broker: Broker, worker: Worker) -> None:
        """Pausing is about starting."""
        enqueue_one(broker)
        job = worker.claim_one()
        broker.pause("default")
        assert worker.beat()
        assert broker.heartbeat([worker.owner]).stop == []
        assert job.queue == "default"

    def test_pausing_a_queue_that_nobody_has_used_is_an_error(self, broker: Broker) -> None:
        """A misspelt name must not look like success."""
        with pytest.raises(ConfigurationError, match="no queue 'mial'"):
            broker.pause("mial")
        with pytest.raises(ConfigurationError, match="no queue 'mial'"):
            broker.resume("mial")


def _by_queue(jobs: list[Claimed]) -> dict[str, int]:
    return dict(Counter(job.queue for job in jobs))
