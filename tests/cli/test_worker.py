"""`comanda worker` and `comanda run --wait`, as real processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from comanda import State

from .processes import comanda, started
from .shop import Shop

_APP = """
import os
from comanda import Comanda, Retry

app = Comanda("sqlite:///shop.db")


@app.task
def add(one: int, other: int) -> dict[str, int]:
    return {"sum": one + other}


@app.task(retry=Retry(max_attempts=1))
def fail(text: str) -> None:
    raise ValueError(text)


@app.task(queue="reports")
def report() -> None: ...
"""


@pytest.fixture
def place(workplace: Path) -> Path:
    (workplace / "tasks.py").write_text(_APP)
    return workplace


def test_a_burst_runs_what_is_there_and_ends(place: Path, shop: Shop) -> None:
    for number in range(3):
        assert comanda("run", "add", f"one={number}", "other=1", "--app", "tasks", directory=place).returncode == 0
    result = comanda("worker", "tasks:app", "--burst", "--log-level", "info", directory=place)
    assert result.returncode == 0
    assert result.stdout == ""
    assert shop.app.broker.counts() == {("default", State.SUCCESSFUL): 3}


def test_a_worker_takes_jobs_of_its_queues_only(place: Path, shop: Shop) -> None:
    comanda("run", "add", "one=1", "other=1", "--app", "tasks", directory=place)
    comanda("run", "report", "--app", "tasks", directory=place)
    assert comanda("worker", "tasks:app", "--burst", "-q", "reports,mail", directory=place).returncode == 0
    assert shop.app.broker.counts() == {("default", State.READY): 1, ("reports", State.SUCCESSFUL): 1}


def test_waiting_prints_the_result_and_a_failure_is_exit_1(place: Path) -> None:
    with started("worker", "tasks:app", "-c", "2", "-p", "1", "--grace", "5", directory=place) as (worker, lines):
        lines.until("is at work")
        done = comanda("run", "add", "one=1", "other=2", "--wait", "--app", "tasks", directory=place)
        assert (done.returncode, done.stdout) == (0, '{"sum":3}\n')
        assert "successful after" in done.stderr
        failed = comanda("run", "fail", "text=oh no", "--wait", "--app", "tasks", directory=place)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert "(tasks.fail) failed: ValueError: oh no" in failed.stderr
        assert "Traceback" not in failed.stderr
        shown = json.loads(
            comanda("run", "fail", "text=x", "--wait", "--json", "--app", "tasks", directory=place).stdout
        )
        assert (shown["state"], shown["error"]["type"]) == ("failed", "ValueError")
        worker.send_signal(signal.SIGTERM)
        assert "stopping" in lines.rest()
        assert worker.wait() == 0


@pytest.mark.parametrize(
    ("app", "text", "code", "sentence"),
    [
        ("nowhere:app", "", 2, "there is no module 'nowhere'"),
        ("broken:app", "1 / 0\n", 2, "broken:app cannot be imported: ZeroDivisionError"),
        ("broken:app", "import comanda\napp = comanda.Comanda('mysql://x')\n", 2, "unknown broker URL scheme 'mysql'"),
        ("broken:app", "import comanda\napp = comanda.Comanda('sqlite:///no/shop.db')\n", 3, "is not a directory"),
        ("broken:app", "import comanda\napp = comanda.Comanda('memory://')\n", 2, "live inside the process that"),
    ],
    ids=["module", "error", "scheme", "directory", "memory"],
)
def test_a_worker_that_cannot_begin_says_why_and_ends(
    workplace: Path, app: str, text: str, code: int, sentence: str
) -> None:
    (workplace / "broken.py").write_text(text)
    result = comanda("worker", app, directory=workplace)
    assert result.returncode == code
    assert sentence in result.stderr


def test_an_interrupted_wait_leaves_the_job_alone(place: Path, shop: Shop) -> None:
    with started("run", "add", "one=1", "other=2", "--wait", "--app", "tasks", directory=place) as (waiting, lines):
        lines.until("no worker that is alive takes tasks.add from queue default: it waits for one")
        waiting.send_signal(signal.SIGINT)
        assert "goes on\ncomanda: interrupted\n" in lines.rest()
        assert waiting.wait() == 130
    assert shop.app.broker.counts() == {("default", State.READY): 1}


@pytest.mark.parametrize(
    "options", [("-c", "0"), ("-p", "many"), ("-q", ","), ("--grace", "soon"), ("--log-level", "loud")], ids=" ".join
)
def test_options_that_do_not_fit_are_wrong_use(workplace: Path, options: tuple[str, ...]) -> None:
    assert comanda("worker", "tasks:app", *options, directory=workplace).returncode == 2
