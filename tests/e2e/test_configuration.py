"""The environment alone configures a worker, and every line about a job carries its id."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from comanda.brokers.factory import SCHEMES

from .processes import SHOP, SOON, Launcher


def test_the_environment_alone_configures_a_worker(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMANDA_URL", raising=False)
    settings = {"COMANDA_URL": "sqlite+apsw:///named.db", "COMANDA_PROCESSES": "2", "COMANDA_APP": SHOP}
    worker = launcher.comanda("worker", **settings)
    worker.line(rf"works on sqlite\+apsw:///{tmp_path}/named\.db: \d tasks, 2 processes with 8 slots each")
    for _ in range(2):
        worker.line("is at work")
    assert worker.stop() == 0
    info = launcher.comanda("info", **settings)
    assert info.end() == 0
    assert f"sqlite+apsw:///{tmp_path}/named.db" in info.output()


def test_log_level_decides_which_lines_are_written(launcher: Launcher, shop: ModuleType) -> None:
    job = shop.add.enqueue(1, 2)
    quiet = launcher.comanda("worker", SHOP, "--burst", LOG_LEVEL="ERROR")
    assert quiet.end() == 0
    assert job.result(SOON) == 3
    assert quiet.output() == ""


def test_without_a_url_the_start_stops_with_a_sentence(launcher: Launcher) -> None:
    worker = launcher.comanda("worker", SHOP)
    assert worker.end() == 2
    assert worker.output() == (
        "comanda: no broker URL: pass one, Comanda('sqlite:///shop.db'), or set COMANDA_URL "
        f"(known are {', '.join(f'{scheme}://' for scheme in SCHEMES)})"
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("COMANDA_PROCESES", "2", "there is no setting 'proceses'; did you mean 'processes'?"),
        ("COMANDA_PROCESSES", "two", "the environment: processes must be int, got 'two'"),
        ("COMANDA_URL", "mysql://db", "unknown broker URL scheme 'mysql'"),
    ],
)
def test_a_wrong_variable_stops_the_start_with_a_sentence(
    launcher: Launcher, url: str, name: str, value: str, sentence: str
) -> None:
    worker = launcher.comanda("worker", SHOP, **{name: value})
    assert worker.end() == 2
    assert sentence in worker.output()
    assert len(worker.output().splitlines()) == 1


def test_lines_of_the_api_the_worker_and_the_job_module_carry_the_jobs_id(launcher: Launcher, url: str) -> None:
    web = launcher.python("-m", "uvicorn", "tests.e2e.apps.web:api", "--port", "0")
    address = web.line(r"Uvicorn running on (http://\S+)")[1]
    with httpx.Client(base_url=address, trust_env=False, timeout=SOON) as client:
        job_id = client.post("/sums", params={"left": 20, "right": 22}).json()["id"]
        assert client.get(f"/sums/{job_id}").json() == {"sum": 42}
    assert web.stop() == -signal.SIGTERM  # once it has stopped in order, uvicorn passes the signal on
    about = [line for line in web.output().splitlines() if f"[{job_id}]" in line]
    for name, text in (
        ("web", "accepted"),
        ("sums", "adding"),
        ("comanda.worker", "tests.e2e.apps.web.add finished in"),
    ):
        assert any(re.search(rf"INFO {re.escape(name)} .* {re.escape(text)}", line) for line in about), web.output()
