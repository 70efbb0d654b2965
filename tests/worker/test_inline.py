"""Jobs in the calling thread, for the test kit."""

from __future__ import annotations

import asyncio
import threading

import pytest

from comanda import Comanda, current_job
from comanda.brokers.records import State
from comanda.errors import JobFailed
from comanda.retry import NEVER
from comanda.worker.inline import run_jobs

from .support import SOON, states


def test_ready_jobs_and_those_they_enqueue_run_here(app: Comanda) -> None:
    threads: set[int] = set()

    @app.task(name="leaf")
    async def leaf(number: int) -> int:
        threads.add(threading.get_ident())
        await asyncio.sleep(0)
        return number

    @app.task(name="root")
    def root() -> str:
        threads.add(threading.get_ident())
        leaf.enqueue(1)
        leaf.enqueue(2)
        return current_job().id

    job = root.enqueue()
    assert run_jobs(app) == 3
    assert job.result(SOON) == job.id
    assert threads == {threading.get_ident()}
    assert states(app) == {State.SUCCESSFUL: 3}


def test_a_limit_ends_it_early(memory_app: Comanda) -> None:
    @memory_app.task(name="task")
    def task() -> None: ...

    for _ in range(3):
        task.enqueue()
    assert [run_jobs(memory_app, limit=2), run_jobs(memory_app), run_jobs(memory_app)] == [2, 1, 0]


def test_a_retry_waits_for_its_moment(memory_app: Comanda) -> None:
    @memory_app.task(name="task")
    def task() -> None:
        raise OSError

    job = task.enqueue()
    assert run_jobs(memory_app) == 1
    assert job.refresh().state == State.SCHEDULED


def test_time_limits_hold(memory_app: Comanda) -> None:
    @memory_app.task(name="sync", timeout=0.02, retry=NEVER)
    def sync() -> None:
        while True:
            sum(range(100))

    @memory_app.task(name="async", timeout=0.02, retry=NEVER)
    async def asynchronous() -> None:
        await asyncio.Event().wait()

    jobs = [sync.enqueue(), asynchronous.enqueue()]
    assert run_jobs(memory_app) == 2
    for job in jobs:
        with pytest.raises(JobFailed) as caught:
            job.result(SOON)
        assert caught.value.error_type == "TimedOut"


def test_a_keyboard_interrupt_gets_through_after_its_outcome_was_written(memory_app: Comanda) -> None:
    @memory_app.task(name="task", retry=NEVER)
    def task() -> None:
        raise KeyboardInterrupt

    jobs = [task.enqueue(), task.enqueue()]
    with pytest.raises(KeyboardInterrupt):
        run_jobs(memory_app)
    assert [job.refresh().state for job in jobs] == [State.FAILED, State.READY]


async def test_coroutines_run_beside_a_running_loop(memory_app: Comanda) -> None:
    @memory_app.task(name="task")
    async def task() -> int:
        await asyncio.sleep(0)
        return 5

    job = await task.aenqueue()
    assert run_jobs(memory_app) == 1
    assert await job.aresult(1) == 5


def test_arguments_that_do_not_fit_fail_the_job(memory_app: Comanda) -> None:
    @memory_app.task(name="task")
    def task(number: int) -> None: ...

    job = task.enqueue(1)
    memory_app.tasks["task"].codec = memory_app.task(name="other")(_takes_nothing).codec
    assert run_jobs(memory_app) == 1
    assert job.refresh().state == State.FAILED


def _takes_nothing() -> None: ...
