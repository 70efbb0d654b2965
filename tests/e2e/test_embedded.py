"""A worker beside web processes: one group per host and app, whoever asks for it, and it ends with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from .processes import ROOT, SOON, Launcher, Process, await_end, kill

SUPERVISOR = r"comanda\.worker\.supervisor"
CHILD = r"comanda\.worker\.child"
AT_WORK = r"child (\d+) is at work"
SERVING = r"Starting (?:WSGI )?development server at (http://\S+)"  # Django 6.1 names the protocol
WATCHED = "File .*devguro/urls.py first seen"


@pytest.fixture
def project(tmp_path: Path, url: str) -> Path:
    """A copy of the Django project, with its tables."""
    directory = tmp_path / "project"
    shutil.copytree(ROOT / "tests/e2e/django_project", directory)
    return directory


def group(launcher: Launcher) -> tuple[int, int]:
    """Return how many supervisors and children live."""
    return len(launcher.living(SUPERVISOR)), len(launcher.living(CHILD))


def sum_through(address: str) -> int:
    """Ask a web process for a sum that its worker computes."""
    with httpx.Client(base_url=address, trust_env=False, timeout=SOON) as client:
        return int(client.get("/sums/20/22/").raise_for_status().json()["sum"])


def test_runserver_starts_one_group_and_after_an_autoreload_there_is_still_one(
    launcher: Launcher, project: Path
) -> None:
    server = launcher.python(str(project / "manage.py"), "runserver", "127.0.0.1:0")
    first = int(server.nth(AT_WORK)[1])
    assert sum_through(server.nth(SERVING)[1]) == 42
    assert group(launcher) == (1, 1)
    server.nth(WATCHED)
    (project / "devguro/urls.py").touch()
    second = int(server.nth(AT_WORK, 2)[1])
    assert sum_through(server.nth(SERVING, 2)[1]) == 42
    await_end(first)
    assert launcher.living(CHILD) == {second}
    assert group(launcher) == (1, 1)


@pytest.mark.parametrize("command", [("migrate",), ("check",), ("shell", "-c", "import devguro.tasks, devguro.urls")])
def test_other_management_commands_start_none(launcher: Launcher, project: Path, command: tuple[str, ...]) -> None:
    done = launcher.python(str(project / "manage.py"), *command)
    assert done.end() == 0, done.output()
    assert "comanda" not in done.output()
    assert not (launcher.directory / "shop.db").exists(), "not even the store was opened"


def test_two_web_processes_share_one_group_and_the_second_takes_over_when_the_first_is_killed(
    launcher: Launcher, url: str
) -> None:
    def serve() -> tuple[Process, httpx.Client]:
        web = launcher.python("-m", "uvicorn", "tests.e2e.apps.web:api", "--port", "0")
        address = web.nth(r"Uvicorn running on (http://\S+)")[1]
        return web, httpx.Client(base_url=address, trust_env=False, timeout=SOON)

    first, client = serve()
    with client:
        child = client.get("/workers").json()["pid"]
        second, other_client = serve()
        with other_client:
            assert other_client.get("/workers").json()["pid"] == child
            assert group(launcher) == (1, 1)
            kill(first.pid)
            await_end(child)
            successor = int(second.nth(AT_WORK)[1])
            assert other_client.get("/workers").json()["pid"] == successor
            assert launcher.living(CHILD) == {successor}
    second.stop()
    assert group(launcher) == (0, 0)
