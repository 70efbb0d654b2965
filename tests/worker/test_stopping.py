"""What ends jobs and engines: cancellation, stops, lost leases, a store that does not answer."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from comanda import Comanda, current_job
from comanda.brokers.base import Broker
from comanda.brokers.records import Demand, Exchanged, JobFilter, Outcome, State
from comanda.errors import BrokerTimeout, BrokerUnavailable, Cancelled, JobCancelled
from comanda.ids import from_text
from comanda.job import Job

from .support import SOON, Gate, Working, states


def _cancel(app: Comanda, job: Job[Any]) -> None:
    assert app.broker.cancel(JobFilter(ids=(from_text(job.id),)))


def test_a_running_thread_gets_cancelled_raised_in_it(app: Comanda) -> None:
    started = threading.Event()
    raised = threading.Event()

    @app.task(name="endless")
    def endless() -> None:
        started.set()
        try:
            while True:
                sum(range(100))
        except Cancelled:
            raised.set()
            raise

    with Working(app):
        job = endless.enqueue()
        assert started.wait(SOON)
        _cancel(app, job)
        with pytest.raises(JobCancelled):
            job.result(SOON)
    assert raised.is_set()
    assert job.refresh().state == State.CANCELLED


def test_a_running_coroutine_is_cancelled(app: Comanda) -> None:
    started = threading.Event()

    @app.task(name="endless")
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    with Working(app):
        job = endless.enqueue()
        assert started.wait(SOON)
        _cancel(app, job)
        with pytest.raises(JobCancelled):
            job.result(SOON)


def test_a_stop_request_is_noticed_when_all_slots_are_taken(app: Comanda) -> None:
    started = threading.Event()

    @app.task(name="patient")
    def patient() -> None:
        started.set()
        while not current_job().cancelled:
            sum(range(100))

    with Working(app, concurrency=1):
        job = patient.enqueue()
        assert started.wait(SOON)
        _cancel(app, job)
        with pytest.raises(JobCancelled):
            job.result(SOON)


def test_a_task_that_ends_in_spite_of_a_stop_request_has_succeeded(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="stubborn")
    def stubborn() -> str:
        try:
            gate.reached.release()
            while True:
                sum(range(100))
        except Cancelled:
            return "finished first"

    with Working(app):
        job = stubborn.enqueue()
        gate.arrived()
        _cancel(app, job)
        assert job.result(SOON) == "finished first"


def test_a_claimed_job_that_has_not_begun_never_begins_after_a_stop_request(memory_app: Comanda) -> None:
    gate = Gate()
    ran: list[str] = []

    @memory_app.task(name="first")
    def first() -> None:
        gate.wait()

    @memory_app.task(name="second")
    def second() -> None:
        ran.append("second")

    with Working(memory_app, concurrency=1) as worker:
        job = first.enqueue()
        gate.arrived()
        waiting = second.enqueue()
        claimed = memory_app.broker.claim(worker.owner, Demand(1, frozenset({"second"})))
        worker.executors.hand_out(claimed)
        worker.executors.stop({(claimed[0].n, claimed[0].fence)})
        gate.opened.set()
        job.result(SOON)
        with pytest.raises(JobCancelled):
            waiting.result(SOON)
    assert ran == []


def test_a_stop_lets_running_jobs_finish_and_returns_the_others(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="slow")
    def slow() -> str:
        gate.wait()
        return "finished"

    jobs = [slow.enqueue() for _ in range(3)]
    with Working(app, concurrency=1) as worker:
        gate.arrived()
        worker.engine.stop(SOON)
        gate.opened.set()
        assert worker.join() == []
    assert states(app) == {State.SUCCESSFUL: 1, State.READY: 2}
    assert [len(job.refresh().attempts) for job in jobs] == [1, 0, 0]


def test_jobs_that_outlast_the_grace_time_go_back_uncharged(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="slow")
    def slow() -> str:
        gate.wait()
        return "too late"

    job = slow.enqueue()
    with Working(app) as worker:
        gate.arrived()
        worker.engine.stop(0)
        assert [left.task for left in worker.join()] == ["slow"]
    assert job.refresh().state == State.READY
    assert job.attempts == []
    gate.opened.set()


def test_a_second_stop_shortens_the_grace_time(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="slow")
    def slow() -> None:
        gate.wait()

    slow.enqueue()
    with Working(app) as worker:
        gate.arrived()
        worker.engine.stop(3600)
        worker.engine.stop(0)
        assert len(worker.join()) == 1
    gate.opened.set()


def test_a_burst_ends_when_nothing_is_ready_and_nothing_runs(app: Comanda) -> None:
    @app.task(name="leaf")
    def leaf() -> None: ...

    @app.task(name="root")
    def root() -> None:
        for _ in range(3):
            leaf.enqueue()

    root.enqueue()
    with Working(app, burst=True) as worker:
        assert worker.join() == []
    assert states(app) == {State.SUCCESSFUL: 4}


def test_the_outcome_of_a_lost_lease_is_refused_and_logged(
    app: Comanda, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comanda.worker.engine.STOP_LOOK", 3_600)  # it shall not hear of its death before it writes
    gate = Gate()

    @app.task(name="slow")
    def slow() -> str:
        gate.wait()
        return "first"

    job = slow.enqueue()
    with Working(app, grace=0) as worker, caplog.at_level(logging.WARNING, "comanda.worker"):
        gate.arrived()
        worker.engine._asked = time.monotonic()  # long ago is less than an hour on a host that has just started only
        app.broker.release(worker.owner, ())
        gate.opened.set()
        with Working(app):
            assert job.result(SOON) == "first"
        worker.engine.stop(SOON)
        worker.join()
    refusals = [record for record in caplog.records if "LostLease" in record.getMessage()]
    assert [record.__dict__["job_id"] for record in refusals] == [job.id]
    assert len(job.refresh().attempts) == 1


def test_a_worker_declared_dead_stops_its_jobs_and_writes_nothing(app: Comanda) -> None:
    started = threading.Event()
    told: list[bool] = []

    @app.task(name="endless")
    def endless() -> None:
        started.set()
        try:
            while True:
                sum(range(100))
        finally:
            told.append(current_job().lost)

    job = endless.enqueue()
    before = set(threading.enumerate())
    with Working(app, concurrency=1) as worker:
        assert started.wait(SOON)
        app.broker.release(worker.owner, ())
        worker.join()
        for thread in set(threading.enumerate()) - before:
            thread.join(SOON)
    assert told == [True]
    assert job.refresh().state == State.READY


class Failing:
    """Hands everything on to a real broker; `exchange` raises `errors` first, with `after_write` too late."""

    def __init__(self, broker: Broker, *, after_write: bool = False) -> None:
        self._broker = broker
        self._after_write = after_write
        self.errors: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def exchange(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        if not self.errors:
            return self._broker.exchange(owner, outcomes, demand)
        error = self.errors.pop(0)
        if self._after_write:
            self._broker.exchange(owner, outcomes, demand)
        raise error


def test_outcomes_are_kept_while_the_store_does_not_answer(app: Comanda, caplog: pytest.LogCaptureFixture) -> None:
    broker = Failing(app.broker)
    gate = Gate()

    @app.task(name="slow")
    def slow() -> str:
        gate.wait()
        return "kept"

    with caplog.at_level(logging.INFO, "comanda.worker"), Working(app, broker=cast(Broker, broker)):
        job = slow.enqueue()
        gate.arrived()
        broker.errors = [BrokerUnavailable("no answer"), BrokerTimeout("no answer")]
        gate.opened.set()
        assert job.result(SOON) == "kept"
    lines = [record.getMessage() for record in caplog.records]
    assert sum("until the store answers" in line for line in lines) == 1
    assert sum("answers again" in line for line in lines) == 1


def test_a_claim_whose_answer_was_lost_is_reported(app: Comanda) -> None:
    broker = Failing(app.broker, after_write=True)
    doubt = threading.Event()

    @app.task(name="quick")
    def quick() -> None: ...

    lost = BrokerUnavailable("the answer was lost")
    lost.may_have_written = True
    broker.errors = [lost]
    job = quick.enqueue()
    with Working(app, broker=cast(Broker, broker), on_doubt=doubt.set):
        assert doubt.wait(SOON)
    assert job.refresh().state == State.READY


def test_a_claim_that_was_never_sent_leaves_no_doubt(app: Comanda) -> None:
    """A server that is away for an hour costs no child its place."""
    broker = Failing(app.broker)
    doubt = threading.Event()

    @app.task(name="quick")
    def quick() -> None: ...

    broker.errors = [BrokerUnavailable("connection refused")]
    job = quick.enqueue()
    with Working(app, broker=cast(Broker, broker), on_doubt=doubt.set):
        job.result(SOON)
    assert not doubt.is_set()


def test_nothing_is_left_behind_by_an_engine(app: Comanda) -> None:
    @app.task(name="sync")
    def sync() -> None: ...

    @app.task(name="async", timeout=60)
    async def asynchronous() -> None: ...

    def work() -> None:
        app.broker.enqueue([task.new_job(b"{}") for task in (sync, asynchronous)])
        with Working(app, burst=True) as worker:
            worker.join()

    def close() -> None:
        app.broker.close()  # what it keeps between two uses is its own
        gc.collect()

    work()  # what is imported at the first use stays open
    close()
    threads, files = set(threading.enumerate()), _files()
    work()
    assert states(app) == {State.SUCCESSFUL: 4}
    close()
    assert set(threading.enumerate()) - threads == set()
    assert _files() - files == set()


def _files() -> set[str]:
    """Return what this process has open."""
    return {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}
