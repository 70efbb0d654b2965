"""`app.start_worker()`: in threads for memory://, else one group of processes per host and app."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from comanda import Comanda, ConfigurationError, JobCancelled, State, UnknownOption, current_job
from comanda.brokers.records import JobFilter, NewJob
from comanda.ids import from_text, new_ids
from comanda.worker import embedded, group, spawning
from tests.servers.stores import DURABLE, StoreOf

from .support import SOON, Gate, states

APP = """
from comanda import Comanda

app = Comanda({url!r}, namespace={namespace!r}, lease=2, heartbeat=0.5, rescue=0.5, grace=1)

@app.task
def add(left: int, right: int) -> int:
    return left + right


@app.task(isolate=True)
def measure(text: str) -> int:
    return len(text)
"""


on_each_store = pytest.mark.parametrize("module", DURABLE, indirect=True)


@pytest.fixture
def module(
    request: pytest.FixtureRequest, store_of: StoreOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """A module `embedded_shop` with an app on a file or another store, where child processes find it, too."""
    store = store_of(getattr(request, "param", "sqlite"))
    (tmp_path / "embedded_shop.py").write_text(APP.format(**store._asdict()))
    monkeypatch.syspath_prepend(tmp_path)
    imported = __import__("embedded_shop")
    yield imported
    imported.app.close()
    del sys.modules["embedded_shop"]


def test_with_memory_the_jobs_run_on_threads_of_this_process(memory_app: Comanda) -> None:
    @memory_app.task(name="where")
    def where() -> int:
        return os.getpid()

    @memory_app.task(name="awhere")
    async def awhere() -> int:
        await asyncio.sleep(0)
        return os.getpid()

    before = set(threading.enumerate())
    with memory_app.start_worker(concurrency=2):
        assert {task.enqueue().result(SOON) for task in (where, awhere)} == {os.getpid()}
    memory_app.close()
    assert set(threading.enumerate()) - before == set()


def test_stopping_twice_is_stopping_once(memory_app: Comanda) -> None:
    worker = memory_app.start_worker()
    worker.stop()
    worker.stop()


def test_with_memory_a_job_that_outlasts_the_stop_goes_back(memory_app: Comanda) -> None:
    gate = Gate()

    @memory_app.task(name="slow")
    def slow() -> None:
        gate.wait()

    worker = memory_app.start_worker()
    slow.enqueue()
    gate.arrived()
    worker.stop(timeout=0)
    assert states(memory_app) == {State.READY: 1}
    gate.opened.set()


def test_with_memory_stop_requests_and_unknown_tasks_are_looked_after(tmp_path: Path) -> None:
    app = Comanda("memory://", heartbeat=0.05, lease=1, rescue=0.05)
    started = threading.Event()

    @app.task(name="endless")
    def endless() -> None:
        started.set()
        while not current_job().cancelled:
            sum(range(100))

    app.broker.enqueue([NewJob(id=new_ids(1)[0], task="unknown", queue="default", payload=b"{}")])
    with app.start_worker(concurrency=1):
        job = endless.enqueue()
        assert started.wait(SOON)
        app.broker.cancel(JobFilter(ids=(from_text(job.id),)))
        with pytest.raises(JobCancelled):
            job.result(SOON)
    app.close()


def test_an_unknown_option_is_refused_with_the_known_ones(memory_app: Comanda) -> None:
    with pytest.raises(UnknownOption, match="'threads'; known are processes"):
        memory_app.start_worker(threads=4)


def test_an_option_that_does_not_fit_is_refused(memory_app: Comanda) -> None:
    with pytest.raises(ConfigurationError, match=r"start_worker: .*concurrency"):
        memory_app.start_worker(concurrency="many")


def test_inside_a_workers_process_nothing_is_started(file_app: Comanda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spawning.MARK, "1")
    worker = file_app.start_worker()
    assert isinstance(worker, embedded.Inert)
    worker.stop()


def test_an_app_that_no_module_holds_needs_its_path(file_app: Comanda) -> None:
    with pytest.raises(ConfigurationError, match="pass its path"):
        file_app.start_worker()


def test_the_app_is_found_in_the_module_that_declares_its_tasks(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ModuleType("a_view")
    other.shop = module.app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_view", other)
    assert embedded._path_of(module.app) == "embedded_shop:app"


@on_each_store
def test_processes_beside_this_one_run_the_jobs_and_end_with_stop(
    module: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "comanda.worker"):
        worker = module.app.start_worker(log_level="ERROR")
        assert module.add.enqueue(20, 22).result(SOON) == 42
        (living,) = [found for found in module.app.broker.workers() if found.ended_at is None]
        assert living.pid != os.getpid()
        worker.stop()
    assert [found for found in module.app.broker.workers() if found.ended_at is None] == []
    assert caplog.records == []


@on_each_store
def test_only_one_of_two_starts_a_group_and_the_other_takes_over(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "STAND_BY", 0.05)
    first = module.app.start_worker(log_level="ERROR")
    assert module.add.enqueue(1, 1).result(SOON) == 2
    second = module.app.start_worker(log_level="ERROR")
    assert module.add.enqueue(2, 2).result(SOON) == 4
    assert len(module.app.broker.workers()) == 1
    first.stop()
    assert module.add.enqueue(3, 3).result(SOON) == 6
    assert len(module.app.broker.workers()) == 2
    second.stop()


def test_an_isolated_job_gets_arguments_as_large_as_the_limit_allows(module: ModuleType) -> None:
    worker = module.app.start_worker(log_level="ERROR")
    assert module.measure.enqueue("x" * 1_000_000).result(SOON) == 1_000_000
    worker.stop()


def test_a_supervisor_that_dies_is_started_again(module: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "comanda.worker"):
        worker = module.app.start_worker(log_level="ERROR")
        assert module.add.enqueue(1, 1).result(SOON) == 2
        worker._process.kill()
        worker._process.wait()
        assert module.add.enqueue(2, 2).result(SOON) == 4
        worker.stop()
    assert "ended (status -9); the next starts in" in caplog.text
