"""Deploys, crashes and scaling: workers come and go, and no job is lost or run twice."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from comanda import Job, JobFailed, State

from .conftest import Load, on_each_store
from .evidence import counts, runs
from .processes import SHOP, SOON, Gate, Launcher, kill


@on_each_store
def test_a_deploy_with_one_job_running_and_a_hundred_queued_loses_none(
    launcher: Launcher, shop: ModuleType, gate: Gate, tmp_path: Path
) -> None:
    worker = launcher.worker(SHOP, "-c", "1", "--grace", "0")
    running = shop.visit.enqueue()
    visit = gate.visit()
    queued = shop.app.enqueue_many(shop.note.call(number) for number in range(100))
    assert worker.stop() == 0
    visit.await_death()
    assert counts(shop) == {State.READY: 101}
    launcher.worker(SHOP)
    gate.visit().let_go()
    assert running.result(SOON) == 1, "being stopped spends no attempt"
    assert [job.result(SOON) for job in queued] == list(range(100))
    assert sorted(runs(tmp_path)) == sorted(job.id for job in queued)
    assert counts(shop) == {State.SUCCESSFUL: 101}


def test_a_stop_lets_what_runs_finish_and_takes_nothing_new(launcher: Launcher, shop: ModuleType, gate: Gate) -> None:
    worker = launcher.worker(SHOP, "-c", "1", "--log-level", "DEBUG")
    running = shop.visit.enqueue()
    visit = gate.visit()
    waiting = shop.note.enqueue(1)
    worker.send(signal.SIGTERM)
    worker.line("takes no more jobs")
    visit.let_go()
    assert worker.end() == 0
    assert running.refresh().state == State.SUCCESSFUL
    assert waiting.refresh().state == State.READY


def test_a_burst_ends_when_the_queue_is_empty(launcher: Launcher, shop: ModuleType) -> None:
    jobs = shop.app.enqueue_many(shop.note.call(number) for number in range(50))
    worker = launcher.comanda("worker", SHOP, "--burst")
    assert worker.end() == 0
    assert {job.refresh().state for job in jobs} == {State.SUCCESSFUL}


def test_a_killed_child_is_replaced_and_the_pauses_grow_where_everybody_sees(
    launcher: Launcher, shop: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(SHOP)
    job = shop.visit.enqueue()
    pauses = []
    for _ in range(3):
        visit = gate.visit()
        kill(visit.pid)
        worker.line(rf"child {visit.pid} died \(killed by SIGKILL\): 1 jobs handed back, 1 of which had started")
        pauses.append(worker.line(rf"child {visit.pid} ended .* starts (now|in ([\d.]+) s)"))
        worker.line("is at work")
    assert pauses[0][1] == "now"
    assert 0.2 <= float(pauses[1][2]) <= 0.5 <= float(pauses[2][2]) <= 1.0
    with pytest.raises(JobFailed, match="3 times"):
        job.result(SOON)
    assert shop.add.enqueue(20, 22).result(SOON) == 42


def test_a_task_that_always_kills_its_worker_is_quarantined_and_stops_nobody_else(
    launcher: Launcher, shop: ModuleType
) -> None:
    deadly = shop.die.enqueue()
    healthy = shop.app.enqueue_many(shop.note.call(number) for number in range(20))
    worker = launcher.worker(SHOP)
    assert [job.result(SOON) for job in healthy] == list(range(20))
    with pytest.raises(JobFailed) as caught:
        deadly.result(SOON)
    assert "3 times" in str(caught.value)
    assert [attempt.outcome for attempt in deadly.refresh().attempts] == ["lost"] * 3
    assert len(re.findall(r"died \(exit code 7\)", worker.output())) == 3


def test_system_exit_in_a_task_fails_the_job_and_not_the_worker(launcher: Launcher, shop: ModuleType) -> None:
    worker = launcher.worker(SHOP)
    (child,) = launcher.living("comanda.worker.child")
    with pytest.raises(JobFailed, match="SystemExit"):
        shop.leave.enqueue().result(SOON)
    assert shop.add.enqueue(20, 22).result(SOON) == 42
    assert launcher.living("comanda.worker.child") == {child}
    assert "died" not in worker.output()


def test_the_job_of_a_killed_worker_is_taken_over_within_the_lease_and_the_attempt_counts(
    launcher: Launcher, shop: ModuleType, gate: Gate
) -> None:
    killed = launcher.worker(SHOP)
    job = shop.visit.enqueue()
    visit = gate.visit()
    rescuer = launcher.worker(SHOP, COMANDA_LEASE="60", COMANDA_HEARTBEAT="20", COMANDA_RESCUE="0.2")
    kill(killed.pid, visit.pid)
    lost_at = time.time()
    again = gate.visit()
    assert again.attempt == 2
    again.let_go()
    assert job.result(SOON) == 2
    first, second = job.refresh().attempts
    assert (first.outcome, first.pid, second.outcome, second.pid) == ("lost", visit.pid, "successful", again.pid)
    assert second.started_at.timestamp() - lost_at < 60
    assert counts(shop) == {State.SUCCESSFUL: 1}
    assert rescuer.stop() == 0


@on_each_store
def test_workers_go_from_one_to_two_to_none_to_two_and_each_job_runs_once(
    launcher: Launcher, shop: ModuleType, tmp_path: Path
) -> None:
    def enqueue() -> list[Job[Any]]:
        return [*shop.app.enqueue_many(shop.note.call(number) for number in range(100))]

    jobs = enqueue()
    workers = [launcher.worker(SHOP)]
    jobs += enqueue()
    workers.append(launcher.worker(SHOP))
    jobs += enqueue()
    assert [worker.stop() for worker in workers] == [0, 0]
    waiting = enqueue()
    assert {job.state for job in waiting} == {State.READY}
    for _ in range(2):
        launcher.worker(SHOP)
    for job in (*jobs, *waiting):
        job.result(SOON)
    executed = runs(tmp_path)
    assert sorted(executed) == sorted(job.id for job in (*jobs, *waiting))
    assert {len(pids) for pids in executed.values()} == {1}


def test_a_job_longer_than_three_leases_runs_once_while_the_web_process_is_restarted(
    launcher: Launcher, load: Load
) -> None:
    long = load("long")
    short_leases = {"COMANDA_LEASE": "1.2", "COMANDA_HEARTBEAT": "0.1", "COMANDA_RESCUE": "0.1"}
    for _ in range(2):  # one to hold the job, one that would rescue it
        launcher.worker("tests.e2e.apps.long:app", **short_leases)
    job = long.crunch.enqueue(3.7)
    for _ in range(2):
        web = launcher.python("-m", "uvicorn", "tests.e2e.apps.web:api", "--port", "0", **short_leases)
        web.line("Uvicorn running")
        kill(web.pid)
    assert job.result(SOON) == 1
    (attempt,) = job.refresh().attempts
    assert attempt.finished_at is not None
    assert (attempt.finished_at - attempt.started_at).total_seconds() >= 3.7


def test_a_job_of_a_task_that_no_worker_knows_waits_and_runs_after_the_next_deploy(
    launcher: Launcher, shop: ModuleType, load: Load
) -> None:
    old = launcher.worker("tests.e2e.apps.long:app", COMANDA_RESCUE="0.1")
    job = shop.add.enqueue(20, 22)
    old.line("1 jobs wait for a worker that knows their task; see: comanda doctor")
    assert load("long").crunch.enqueue(0).result(SOON) == 1, "it holds nobody up"
    assert job.state == State.READY
    doctor = launcher.comanda("doctor")
    assert doctor.end() == 1
    assert "1 ready job of task 'tests.e2e.apps.shop.add', which no living worker knows" in doctor.output()
    assert old.stop() == 0
    launcher.worker(SHOP)
    assert job.result(SOON) == 42
