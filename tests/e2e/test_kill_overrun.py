"""Time limits that nothing in the process can enforce, and jobs in processes of their own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import ModuleType

import pytest

from comanda import JobCancelled, JobFailed, State

from .processes import SOON, Gate, Launcher

KITCHEN = "tests.e2e.apps.kitchen:app"


def test_a_body_that_goes_on_costs_its_child_and_counts_as_timed_out(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(KITCHEN, "--grace", "0.2")
    job = kitchen.deaf.enqueue()
    visit = gate.visit()
    worker.line(f"child {visit.pid} takes no more jobs, another one takes over: .*deaf did not stop at its time limit")
    worker.line("is at work")  # at once, while the old child still lives
    visit.await_death()
    assert job.result(SOON) == 2
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["timed_out", "successful"]
    assert "died" not in worker.output()
    assert worker.stop() == 0


def test_the_outcome_of_an_overrun_is_not_written_while_its_process_lives(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(KITCHEN, "--grace", "60")
    job = kitchen.deaf.enqueue()
    neighbour = kitchen.wait.enqueue()
    visits = {visit.job: visit for visit in (gate.visit(), gate.visit())}
    worker.line("another one takes over")
    worker.line("is at work")
    assert kitchen.quick.enqueue(5).result(SOON) == 5
    assert job.refresh().state == State.RUNNING
    visits[neighbour.id].let_go()
    assert neighbour.result(SOON) == 1, "neighbours get the grace time"
    assert job.result(SOON) == 2, "the old process ended by itself, without waiting for the grace time"
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["timed_out", "successful"]


def test_neighbours_of_an_overrun_that_outlast_the_grace_time_go_back_uncharged(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    launcher.worker(KITCHEN, "--grace", "0.2")
    neighbour = kitchen.wait.enqueue()
    gate.visit()
    kitchen.deaf.enqueue()
    gate.visit()
    again = gate.visit()
    assert (again.job, again.attempt) == (neighbour.id, 1)
    again.let_go()
    assert neighbour.result(SOON) == 1
    assert [attempt.outcome for attempt in neighbour.refresh().attempts] == ["successful"]


def test_a_task_that_holds_the_interpreter_beyond_its_limit_costs_nobody_else(
    launcher: Launcher, kitchen: ModuleType, gate: Gate
) -> None:
    worker = launcher.worker(KITCHEN)
    neighbour = kitchen.wait.enqueue()
    gate.visit()
    job = kitchen.hold_on.enqueue()
    worker.line("is frozen by a task beyond its time limit and is killed")
    worker.line("2 jobs handed back, 1 of which had started")
    again = gate.visit()
    assert (again.job, again.attempt) == (neighbour.id, 1)
    again.let_go()
    assert (neighbour.result(SOON), job.result(SOON)) == (1, 2)
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["lost", "successful"]
    assert [attempt.outcome for attempt in neighbour.refresh().attempts] == ["successful"]


def test_an_isolated_job_runs_in_a_process_of_its_own(launcher: Launcher, kitchen: ModuleType) -> None:
    worker = launcher.worker(KITCHEN)
    (child,) = launcher.living("comanda.worker.child")
    pids = {task.enqueue().result(SOON) for task in (kitchen.apart, kitchen.apart, kitchen.apart_async)}
    assert len(pids) == 3
    assert not pids & {child, worker.pid}
    assert launcher.living("comanda.worker.isolated") == set()


def test_an_isolated_job_is_told_at_its_limit_and_killed_two_seconds_later(
    launcher: Launcher, kitchen: ModuleType, gate: Gate, tmp_path: Path
) -> None:
    worker = launcher.worker(KITCHEN)
    polite, deaf = kitchen.apart_endless.enqueue(), kitchen.apart_deaf.enqueue()
    visit = gate.visit()
    began = time.monotonic()
    for job in (polite, deaf):
        with pytest.raises(JobFailed, match=r"time limit of 0\.5 s"):
            job.result(SOON)
    assert time.monotonic() - began < SOON
    visit.await_death()
    assert (tmp_path / "cleaned").exists()
    assert [job.refresh().attempts[0].outcome for job in (polite, deaf)] == ["timed_out", "timed_out"]
    assert "takes over" not in worker.output()


@pytest.mark.parametrize(("status", "words"), [(7, "exit code 7"), (-9, "killed by SIGKILL")])
def test_the_crash_of_an_isolated_job_is_a_failed_attempt_and_no_crash_of_the_child(
    launcher: Launcher, kitchen: ModuleType, status: int, words: str
) -> None:
    worker = launcher.worker(KITCHEN)
    (child,) = launcher.living("comanda.worker.child")
    with pytest.raises(JobFailed, match=words) as caught:
        kitchen.apart_dying.enqueue(status).result(SOON)
    assert caught.value.error_type == "ChildProcessError"
    assert launcher.living("comanda.worker.child") == {child}
    assert "died" not in worker.output()


def test_a_cancelled_isolated_job_is_killed_after_a_moment(launcher: Launcher, kitchen: ModuleType, gate: Gate) -> None:
    launcher.worker(KITCHEN)
    job = kitchen.apart_waiting.enqueue()
    visit = gate.visit()
    job.cancel()
    visit.await_death()
    with pytest.raises(JobCancelled):
        job.result(SOON)


def test_isolated_processes_end_with_their_child(launcher: Launcher, kitchen: ModuleType, gate: Gate) -> None:
    launcher.worker(KITCHEN)
    (child,) = launcher.living("comanda.worker.child")
    kitchen.apart_waiting.enqueue()
    visit = gate.visit()
    os.kill(child, 9)
    visit.await_death()
