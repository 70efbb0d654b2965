# ruff: noqa: S101 - pytest's assert
"""Hints: coming back when there may be something to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ...brokers.base import Broker
from ...brokers.records import JobFilter, Kind
from ..clock import FakeClock
from .case import PATIENCE, BrokerCase, Worker, enqueue_one, ids_of, outcome, success, together

if TYPE_CHECKING:
    from collections.abc import Iterator

Wait = Callable[[float], None]
_LONG = 3 * PATIENCE
"""Seconds that no test may wait: it gives up long before."""


class Waiting(BrokerCase):
    """`wait_for_work`, `wait_for_change`, `wake` and `ring`."""

    def test_a_wait_for_nothing_ends_with_its_time(self, broker: Broker) -> None:
        """A poll always suffices; it must not spin."""
        for wait in (broker.wait_for_work, broker.wait_for_change):
            wait(0)
            began = time.monotonic()
            wait(0.02)
            assert 0.015 <= time.monotonic() - began < PATIENCE

    def test_work_that_is_enqueued_ends_the_wait(self, broker: Broker, other: Broker) -> None:
        """In every process on the store, at once."""
        with _waiting(broker.wait_for_work) as wait:
            wait.expect_after(lambda: enqueue_one(other))

    def test_an_outcome_ends_the_wait_for_a_change(self, broker: Broker, other: Broker) -> None:
        """Whoever waits for a result learns of it."""
        worker = Worker(other)
        enqueue_one(other)
        job = worker.claim_one()
        with _waiting(broker.wait_for_change) as wait:
            wait.expect_after(lambda: worker.settle(success(job)))

    @pytest.mark.parametrize("verb", ["cancel", "retry", "reschedule", "delete"])
    def test_what_an_operator_does_ends_the_wait_for_a_change(
        self, broker: Broker, other: Broker, clock: FakeClock, verb: str
    ) -> None:
        """A page that shows a job sees it move."""
        enqueue_one(other)
        if verb == "retry":
            other.cancel(JobFilter())
        acts: dict[str, Callable[[], object]] = {
            "cancel": lambda: other.cancel(JobFilter()),
            "retry": lambda: other.retry(JobFilter()),
            "reschedule": lambda: other.reschedule(JobFilter(), clock.now() + 1),
            "delete": lambda: other.delete(JobFilter()),
        }
        with _waiting(broker.wait_for_change) as wait:
            wait.expect_after(acts[verb])

    @pytest.mark.parametrize("verb", ["retry", "reschedule", "resume", "release", "deregister", "rescue", "ring"])
    def test_whatever_makes_work_ends_the_wait_for_it(
        self, broker: Broker, other: Broker, clock: FakeClock, verb: str
    ) -> None:
        """Not only an enqueue does."""
        worker = Worker(other)
        enqueue_one(other)
        if verb == "retry":
            other.cancel(JobFilter())
        elif verb == "resume":
            other.pause("default")
        elif verb in ("release", "deregister", "rescue"):
            worker.claim_one()
        other.rescue(10, lambda _owner: None)
        clock.advance(10)
        acts: dict[str, Callable[[], object]] = {
            "retry": lambda: other.retry(JobFilter()),
            "reschedule": lambda: other.reschedule(JobFilter(), clock.now()),
            "resume": lambda: other.resume("default"),
            "release": lambda: other.release(worker.owner, None),
            "deregister": lambda: other.deregister(worker.owner),
            "rescue": lambda: other.rescue(10, lambda _owner: None),
            "ring": other.ring,
        }
        with _waiting(broker.wait_for_work) as wait:
            wait.expect_after(acts[verb])

    def test_a_wait_for_work_ends_when_a_scheduled_job_falls_due(self, broker: Broker, clock: FakeClock) -> None:
        """Nobody rings for a due time: the wait knows it beforehand."""
        broker.wait_for_work(0)
        job = enqueue_one(broker, due=clock.now() + 20_000)
        broker.wait_for_work(0)
        began = time.monotonic()
        broker.wait_for_work(_LONG)
        assert 0.015 <= time.monotonic() - began < PATIENCE
        clock.advance(0.02)
        assert ids_of(Worker(broker).claim()) == [job]

    def test_what_happens_between_two_waits_ends_the_second_at_once(self, broker: Broker, other: Broker) -> None:
        """Nothing is missed between a claim that found nothing and the wait that follows it."""
        worker = Worker(broker)
        broker.wait_for_work(0)
        broker.wait_for_change(0)
        assert worker.claim() == []
        enqueue_one(other)
        began = time.monotonic()
        broker.wait_for_work(_LONG)
        worker.settle(outcome(worker.claim_one(), Kind.FAILURE))
        broker.wait_for_change(_LONG)
        assert time.monotonic() - began < PATIENCE

    def test_what_happened_before_a_threads_first_wait_ends_it_at_once(self, broker: Broker, other: Broker) -> None:
        """Nor is anything missed between its first look and its first wait."""
        worker = Worker(broker)

        def look_then_wait() -> float:
            assert worker.claim() == []
            enqueue_one(other)
            began = time.monotonic()
            broker.wait_for_work(_LONG)
            return time.monotonic() - began

        (waited,) = together(look_then_wait)
        assert waited < PATIENCE

    def test_wake_ends_all_waits_of_its_process(self, broker: Broker) -> None:
        """Several threads may wait, for work or for changes: stopping must reach each of them."""
        waits = [broker.wait_for_work, broker.wait_for_work, broker.wait_for_change, broker.wait_for_work]
        with ThreadPoolExecutor(len(waits)) as threads:
            begun = [threading.Event() for _ in waits]
            done = [threads.submit(_wait, wait, event) for wait, event in zip(waits, begun, strict=True)]
            for event in begun:
                assert event.wait(PATIENCE)
            broker.wake()
            for future in done:
                future.result(PATIENCE)

    def test_one_wait_after_another_is_woken(self, broker: Broker) -> None:
        """A wake-up is used up by the wait it ends."""
        broker.wait_for_work(0)
        broker.wake()
        broker.wait_for_work(_LONG)
        began = time.monotonic()
        broker.wait_for_work(0.02)
        assert time.monotonic() - began >= 0.015


class _Waiter:
    """A thread in its wait, and proof that it came back for the right reason."""

    def __init__(self, begun: threading.Event, future: Future[None]) -> None:
        self._begun = begun
        self._future = future

    def expect_after(self, act: Callable[[], object]) -> None:
        assert self._begun.wait(PATIENCE)
        assert not self._future.done()
        act()
        self._future.result(PATIENCE)


@contextmanager
def _waiting(wait: Wait) -> Iterator[_Waiter]:
    begun = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        yield _Waiter(begun, threads.submit(_wait, wait, begun))


def _wait(wait: Wait, begun: threading.Event) -> None:
    wait(0)  # forgets what rang before
    begun.set()
    wait(_LONG)
