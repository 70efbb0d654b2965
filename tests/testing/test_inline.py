"""Inline mode: enqueueing runs the job."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from comanda import Comanda, JobFailed, Retry, RetryLater, State, current_job
from comanda.testing import FakeClock, enqueued, inline, run_jobs

LONG = 30.0
"""Seconds that only a failing test waits."""


def test_a_job_has_run_when_enqueue_returns(app: Comanda) -> None:
    """S2-19."""
    threads: list[int] = []

    def work(number: int) -> int:
        threads.append(threading.get_ident())
        return 2 * number

    task = app.task(name="work")(work)
    with inline(app) as same:
        assert same is app
        job = task.enqueue(21)
        assert job.state is State.SUCCESSFUL
        assert job.result(timeout=LONG) == 42
    assert threads == [threading.get_ident()]
    assert task.enqueue(1).state is State.READY


async def test_a_job_has_run_when_aenqueue_returns(app: Comanda) -> None:
    async def greet(name: str) -> str:
        await asyncio.sleep(0)
        return f"hello {name}"

    task = app.task(name="greet")(greet)
    with inline(app):
        job = await task.aenqueue("ann")
        assert await job.aresult(timeout=LONG) == "hello ann"
        many = await app.aenqueue_many([task.call("bob"), task.call("eve")])
        assert [await one.aresult(timeout=LONG) for one in many] == ["hello bob", "hello eve"]


def test_retries_run_at_once(app: Comanda) -> None:
    def flaky() -> int:
        if current_job().attempt < 3:
            raise ConnectionError
        return current_job().attempt

    with inline(app):
        job = app.task(name="flaky", retry=Retry(max_attempts=5, backoff=600))(flaky).enqueue()
        assert job.result(timeout=LONG) == 3
        assert [attempt.outcome for attempt in job.attempts] == ["failed", "failed", "successful"]


def test_a_failure_is_heard_where_the_result_is_asked_for(app: Comanda) -> None:
    def fail() -> None:
        raise ValueError("too bad")

    with inline(app):
        job = app.task(name="fail", retry=Retry(max_attempts=2))(fail).enqueue()
        with pytest.raises(JobFailed, match="too bad"):
            job.result(timeout=LONG)


def test_a_job_for_later_and_one_that_asks_for_later_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    app = Comanda("memory://", clock=clock)
    ran: list[str] = []

    def note(text: str) -> None:
        ran.append(text)
        if text == "again" and len(ran) < 4:
            raise RetryLater(after=60)

    task = app.task(name="note")(note)
    with inline(app):
        later = task.using(run_after=60).enqueue("later")
        again = task.enqueue("again")
        assert (later.state, again.state, ran) == (State.SCHEDULED, State.SCHEDULED, ["again"])
        clock.advance(60)
        assert run_jobs(app) == 2
    assert sorted(ran) == ["again", "again", "later"]
    app.close()


def test_a_job_that_a_job_enqueues_has_run_as_well(app: Comanda) -> None:
    def inner(number: int) -> int:
        return number + 1

    inner_task = app.task(name="inner")(inner)

    def outer(number: int) -> int:
        return inner_task.enqueue(number).result(timeout=LONG) * 2

    with inline(app):
        assert app.task(name="outer")(outer).enqueue(20).result(timeout=LONG) == 42


def test_an_app_without_a_url_runs_its_jobs_in_memory() -> None:
    app = Comanda()
    task = app.task(name="double")(lambda number=21: 2 * number)
    with inline(app):
        assert task.enqueue().result(timeout=LONG) == 42
        assert len(enqueued(app)) == 1
    with inline(app):
        assert enqueued(app) == []


def test_a_job_of_a_transaction_runs_after_the_commit(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:///{tmp_path}/queue.db")
    ran: list[int] = []

    def note(number: int) -> None:
        ran.append(number)

    task = app.task(name="note")(note)
    with inline(app):
        with app.transaction() as connection:
            task.using(connection=connection).enqueue(1)
            assert ran == []
        assert run_jobs(app) == 1
    assert ran == [1]
    app.close()


def test_nothing_of_inline_mode_is_left_behind(app: Comanda) -> None:
    task = app.task(name="one")(lambda: 1)
    producer = app.producer
    with inline(app):
        task.enqueue().result(timeout=LONG)
        assert app.producer is not producer
        assert [thread for thread in threading.enumerate() if thread.name == "comanda-watcher"]
    assert app.producer is producer
    assert [thread for thread in threading.enumerate() if thread.name == "comanda-watcher"] == []
