"""Processes that are frozen, orphaned, told to stop or never got to work."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

from comanda import JobCancelled, State

from .processes import SOON, Gate, Launcher, await_end

KITCHEN = "tests.e2e.apps.kitchen:app"
SHORT_LEASE = {"COMANDA_LEASE": "2", "COMANDA_HEARTBEAT": "0.8", "COMANDA_RESCUE": "0.3"}


def test_the_supervisor_does_not_import_the_app(launcher: Launcher, kitchen: ModuleType, tmp_path: Path) -> None:
    worker = launcher.worker(KITCHEN)
    (child,) = launcher.living("comanda.worker.child")
    kitchen.quick.enqueue(1).result(SOON)
    importers = {int(line) for line in (tmp_path / "imported.log").read_text().split()}
    assert importers == {os.getpid(), child}
    assert worker.pid not in importers
    assert "kitchen" not in Path(f"/proc/{worker.pid}/maps").read_text()


def test_a_child_leads_its_own_session_and_inherits_nothing_but_its_channel(
    launcher: Launcher, kitchen: ModuleType, tmp_path: Path
) -> None:
    worker = launcher.worker(KITCHEN, "-c", "1")
    (child,) = launcher.living("comanda.worker.child")
    assert os.getsid(child) == child != os.getsid(worker.pid)
    store = str(tmp_path / "shop.db")
    kinds = {
        "socket" if name.startswith("socket") else "loop" if name.startswith("anon_inode") else name
        for name in kitchen.descriptors.enqueue().result(SOON)
        if not name.startswith((store, "pipe:", "/dev/null"))
    }
    assert kinds <= {"socket", "loop"}


def test_a_task_that_holds_the_interpreter_for_three_leases_runs_once(launcher: Launcher, kitchen: ModuleType) -> None:
    launcher.worker(KITCHEN, **SHORT_LEASE)
    rescuer = launcher.worker(KITCHEN, **SHORT_LEASE)
    assert kitchen.hold.enqueue(6.2).result(SOON) == 1
    assert "silent" not in rescuer.output()


def test_a_frozen_supervisor_costs_no_job(launcher: Launcher, kitchen: ModuleType, gate: Gate) -> None:
    worker = launcher.worker(KITCHEN, "-q", "default", **SHORT_LEASE)
    job = kitchen.wait.enqueue()
    visit = gate.visit()
    worker.send(signal.SIGSTOP)
    rescuer = launcher.worker(KITCHEN, "-q", "other", **SHORT_LEASE)
    assert kitchen.hold.using(queue="other").enqueue(6.0).result(SOON) == 1  # three leases pass
    visit.let_go()
    assert job.result(SOON) == 1
    worker.send(signal.SIGCONT)
    assert kitchen.quick.enqueue(3).result(SOON) == 3
    assert "silent" not in rescuer.output()
    assert worker.stop() == 0


def test_the_late_finish_of_a_frozen_worker_is_refused_and_a_new_child_takes_its_place(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    frozen = launcher.worker(KITCHEN, **SHORT_LEASE)
    job = kitchen.wait.enqueue()
    late = gate.visit()
    for pid in (frozen.pid, late.pid):
        os.kill(pid, signal.SIGSTOP)
    rescuer = launcher.worker(KITCHEN, **SHORT_LEASE)
    rescuer.line("has been silent")
    again = gate.visit()
    again.let_go()
    assert job.result(SOON) == again.attempt
    late.let_go()
    for pid in (late.pid, frozen.pid):
        os.kill(pid, signal.SIGCONT)
    frozen.nth(r"was declared dead while it lived|LostLease")
    frozen.nth("is at work", 2)
    assert job.refresh().state == State.SUCCESSFUL
    assert [attempt.outcome for attempt in job.attempts] == ["lost", "successful"]
    assert frozen.stop() == rescuer.stop() == 0


def test_children_of_a_dead_supervisor_finish_what_runs_and_return_the_rest(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(KITCHEN, "-c", "1")
    running = kitchen.wait.enqueue()
    visit = gate.visit()
    waiting = kitchen.wait.enqueue()
    worker.kill()
    worker.line("the supervisor is gone")
    visit.let_go()
    await_end(visit.pid)
    assert running.refresh().state == State.SUCCESSFUL
    assert waiting.refresh().state == State.READY
    assert waiting.attempts == []


def test_children_of_a_dead_supervisor_hand_back_what_outlasts_the_grace_time(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(KITCHEN, "--grace", "0.2")
    job = kitchen.wait.enqueue()
    visit = gate.visit()
    worker.kill()
    await_end(visit.pid)
    assert job.refresh().state == State.READY
    assert job.attempts == []


def test_a_second_signal_means_now(launcher: Launcher, kitchen: ModuleType, gate: Gate) -> None:
    worker = launcher.worker(KITCHEN, "--grace", "3600")
    job = kitchen.wait.enqueue()
    visit = gate.visit()
    worker.send(signal.SIGINT)
    worker.line("stopping")
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    visit.await_death()
    assert job.refresh().state == State.READY
    assert job.attempts == []


def test_a_child_that_is_told_to_stop_goes_in_order_and_is_replaced(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(KITCHEN)
    job = kitchen.wait.enqueue()
    visit = gate.visit()
    os.kill(visit.pid, signal.SIGTERM)
    visit.let_go()
    assert job.result(SOON) == 1
    worker.line("is at work")
    assert kitchen.quick.enqueue(4).result(SOON) == 4
    assert "died" not in worker.output()


def test_a_stop_request_reaches_a_running_job_of_another_process_at_once(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    launcher.worker(KITCHEN, COMANDA_LEASE="3600", COMANDA_HEARTBEAT="1200")  # the next heartbeat is far away
    job = kitchen.obey.enqueue()
    visit = gate.visit()
    visit.let_go()
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(SOON)


def test_a_task_that_forks_runs_once_and_leaves_its_worker_well(launcher: Launcher, kitchen: ModuleType) -> None:
    worker = launcher.worker(KITCHEN)
    (child,) = launcher.living("comanda.worker.child")
    jobs = [kitchen.fork.enqueue() for _ in range(5)]
    assert all(job.result(SOON) > 0 for job in jobs)
    assert launcher.living("comanda.worker.child") == {child}
    assert worker.stop() == 0


def test_an_app_that_cannot_be_imported_is_refused_with_its_sentence(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no such luck')\n")
    for app, sentence in (
        ("nowhere:app", "there is no module 'nowhere'"),
        ("broken:app", "broken:app cannot be imported: RuntimeError: no such luck"),
        ("tests.e2e.apps.kitchen:nothing", "has no attribute 'nothing'"),
    ):
        worker = launcher.comanda("worker", app)
        assert worker.end() == 2
        assert worker.output().splitlines()[-1].startswith("comanda: ")
        assert sentence in worker.output()
        assert "ended (" not in worker.output(), "it was tried again"


def test_a_store_that_cannot_be_opened_is_named_with_exit_code_3(
    launcher: Launcher, kitchen: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "shop.db").write_text("no database, but long enough to look at" * 100)
    worker = launcher.comanda("worker", KITCHEN)
    assert worker.end() == 3
    assert "not a SQLite database" in worker.output()


def test_outcomes_survive_a_store_that_is_locked_for_a_while(
    launcher: Launcher, kitchen: ModuleType, gate: Gate, tmp_path: Path
) -> None:
    worker = launcher.worker(KITCHEN)
    job = kitchen.wait.enqueue()
    visit = gate.visit()
    locker = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    visit.let_go()
    worker.line("outcomes are kept until the store answers")
    locker.execute("ROLLBACK")
    locker.close()
    assert job.result(SOON) == 1
    worker.line("answers again")
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["successful"]
