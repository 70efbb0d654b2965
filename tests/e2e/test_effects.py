"""An exactly-once effect: whenever the worker dies, a transactional task's row is there once, and with its job."""

from __future__ import annotations

import signal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from comanda import Comanda, State
from comanda.task import SyncTask
from comanda.testing import run_jobs

from .apps.effects import make
from .processes import Launcher


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of the store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def effects(app: Comanda) -> list[int]:
    """Return the rows of the application's table, which is asked in a transaction that sees all commits."""
    with app.transaction() as connection:
        rows: Any = connection.execute(f"SELECT number FROM effects_{app.namespace}")  # noqa: S608 - the test's own
        return sorted(number for (number,) in rows)


def test_a_kill_at_any_step_of_the_completion_leaves_its_effect_exactly_once(
    launcher: Launcher, place: str, namespace: str
) -> None:
    """S1-09. Killed before the commit, it runs again and nothing is left of the first run; after it, it does not."""
    app = make(place, namespace, None)
    task = app.task_of(next(iter(app.tasks.values())))
    assert isinstance(task, SyncTask)
    with app.transaction() as connection:
        connection.execute(f"CREATE TABLE effects_{namespace} (number INTEGER)")
    committed = 0
    for step in count(1):
        job = task.enqueue(step)
        worker = launcher.python("-m", "tests.e2e.apps.effects", place, namespace, str(step))
        status = worker.end()
        assert status in (0, -signal.SIGKILL), worker.output()
        for dead in app.broker.workers():
            if dead.ended_at is None:
                app.broker.release(dead.owner, None)
        state = job.refresh().state
        assert (step in effects(app)) is (state is State.SUCCESSFUL)
        committed += state is State.SUCCESSFUL
        run_jobs(app)
        assert effects(app) == list(range(1, step + 1))
        assert job.refresh().attempts[-1].outcome == "successful"
        if not status:
            break
    assert (step >= 4, committed >= 2) == (True, True)  # dead before and after the commit, and alive in the end
    with app.transaction() as connection:
        connection.execute(f"DROP TABLE effects_{namespace}")
    app.close()
