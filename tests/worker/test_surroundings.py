"""What a framework keeps around a job: entered and left by whoever runs it, and never by a plain call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from comanda import Comanda, JobFailed, Retry, Task
from comanda.testing import run_jobs
from comanda.worker.surrounded import tasks_at_work

seen: list[str] = []


class Noted:
    """Notes when it is entered and left."""

    @contextmanager
    def around(self, task: Task[..., Any]) -> Iterator[None]:
        seen.append(f"into {task.name}")
        try:
            yield
        finally:
            seen.append(f"out of {task.name}")

    @asynccontextmanager
    async def aaround(self, task: Task[..., Any]) -> AsyncIterator[None]:
        with self.around(task):
            await asyncio.sleep(0)
            yield

    def idle(self) -> None:
        seen.append("idle")
        raise OSError("the worker's thread lives on")


@pytest.fixture
def app() -> Iterator[Comanda]:
    """An app with surroundings."""
    seen.clear()
    made = Comanda("memory://")
    made.surroundings = Noted()
    yield made
    made.close()


def test_a_job_runs_inside_of_them_on_a_thread_and_on_the_loop(app: Comanda) -> None:
    @app.task(name="cook")
    def cook() -> None:
        seen.append("cook")

    @app.task(name="stir")
    async def stir() -> None:
        seen.append("stir")

    worker = app.start_worker()
    cook.enqueue().result(20)
    stir.enqueue().result(20)
    worker.stop()
    told = [word for word in seen if word != "idle"]
    assert told == ["into cook", "cook", "out of cook", "into stir", "stir", "out of stir"]


def test_a_thread_that_finds_no_further_job_lets_go_and_lives_on(
    app: Comanda, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for many jobs in a row, however it ends."""

    @app.task(name="cook")
    def cook() -> None: ...

    app.enqueue_many(cook.call() for _ in range(100))
    worker = app.start_worker(concurrency=1)
    cook.enqueue().result(20)
    worker.stop()
    assert 1 <= seen.count("idle") < 100
    assert seen.count("into cook") == 101
    assert "letting go after the last job failed" in caplog.text


def test_they_are_left_when_the_task_fails_and_are_no_part_of_its_traceback(app: Comanda) -> None:
    @app.task(name="burn", retry=Retry(max_attempts=1))
    def burn() -> None:
        raise ValueError("burnt")

    job = burn.enqueue()
    run_jobs(app)
    assert seen == ["into burn", "out of burn"]
    with pytest.raises(JobFailed) as caught:
        job.result()
    assert "in burn" in caught.value.remote_traceback
    assert "surrounded" not in caught.value.remote_traceback


def test_a_plain_call_has_none(app: Comanda) -> None:
    @app.task(name="cook")
    def cook() -> int:
        return 1

    assert cook() == 1
    assert seen == []


def test_an_app_without_any_runs_its_tasks_as_they_are() -> None:
    """No wrapper, so no cost."""
    app = Comanda("memory://")
    task = app.task(name="cook")(lambda: 1)
    assert tasks_at_work(app) == {"cook": task}
    assert tasks_at_work(app)["cook"] is task
