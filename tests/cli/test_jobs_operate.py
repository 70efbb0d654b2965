"""`comanda jobs retry` and `comanda jobs cancel`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from comanda import State

from .conftest import Run
from .shop import Shop


def test_a_named_job_is_retried_and_recorded(shop: Shop, run: Run) -> None:
    job = shop.failed()
    result = run("jobs", "retry", job.id, "--url", shop.url)
    assert (result.exit_code, result.stdout) == (0, "retried 1 of 1 job\n")
    assert job.refresh().state is State.READY
    assert [done.verb for done in job.operations] == ["retry"]


def test_named_jobs_are_cancelled(shop: Shop, run: Run) -> None:
    jobs = [shop.send_mail.enqueue("ann"), shop.make_report.enqueue("may")]
    assert run("jobs", "cancel", *[job.id for job in jobs], "--url", shop.url).exit_code == 0
    assert [job.refresh().state for job in jobs] == [State.CANCELLED, State.CANCELLED]


def test_a_running_job_is_asked_to_stop(shop: Shop, run: Run) -> None:
    job = shop.send_mail.enqueue("ann")
    shop.claim(job)
    assert run("jobs", "cancel", job.id, "--url", shop.url).exit_code == 0
    assert "running, stopping" in run("jobs", "ls", "--url", shop.url).stdout


def test_a_named_job_in_another_state_is_refused_and_the_others_are_done(shop: Shop, run: Run) -> None:
    waiting, failed = shop.make_report.enqueue("may"), shop.failed()
    result = run("jobs", "retry", waiting.id, failed.id, "--url", shop.url)
    assert result.exit_code == 5
    assert f"not retried: {waiting.id} (ready); retry takes successful, failed, cancelled or expired" in result.stderr
    assert failed.refresh().state is State.READY


def test_one_unknown_id_stops_all(shop: Shop, run: Run) -> None:
    failed = shop.failed()
    result = run("jobs", "retry", failed.id, "ffffffff-ffff-7fff-bfff-ffffffffffff", "--url", shop.url)
    assert (result.exit_code, failed.refresh().state) == (4, State.FAILED)


def test_a_search_shows_the_count_and_five_samples_first(shop: Shop, run: Run) -> None:
    jobs = [shop.failed() for _ in range(7)]
    result = run("jobs", "retry", "state:failed", "--dry-run", "--url", shop.url)
    assert result.exit_code == 0
    assert "7 jobs match: 7 failed; 7 shop.send_mail; the oldest is " in result.stdout
    assert [job.id in result.stdout for job in jobs] == [False] * 2 + [True] * 5
    assert "… and 2 more\n7 jobs would be retried\n" in result.stdout
    assert all(job.refresh().state is State.FAILED for job in jobs)


def test_a_search_is_refused_without_a_terminal(shop: Shop, run: Run) -> None:
    job = shop.failed()
    result = run("jobs", "retry", "state:failed", "--url", shop.url)
    assert result.exit_code == 5
    assert "needs --yes" in result.stderr
    assert job.refresh().state is State.FAILED


def test_a_search_with_yes_is_done(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    jobs = [shop.failed() for _ in range(3)]
    assert run("jobs", "retry", "task:send_mail", "--yes", "--url", shop.url).stdout.endswith("retried 3 of 3 jobs\n")
    assert all(job.refresh().state is State.READY for job in jobs)
    done = data("jobs", "cancel", "state:waiting", "queue:default", "--yes", "--url", shop.url)
    assert done == {"verb": "cancel", "matched": 3, "done": 3, "dry_run": False}


def test_a_search_leaves_successful_jobs_alone_unless_they_are_named(shop: Shop, run: Run) -> None:
    job = shop.successful()
    result = run("jobs", "retry", "task:send_mail", "--yes", "--url", shop.url)
    assert (result.exit_code, job.refresh().state) == (0, State.SUCCESSFUL)
    assert "no failed, cancelled or expired job matches" in result.stderr
    run("jobs", "retry", "state:successful", "--yes", "--url", shop.url)
    assert job.refresh().state is State.READY


def test_a_search_beyond_one_page_is_done_whole(shop: Shop, data: Callable[..., Any]) -> None:
    shop.app.enqueue_many(shop.send_mail.call("ann") for _ in range(2_100))
    done = data("jobs", "cancel", "task:send_mail", "--yes", "--url", shop.url)
    assert (done["matched"], done["done"]) == (2_100, 2_100)
    assert shop.app.broker.counts() == {("default", State.CANCELLED): 2_100}


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_an_empty_filter_is_refused(shop: Shop, run: Run, verb: str) -> None:
    jobs = [shop.failed(), shop.send_mail.enqueue("ann")]
    result = run("jobs", verb, "--yes", "--url", shop.url)
    assert result.exit_code == 5
    assert "nothing is named" in result.stderr
    assert [job.refresh().state for job in jobs] == [State.FAILED, State.READY]


def test_states_the_verb_does_not_take_are_refused(shop: Shop, run: Run) -> None:
    shop.failed()
    result = run("jobs", "cancel", "state:failed", "--yes", "--url", shop.url)
    assert result.exit_code == 5
    assert "cancel takes scheduled, ready or running jobs" in result.stderr


def test_ids_and_search_words_do_not_mix(shop: Shop, run: Run) -> None:
    job = shop.failed()
    assert run("jobs", "retry", job.id, "state:failed", "--url", shop.url).exit_code == 2
    assert job.refresh().state is State.FAILED


@pytest.mark.parametrize(("answer", "code", "state"), [("y", 0, State.READY), ("n", 5, State.FAILED)])
def test_on_a_terminal_a_search_asks(shop: Shop, answer: str, code: int, state: State) -> None:
    job = shop.failed()
    terminal, line = pty.openpty()
    command = [sys.executable, "-m", "comanda", "jobs", "retry", "state:failed", "--json", "--url", shop.url]
    with subprocess.Popen(command, stdin=line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        os.close(line)
        os.write(terminal, f"{answer}\n".encode())
        output, talk = process.communicate()
        os.close(terminal)
    assert (process.returncode, job.refresh().state) == (code, state)
    assert "Retry 1 job? [y/N]" in talk
    if code == 0:
        assert json.loads(output)["done"] == 1
