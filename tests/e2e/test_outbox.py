"""Jobs on Redis, the application's data in a SQL database: an outbox between them, and a worker that is killed."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

from comanda.brokers.records import State
from comanda.outbox.relay import Relay

from .processes import SHOP, Launcher, await_end

JOBS = 120
KILLS = 3


@contextmanager
def in_sqlite(url: str) -> Iterator[Any]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        yield connection


KINDS: dict[str, Callable[[str], Any]] = {"sqlite": in_sqlite, "postgresql": psycopg.connect}


@pytest.fixture(params=KINDS)
def connect(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """Open a connection to the application's database. The environment tells everybody where everything is."""
    sql = f"sqlite:///{tmp_path}/shop.db"
    if request.param == "postgresql":
        sql = request.getfixturevalue("postgres_url")
    for name, value in (("URL", redis_url), ("OUTBOX", sql), ("NAMESPACE", namespace)):
        monkeypatch.setenv(f"COMANDA_{name}", value)
    monkeypatch.chdir(tmp_path)
    return lambda: KINDS[request.param](sql)


@pytest.fixture
def shop(connect: Callable[[], Any], tmp_path: Path) -> Iterator[ModuleType]:
    """The app of these tests, on the stores that the environment names."""
    sys.modules.pop("tests.e2e.apps.shop", None)
    module = importlib.import_module("tests.e2e.apps.shop")
    yield module
    module.app.close()
    sys.modules.pop("tests.e2e.apps.shop", None)


def test_a_worker_that_is_killed_again_and_again_loses_no_job_and_makes_none_twice(
    launcher: Launcher, shop: ModuleType, connect: Callable[[], Any]
) -> None:
    """S1-03 with the broker elsewhere: committed jobs run, rolled back ones do not, whenever the relay dies."""
    kept: list[str] = []
    with connect() as connection:
        for part in range(KILLS):
            worker = launcher.worker(SHOP)
            for number in range(JOBS // KILLS):
                kept.append(shop.note.using(connection=connection).enqueue(part).id)
                connection.commit()
                shop.note.using(connection=connection).enqueue(number)
                connection.rollback()
            worker.nth("note finished in", 5)
            worker.kill()
    for child in launcher.living("comanda.worker.child"):
        await_end(child)  # it finishes what runs and hands back the rest
    outbox = shop.app.runtime.outbox
    Relay(outbox, shop.app.broker).drain()
    worker = launcher.comanda("worker", SHOP, "--burst")
    assert worker.end() == 0, worker.output()
    jobs = shop.app.find_jobs(limit=1_000)
    assert sorted(job.id for job in jobs) == sorted(kept)
    assert {job.state for job in jobs} == {State.SUCCESSFUL}
    assert outbox.status().waiting == 0
