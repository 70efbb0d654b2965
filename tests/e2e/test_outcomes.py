"""What becomes of a job in a real worker, and how its caller hears of it."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

import comanda
from comanda import Comanda, JobFailed, ResultTimeout, State

from .conftest import Load
from .processes import SHOP, SOON, Gate, Launcher


class FlakyModel(http.server.BaseHTTPRequestHandler):
    """Answers the third request."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Fail twice, then answer."""
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200 if len(self.asked) == 3 else 503)
        self.end_headers()
        self.wfile.write(b"Django, Elasticsearch")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_model_that_fails_twice_and_then_answers_gives_one_result_after_three_attempts(
    launcher: Launcher, load: Load
) -> None:
    llm = load("llm")
    FlakyModel.asked = []
    with serving(FlakyModel) as address:
        launcher.worker("tests.e2e.apps.llm:app", LLM_URL=address)
        job = llm.ask.enqueue("Which technologies?")
        assert job.result(SOON) == "Django, Elasticsearch"
    assert FlakyModel.asked == ["Which technologies?"] * 3
    attempts = job.refresh().attempts
    assert [(attempt.number, attempt.outcome) for attempt in attempts] == [
        (1, "failed"),
        (2, "failed"),
        (3, "successful"),
    ]
    assert "HTTPStatusError" in attempts[0].traceback
    assert [len(llm.app.find_jobs()), job.state] == [1, State.SUCCESSFUL]


def test_each_attempt_shows_its_times_and_the_host_pid_and_version_of_its_worker(
    launcher: Launcher, shop: ModuleType, gate: Gate
) -> None:
    launcher.worker(SHOP)
    before = datetime.now(UTC)
    job = shop.visit.enqueue()
    visit = gate.visit()
    (running,) = job.refresh().attempts
    assert (running.outcome, running.finished_at, running.pid) == ("running", None, visit.pid)
    visit.let_go()
    job.result(SOON)
    (attempt,) = job.refresh().attempts
    assert (attempt.host, attempt.pid, attempt.version) == (socket.gethostname(), visit.pid, comanda.__version__)
    assert attempt.finished_at is not None
    assert before <= attempt.started_at <= attempt.finished_at <= datetime.now(UTC)
    shown = launcher.comanda("jobs", "show", job.id)
    assert shown.end() == 0
    assert f"{attempt.host}/{attempt.pid}" in shown.output()


def test_a_caller_may_forget_a_job_or_wait_for_it_with_a_time_out(
    launcher: Launcher, shop: ModuleType, gate: Gate
) -> None:
    told = shop.note.enqueue(1)
    asked = shop.visit.enqueue()
    assert told.state == asked.state == State.READY
    launcher.worker(SHOP)
    visit = gate.visit()
    with pytest.raises(ResultTimeout, match=asked.id):
        asked.result(0.05)
    visit.let_go()
    assert asked.result(SOON) == 1
    assert told.result(SOON) == 1


async def test_a_coroutine_may_wait_as_well(launcher: Launcher, shop: ModuleType) -> None:
    launcher.worker(SHOP)
    job = await shop.add.aenqueue(20, 22)
    assert await job.aresult(SOON) == 42


def test_status_and_result_are_found_by_id_from_elsewhere(launcher: Launcher, shop: ModuleType, url: str) -> None:
    launcher.worker(SHOP)
    job_id = shop.add.enqueue(20, 22).id
    shop.app.get_job(job_id).result(SOON)
    elsewhere = Comanda(url)  # knows no task
    found = elsewhere.get_job(job_id)
    assert (found.state, found.result(SOON)) == (State.SUCCESSFUL, 42)
    elsewhere.close()
    shown = launcher.comanda("jobs", "show", job_id, "--json")
    assert shown.end() == 0
    document = json.loads(shown.output())
    assert (document["state"], document["result"]) == ("successful", 42)


def test_a_dead_letter_keeps_its_traceback_and_is_driven_again_by_itself(
    launcher: Launcher, shop: ModuleType, tmp_path: Path
) -> None:
    launcher.worker(SHOP)
    job = shop.fail.enqueue("no-mail-server")
    with pytest.raises(JobFailed, match="no-mail-server") as caught:
        job.result(SOON)
    assert "raise LookupError(reason)" in caught.value.remote_traceback
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["failed", "failed"]
    listed = launcher.comanda("jobs", "ls", "state:failed", "--json")
    assert listed.end() == 0
    assert [row["id"] for row in json.loads(listed.output())["jobs"]] == [job.id]
    shown = launcher.comanda("jobs", "show", job.id, "--traceback")
    assert shown.end() == 0
    assert "LookupError: no-mail-server" in shown.output()
    (tmp_path / "no-mail-server").touch()
    assert job.retry()
    assert job.result(SOON) is None
    assert [attempt.outcome for attempt in job.attempts] == ["failed", "failed", "successful"]
    assert [operation.verb for operation in job.operations] == ["retry"]


def test_dead_letters_are_driven_again_in_bulk(launcher: Launcher, shop: ModuleType, tmp_path: Path) -> None:
    launcher.worker(SHOP)
    jobs = shop.app.enqueue_many(shop.fail.call("no-mail-server") for _ in range(25))
    other = shop.fail.enqueue("something-else")
    for job in (*jobs, other):
        with pytest.raises(JobFailed):
            job.result(SOON)
    (tmp_path / "no-mail-server").touch()
    counted = launcher.comanda("jobs", "retry", "state:failed", "--dry-run")
    assert counted.end() == 0
    assert "26 jobs would be" in counted.output()
    driven = launcher.comanda("jobs", "retry", "state:failed", "--yes")
    assert driven.end() == 0
    for job in jobs:
        assert job.result(SOON) is None
    with pytest.raises(JobFailed):  # what was not mended fails again
        other.result(SOON)
