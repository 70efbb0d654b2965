"""A job is never half there: its record and its place in the line are one row, committed with the caller's own rows."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from comanda import Comanda
from comanda.brokers.records import Demand, State, WorkerInfo

from .processes import Launcher


def stored(path: Path) -> tuple[int, int, int]:
    """Return how many rows of the application, how many records of jobs and how many waiting jobs there are."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # for this look alone
        (orders,) = connection.execute("SELECT count(*) FROM orders").fetchone()
    app = Comanda(f"sqlite:///{path}")
    found, waiting = len(app.find_jobs()), app.broker.counts().get(("default", State.READY), 0)
    app.close()
    return int(orders), found, waiting


def claimed(path: Path) -> int:
    """Return how many jobs a worker gets."""
    app = Comanda(f"sqlite:///{path}")
    owner = app.broker.register(WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=("note",)))
    jobs = app.broker.claim(owner, Demand(10, frozenset({"note"})))
    app.close()
    return len(jobs)


@pytest.mark.parametrize(("how", "orders", "jobs"), [("transaction", 1, 1), ("many", 0, 3), ("one", 0, 1)])
def test_a_kill_between_any_two_statements_leaves_all_of_an_enqueue_or_nothing(
    launcher: Launcher, tmp_path: Path, how: str, orders: int, jobs: int
) -> None:
    producer = launcher.python("-m", "tests.e2e.apps.dying", str(tmp_path), how)
    assert producer.end() == 0, producer.output()
    *killed, whole = (int(line) for line in producer.output().splitlines())
    assert killed == [-signal.SIGKILL] * len(killed)
    assert (len(killed) >= 2, whole) == (True, 0)
    for statement in range(1, len(killed) + 1):
        assert stored(tmp_path / f"{statement}.db") == (0, 0, 0), f"killed before statement {statement}"
    path = tmp_path / f"{len(killed) + 1}.db"
    assert stored(path) == (orders, jobs, jobs)
    assert claimed(path) == jobs
