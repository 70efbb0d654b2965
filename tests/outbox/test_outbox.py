"""An outbox in SQLite: what the caller's transaction writes, and what is refused."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from comanda import Comanda, ConfigurationError, JobNotFound, NotInTransaction, NotSupported, State
from comanda.cli.checks.finding import Level
from comanda.cli.checks.outbox import outbox as look_at
from comanda.outbox.base import Refusal
from comanda.sqlalchemy import prepare
from comanda.testing import inline, run_jobs
from tests.outbox.conftest import Shop, open_application

LONG = 30.0
"""Seconds that only a failing test waits."""


def test_a_rollback_leaves_no_job_and_a_commit_always_one(shop: Shop) -> None:
    shop.connection.execute("INSERT INTO orders DEFAULT VALUES")
    shop.task.using(connection=shop.connection).enqueue(1)
    shop.connection.rollback()
    shop.connection.execute("INSERT INTO orders DEFAULT VALUES")
    kept = shop.task.using(connection=shop.connection).enqueue(2)
    assert len(kept.id) == 36
    shop.connection.commit()
    assert (run_jobs(shop.app), shop.called, kept.result()) == (1, [2], 2)
    assert shop.rows() == []


def test_the_job_is_in_no_store_before_the_relay_has_moved_it(shop: Shop) -> None:
    job = shop.task.using(connection=shop.connection).enqueue(1)
    shop.connection.commit()
    with pytest.raises(JobNotFound):
        job.refresh()
    shop.relay.drain()
    job.refresh()
    assert job.state is State.READY


def test_an_id_makes_one_job_wherever_it_is(shop: Shop) -> None:
    first = shop.task.using(connection=shop.connection).enqueue(1)
    again = shop.task.using(connection=shop.connection, id=first.id).enqueue(1)
    shop.connection.commit()
    shop.relay.drain()
    late = shop.task.using(connection=shop.connection, id=first.id).enqueue(1)
    shop.connection.commit()
    shop.relay.drain()
    assert (first.created, again.created, late.id) == (True, False, first.id)
    assert shop.stored() == [first.id]


def test_the_first_use_may_be_inside_a_transaction_that_holds_the_write_lock(shop: Shop) -> None:
    shop.connection.execute("INSERT INTO orders DEFAULT VALUES")
    shop.task.using(connection=shop.connection).enqueue(1)
    shop.connection.rollback()
    shop.connection.execute("INSERT INTO orders DEFAULT VALUES")
    kept = shop.task.using(connection=shop.connection).enqueue(2)
    shop.connection.commit()
    shop.relay.drain()
    assert shop.stored() == [kept.id]


def test_nothing_but_the_outbox_is_made_in_the_application_s_file(shop: Shop) -> None:
    shop.task.using(connection=shop.connection).enqueue(1)
    shop.connection.commit()
    shop.relay.drain()
    names = {name for (name,) in shop.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"orders", "comanda_outbox"}


async def test_async_connections_keep_the_same_promise(shop: Shop) -> None:
    async with aiosqlite.connect(shop.path) as connection:
        await connection.execute("PRAGMA wal_autocheckpoint = 0")
        await shop.task.using(connection=connection).aenqueue(1)
        await connection.rollback()
        first = await shop.task.using(connection=connection).aenqueue(2)
        await connection.commit()
    engine = create_async_engine(f"sqlite+aiosqlite:///{shop.path}")
    prepare(engine)
    async with AsyncSession(engine) as session:
        await session.execute(text("INSERT INTO orders DEFAULT VALUES"))
        second = await shop.task.using(connection=session).aenqueue(3)
        await session.commit()
    await engine.dispose()
    await asyncio.to_thread(shop.relay.drain)
    assert await asyncio.to_thread(shop.stored) == [first.id, second.id]


@contextmanager
def sqlalchemy_connection(path: Path) -> Iterator[Any]:
    engine = create_engine(f"sqlite:///{path}")
    prepare(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("kind", [lambda path: closing(open_application(path)), sqlalchemy_connection])
def test_a_relay_that_waits_is_woken_after_the_commit(shop: Shop, kind: Any) -> None:
    """It waits for two minutes unless it is told, so that only the bell can explain its return."""
    shop.outbox.wait(0)  # from here on it hears
    woken = threading.Thread(target=shop.outbox.wait, args=(120.0,))
    woken.start()
    with kind(shop.path) as connection:
        shop.task.using(connection=connection).enqueue(1)
        connection.commit()
        woken.join(LONG)
        assert not woken.is_alive()


def test_a_worker_in_this_process_relays(shop: Shop) -> None:
    done = threading.Event()

    @shop.app.task(name="tell")
    def tell() -> None:
        done.set()

    worker = shop.app.start_worker()
    tell.using(connection=shop.connection).enqueue()
    shop.connection.commit()
    assert done.wait(LONG)
    worker.stop()


def test_inline_mode_runs_what_was_committed_at_the_next_run(shop: Shop) -> None:
    with inline(shop.app):
        shop.task.using(connection=shop.connection).enqueue(1)
        shop.connection.commit()
        assert shop.called == []
        run_jobs(shop.app)
        assert shop.called == [1]


def test_the_queue_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    """The way to sqlite+apsw for an application whose data is in a file that sqlite3 opens (style guide, section 6)."""
    app = Comanda(f"sqlite+apsw:///{tmp_path}/queue.db", outbox=f"sqlite:///{tmp_path}/shop.db")
    task = app.task(name="one")(lambda: 1)
    with closing(open_application(tmp_path / "shop.db")) as connection:
        job = task.using(connection=connection).enqueue()
        connection.commit()
        run_jobs(app)
        assert job.result() == 1
    app.close()


def test_a_forked_process_enqueues_on_a_connection_of_its_own(shop: Shop) -> None:
    shop.outbox.open()
    shop.connection.close()  # the application's own: SQLite's locks do not pass a fork
    child = os.fork()
    if not child:
        with suppress(BaseException):
            connection = open_application(shop.path)
            shop.task.using(connection=connection).enqueue(1)
            connection.commit()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    shop.relay.drain()
    assert len(shop.stored()) == 1


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["redis://localhost", "memory://", "shop.db", "mysql://root:secret@localhost/shop"])
def test_an_outbox_must_be_in_a_database_that_can_hold_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match="an outbox is a table in the application's database") as refused:
        Comanda("memory://", outbox=url)
    assert "secret" not in str(refused.value)


def test_a_connection_to_another_file_is_refused(shop: Shop, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "other.db")) as connection,
        pytest.raises(ConfigurationError, match=r"but the outbox lives in .*shop\.db"),
    ):
        shop.task.using(connection=connection).enqueue(1)


def test_a_connection_that_commits_each_statement_is_refused(shop: Shop) -> None:
    with (
        closing(sqlite3.connect(shop.path, isolation_level=None)) as connection,
        pytest.raises(NotInTransaction),
    ):
        shop.task.using(connection=connection).enqueue(1)


def test_a_conflict_that_only_the_store_can_see_cannot_be_rejected(shop: Shop) -> None:
    with pytest.raises(NotSupported, match="on_conflict"):
        shop.task.using(connection=shop.connection, unique_key="k", on_conflict="reject").enqueue(1)


# -- what doctor says --------------------------------------------------------------------------------------------------


def test_doctor_counts_what_waits_and_names_what_was_set_aside(shop: Shop) -> None:
    assert [(finding.level, finding.message[:9]) for finding in look_at(shop.app, None)] == [(Level.OK, "0 jobs in")]
    jobs = [shop.task.using(connection=shop.connection).enqueue(number) for number in range(7)]
    shop.connection.commit()
    shop.outbox.settle([], [Refusal(row[0], "a reason") for row in shop.rows()[:6]])
    findings = list(look_at(shop.app, "shop:app"))
    assert [finding.level for finding in findings] == [Level.OK] + [Level.PROBLEM] * 6
    assert findings[0].message.startswith("1 job in comanda_outbox (sqlite:///")
    assert findings[1].message == f"job {jobs[0].id} was set aside: a reason"
    assert findings[6].message == "1 more were set aside"


def test_doctor_says_when_nobody_moves_the_jobs(shop: Shop) -> None:
    shop.task.using(connection=shop.connection).enqueue(1)
    shop.connection.execute("UPDATE comanda_outbox SET at = at - 120000000")
    shop.connection.commit()
    (finding,) = look_at(shop.app, "shop:app")
    assert (finding.level, finding.fix) == (Level.PROBLEM, "comanda worker shop:app")
    assert list(look_at(Comanda("memory://"), None)) == []
