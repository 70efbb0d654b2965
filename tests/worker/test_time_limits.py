"""Time limits of threads, coroutines and those that ignore them."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from comanda import Comanda, Retry
from comanda.brokers.records import State
from comanda.errors import JobFailed, TimedOut
from comanda.retry import NEVER
from comanda.worker.attempt import Attempt

from .support import SOON, Gate, Working

LIMIT = 0.05


def test_a_thread_beyond_its_limit_gets_timed_out_raised_in_it(app: Comanda) -> None:
    cleaned = threading.Event()

    @app.task(name="endless", timeout=LIMIT, retry=NEVER)
    def endless() -> None:
        try:
            while True:
                sum(range(100))
        finally:
            cleaned.set()

    job = endless.enqueue()
    with Working(app), pytest.raises(JobFailed, match=r"longer than its time limit of 0\.05 s") as caught:
        job.result(SOON)
    assert caught.value.error_type == "TimedOut"
    assert cleaned.is_set()
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["timed_out"]


def test_a_coroutine_beyond_its_limit_is_cancelled_and_counts_as_timed_out(app: Comanda) -> None:
    @app.task(name="endless", timeout=LIMIT, retry=NEVER)
    async def endless() -> None:
        await asyncio.Event().wait()

    job = endless.enqueue()
    with Working(app), pytest.raises(JobFailed) as caught:
        job.result(SOON)
    assert caught.value.error_type == "TimedOut"
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["timed_out"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_task_that_swallows_its_time_out_counts_as_timed_out(app: Comanda, kind: str) -> None:
    @app.task(name="sync", timeout=LIMIT, retry=NEVER)
    def swallow() -> str:
        try:
            while True:
                sum(range(100))
        except TimedOut:
            return "nothing happened"

    @app.task(name="async", timeout=LIMIT, retry=NEVER)
    async def aswallow() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "nothing happened"

    with Working(app), pytest.raises(JobFailed) as caught:
        app.tasks[kind].enqueue().result(SOON)
    assert caught.value.error_type == "TimedOut"


def test_what_a_task_raises_in_answer_to_its_time_out_is_kept_as_the_cause(app: Comanda) -> None:
    @app.task(name="translate", timeout=LIMIT, retry=NEVER)
    def translate() -> None:
        try:
            while True:
                sum(range(100))
        except TimedOut:
            raise ConnectionError("half a page was sent") from None

    with Working(app), pytest.raises(JobFailed) as caught:
        translate.enqueue().result(SOON)
    assert caught.value.error_type == "TimedOut"
    assert "half a page was sent" in caught.value.remote_traceback


def test_a_timed_out_attempt_is_retried_like_any_other(app: Comanda) -> None:
    attempts: list[int] = []

    @app.task(name="second", timeout=5 * LIMIT, retry=Retry(max_attempts=2, backoff=0))
    def second() -> str:
        attempts.append(1)
        while len(attempts) < 2:
            sum(range(100))
        return "in time"

    with Working(app):
        job = second.enqueue()
        assert job.result(SOON) == "in time"
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["timed_out", "successful"]


def test_a_jobs_own_limit_beats_its_tasks(app: Comanda) -> None:
    @app.task(name="endless", timeout=3600, retry=NEVER)
    def endless() -> None:
        while True:
            sum(range(100))

    with Working(app), pytest.raises(JobFailed, match=r"0\.05 s"):
        endless.using(timeout=LIMIT).enqueue().result(SOON)


def test_the_thread_of_a_timed_out_job_runs_the_next_one(app: Comanda) -> None:
    @app.task(name="endless", timeout=LIMIT, retry=NEVER)
    def endless() -> None:
        while True:
            sum(range(100))

    @app.task(name="quick")
    def quick() -> int:
        return threading.get_ident()

    with Working(app, concurrency=1):
        first = quick.enqueue().result(SOON)
        for _ in range(5):
            with pytest.raises(JobFailed):
                endless.enqueue().result(SOON)
        assert quick.enqueue().result(SOON) == first


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_body_that_goes_on_is_reported_once_with_its_outcome(app: Comanda, kind: str) -> None:
    gate = Gate()
    reports: list[Attempt] = []
    reported = threading.Event()

    @app.task(name="sync", timeout=LIMIT, retry=NEVER)
    def deaf() -> None:
        gate.wait()

    @app.task(name="async", timeout=LIMIT, retry=NEVER)
    async def adeaf() -> None:
        gate.wait()

    def on_stuck(attempt: Attempt) -> None:
        reports.append(attempt)
        reported.set()

    with Working(app, on_stuck=on_stuck):
        job = app.tasks[kind].enqueue()
        assert reported.wait(SOON)
        assert job.refresh().state == State.RUNNING
        gate.opened.set()
        with pytest.raises(JobFailed):
            job.result(SOON)
    assert [attempt.job.task for attempt in reports] == [kind]


def test_jobs_within_their_limits_start_no_timer_each(app: Comanda) -> None:
    @app.task(name="quick", timeout=3600)
    def quick() -> None: ...

    with Working(app) as worker:
        app.enqueue_many(quick.call() for _ in range(200))
        quick.enqueue().result(SOON)
        timers = [thread for thread in threading.enumerate() if thread.name == "comanda-deadlines"]
        assert len(timers) == 1
        worker.engine.stop(0)
