"""On PostgreSQL: a job enqueued on the caller's connection exists exactly if the caller commits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import comanda
from comanda import (
    Comanda,
    ConfigurationError,
    DuplicateJob,
    Job,
    JobNotFound,
    NotInTransaction,
    State,
)
from comanda.brokers.statements import Statement
from comanda.options import UsingOptions
from comanda.runners import checks, prepared
from comanda.task import SyncTask

LONG = 30.0
"""Seconds that only a failing test waits."""


def extract(log_id: int) -> None: ...


@dataclass
class Place:
    """An application's table in a database, and an app whose queue is in the same one."""

    url: str
    table: str
    app: Comanda
    task: SyncTask[[int], None]

    @property
    def insert(self) -> str:
        """The application's own statement."""
        return f"INSERT INTO {self.table} DEFAULT VALUES"

    @property
    def alchemy(self) -> str:
        """The URL for SQLAlchemy."""
        return self.url.replace("postgresql://", "postgresql+psycopg://")

    def rows(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return count(connection, self.table)

    def exists(self, job: Job[Any]) -> bool:
        try:
            self.app.get_job(job.id)
        except JobNotFound:
            return False
        return True


def count(connection: psycopg.Connection[Any], table: str) -> int:
    """Return how many rows the application's table has."""
    (found,) = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()  # noqa: S608 - the test's own
    return int(found[0])


@pytest.fixture
def place(postgres_url: str, namespace: str) -> Iterator[Place]:
    app = Comanda(postgres_url, namespace=namespace)
    app.broker.open()
    table = f'"{namespace}".logs'
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY)".encode())
    yield Place(postgres_url, table, app, app.task(name="extract")(extract))
    app.close()


@dataclass
class Unit:
    """A connection of the caller's, and how its owner runs and ends a transaction."""

    connection: Any
    execute: Callable[[str], Any]
    commit: Callable[[], Any]
    rollback: Callable[[], Any]


@contextmanager
def raw(place: Place, **options: Any) -> Iterator[Unit]:
    with psycopg.connect(place.url, **options) as connection:
        yield Unit(connection, connection.execute, connection.commit, connection.rollback)


@contextmanager
def explicit(place: Place) -> Iterator[Unit]:
    """In autocommit mode, with the application's own BEGIN."""
    with psycopg.connect(place.url, autocommit=True) as connection:

        def end(how: str) -> None:
            connection.execute(how.encode())
            connection.execute("BEGIN")

        connection.execute("BEGIN")
        yield Unit(connection, connection.execute, lambda: end("COMMIT"), lambda: end("ROLLBACK"))


@contextmanager
def sqlalchemy_connection(place: Place) -> Iterator[Unit]:
    engine = create_engine(place.alchemy)
    with engine.connect() as connection:
        yield Unit(connection, lambda sql: connection.execute(text(sql)), connection.commit, connection.rollback)
    engine.dispose()


@contextmanager
def sqlalchemy_session(place: Place) -> Iterator[Unit]:
    engine = create_engine(place.alchemy)
    with Session(engine) as session:
        yield Unit(session, lambda sql: session.execute(text(sql)), session.commit, session.rollback)
    engine.dispose()


@contextmanager
def sqlalchemy_scoped_session(place: Place) -> Iterator[Unit]:
    engine = create_engine(place.alchemy)
    session = scoped_session(sessionmaker(engine))
    yield Unit(session, lambda sql: session.execute(text(sql)), session.commit, session.rollback)
    session.remove()
    engine.dispose()


SYNC: dict[str, Callable[[Place], Any]] = {
    "psycopg": raw,
    "psycopg with rows as dicts": lambda place: raw(place, row_factory=dict_row),
    "psycopg with placeholders of its own": lambda place: raw(place, cursor_factory=psycopg.RawCursor),
    "psycopg with client-side binding": lambda place: raw(place, cursor_factory=psycopg.ClientCursor),
    "psycopg with its own BEGIN": explicit,
    "SQLAlchemy Connection": sqlalchemy_connection,
    "SQLAlchemy Session": sqlalchemy_session,
    "SQLAlchemy scoped_session": sqlalchemy_scoped_session,
}
every_kind = pytest.mark.parametrize("kind", SYNC.values(), ids=SYNC.keys())


@every_kind
def test_a_rollback_leaves_no_job_and_a_commit_always_one(place: Place, kind: Callable[[Place], Any]) -> None:
    with kind(place) as unit:
        unit.execute(place.insert)
        lost = place.task.using(connection=unit.connection).enqueue(1)
        assert len(lost.id) == 36  # known before the commit
        unit.rollback()
        assert (place.rows(), place.exists(lost)) == (0, False)
        unit.execute(place.insert)
        kept = place.task.using(connection=unit.connection).enqueue(2)
        again = place.task.using(connection=unit.connection, id=kept.id).enqueue(2)
        assert (kept.created, again.created, again.id) == (True, False, kept.id)
        assert not place.exists(kept)
        unit.commit()
        assert (place.rows(), place.exists(kept)) == (1, True)
    assert kept.state is State.READY
    assert place.app.broker.counts() == {("default", State.READY): 1}


@every_kind
def test_a_waiting_worker_is_woken_after_the_commit(place: Place, kind: Callable[[Place], Any]) -> None:
    """It waits for two minutes unless it is told, so that only a wake-up can explain its return."""
    other = Comanda(place.url, namespace=place.app.namespace)
    other.broker.wait_for_work(0)  # from here on it hears
    woken = threading.Thread(target=other.broker.wait_for_work, args=(120.0,))
    woken.start()
    with kind(place) as unit:
        place.task.using(connection=unit.connection).enqueue(1)
        unit.commit()
        woken.join(LONG)
        assert not woken.is_alive()
    other.close()


@every_kind
def test_a_unique_key_holds_inside_a_transaction(place: Place, kind: Callable[[Place], Any]) -> None:
    unique = place.task.using(unique_key="log-1")
    with kind(place) as unit:
        mine = unique.using(connection=unit.connection)
        first, second = mine.enqueue(1), mine.enqueue(2)
        assert (second.id, first.created, second.created) == (first.id, True, False)
        with pytest.raises(DuplicateJob, match="log-1") as refused:
            mine.using(on_conflict="reject").enqueue(3)
        assert refused.value.job_id == first.id
        unit.commit()
    assert unique.enqueue(4).id == first.id
    assert place.app.broker.counts() == {("default", State.READY): 1}


@asynccontextmanager
async def async_raw(place: Place, **options: Any) -> AsyncIterator[Unit]:
    async with await psycopg.AsyncConnection.connect(place.url, **options) as connection:
        yield Unit(connection, connection.execute, connection.commit, connection.rollback)


@asynccontextmanager
async def sqlalchemy_async_connection(place: Place) -> AsyncIterator[Unit]:
    engine = create_async_engine(place.alchemy)
    async with engine.connect() as connection:
        yield Unit(connection, lambda sql: connection.execute(text(sql)), connection.commit, connection.rollback)
    await engine.dispose()


@asynccontextmanager
async def sqlalchemy_async_session(place: Place) -> AsyncIterator[Unit]:
    engine = create_async_engine(place.alchemy)
    async with AsyncSession(engine) as session:
        yield Unit(session, lambda sql: session.execute(text(sql)), session.commit, session.rollback)
    await engine.dispose()


ASYNC: dict[str, Callable[[Place], Any]] = {
    "psycopg": async_raw,
    "psycopg with rows as dicts": lambda place: async_raw(place, row_factory=dict_row),
    "SQLAlchemy AsyncConnection": sqlalchemy_async_connection,
    "SQLAlchemy AsyncSession": sqlalchemy_async_session,
}


@pytest.mark.parametrize("kind", ASYNC.values(), ids=ASYNC.keys())
async def test_async_connections_keep_the_same_promise(place: Place, kind: Callable[[Place], Any]) -> None:
    async with kind(place) as unit:
        await unit.execute(place.insert)
        lost = await place.task.using(connection=unit.connection).aenqueue(1)
        await unit.rollback()
        await unit.execute(place.insert)
        unique = place.task.using(connection=unit.connection, unique_key="k")
        kept, again = await unique.aenqueue(2), await unique.aenqueue(3)
        assert (kept.created, again.created, again.id) == (True, False, kept.id)
        await unit.commit()
    with pytest.raises(JobNotFound):
        await place.app.aget_job(lost.id)
    assert (await place.app.aget_job(kept.id)).state is State.READY
    assert place.rows() == 1


async def test_a_sync_connection_can_be_used_from_a_coroutine(place: Place) -> None:
    with raw(place) as unit:
        job = await place.task.using(connection=unit.connection).aenqueue(1)
        unit.commit()
    assert (await place.app.aget_job(job.id)).state is State.READY


def test_a_transaction_of_the_app_s_own_keeps_the_same_promise(place: Place) -> None:
    with place.app.transaction() as connection:
        connection.execute(place.insert)
        kept = place.task.using(connection=connection).enqueue(1)
    assert (place.rows(), place.exists(kept)) == (1, True)


# -- in detail ---------------------------------------------------------------------------------------------------------


def test_comanda_neither_begins_nor_ends_a_transaction_and_makes_no_savepoint(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement, once the connection is known; two with a unique key."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        statements.append(bytes(query).decode().split()[0])
        return execute(self, query, *arguments, **options)

    with raw(place) as unit:
        place.task.using(connection=unit.connection).enqueue(1)
        monkeypatch.setattr(psycopg.Cursor, "execute", noted)
        place.task.using(connection=unit.connection).enqueue(2)
        place.task.using(connection=unit.connection, unique_key="k").enqueue(3)
        monkeypatch.undo()
        assert unit.connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        unit.rollback()
    assert statements == ["WITH", "WITH", "SELECT"]
    assert place.app.find_jobs() == []


def test_the_application_s_own_savepoints_hold(place: Place) -> None:
    with raw(place) as unit:
        kept = place.task.using(connection=unit.connection).enqueue(1)
        with unit.connection.transaction():
            inner = place.task.using(connection=unit.connection).enqueue(2)
        with unit.connection.transaction(force_rollback=True):
            lost = place.task.using(connection=unit.connection).enqueue(3)
        unit.commit()
    assert [place.exists(job) for job in (kept, inner, lost)] == [True, True, False]
    engine = create_engine(place.alchemy)
    with engine.begin() as connection:
        outer = place.task.using(connection=connection).enqueue(4)
        with connection.begin_nested() as savepoint:
            undone = place.task.using(connection=connection).enqueue(5)
            savepoint.rollback()
    engine.dispose()
    assert (place.exists(outer), place.exists(undone)) == (True, False)


def test_a_repeatable_read_that_began_before_takes_a_job_of_a_new_queue(place: Place) -> None:
    with raw(place) as unit:
        unit.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        unit.execute("SELECT 1")
        job = place.task.using(connection=unit.connection, queue="brand-new").enqueue(1)
        unit.commit()
    assert place.exists(job)


@pytest.mark.parametrize("options", [{}, {"priority": 7, "timeout": 5}, {"expires": 60}], ids=str)
def test_a_job_is_stored_as_one_that_was_enqueued_alone(place: Place, options: UsingOptions) -> None:
    """Whichever statement takes it: there is a shorter one for jobs that are ready at once and for good."""
    task = place.task.using(**options)
    alone = task.enqueue(1)
    with raw(place) as unit:
        job = task.using(connection=unit.connection).enqueue(1)
        again = task.using(connection=unit.connection, id=job.id).enqueue(1)
        unit.commit()
    assert (job.created, again.created, again.id) == (True, False, job.id)
    stored = f"""
        SELECT j.task, j.queue, j.rank, j.unique_key, j.options, j.payload, j.due, r.rank, r.keyed, r.fence, r.version,
               r.task, r.queue, r.due = j.enqueued, r.expires IS NOT DISTINCT FROM j.expires, j.expires IS NULL
        FROM "{place.app.namespace}".jobs j JOIN "{place.app.namespace}".ready r USING (n) WHERE id = %s
    """  # noqa: S608 - the test's own
    with psycopg.connect(place.url) as connection:
        row, other = (connection.execute(stored.encode(), (id_,)).fetchall() for id_ in (alone.id, job.id))
    assert row == other
    assert len(row) == 1
    assert place.app.broker.counts() == {("default", State.READY): 2}


def test_a_queue_of_messages_takes_no_job_and_the_transaction_goes_on(place: Place) -> None:
    place.app.message_queue("letters").put("a message")
    with raw(place) as unit:
        unit.execute(place.insert)
        with pytest.raises(ConfigurationError, match="'letters' holds messages and cannot take jobs"):
            place.task.using(connection=unit.connection, queue="letters").enqueue(1)
        unit.commit()
    assert place.rows() == 1


def test_the_application_s_own_errors_pass_through(place: Place) -> None:
    with raw(place) as unit:
        with pytest.raises(psycopg.errors.UndefinedTable):
            unit.execute("SELECT * FROM no_such_table")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            place.task.using(connection=unit.connection).enqueue(1)
        unit.rollback()


def test_many_transactions_at_once_leave_one_job_for_each_that_commits(place: Place) -> None:
    """Half of them roll back; all share a queue, half of them a unique key with their neighbour."""
    barrier = threading.Barrier(32)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with raw(place) as unit:
                barrier.wait(LONG)
                for turn in range(5):
                    unit.execute(place.insert)
                    place.task.using(connection=unit.connection).enqueue(number)
                    place.task.using(connection=unit.connection, unique_key=f"{turn}-{number // 2}").enqueue(number)
                    if number % 2:
                        unit.rollback()
                    else:
                        unit.commit()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert failures == []
    assert (place.rows(), len(place.app.find_jobs(limit=1_000))) == (80, 160)
    assert place.app.broker.counts() == {("default", State.READY): 160}


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_connection_that_commits_each_statement_is_refused(place: Place) -> None:
    with raw(place, autocommit=True) as unit:
        with pytest.raises(NotInTransaction, match="autocommit"):
            place.task.using(connection=unit.connection).enqueue(1)
        with unit.connection.transaction():
            job = place.task.using(connection=unit.connection).enqueue(2)
    engine = create_engine(place.alchemy, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(NotInTransaction):
        place.task.using(connection=connection).enqueue(3)
    engine.dispose()
    assert [found.id for found in place.app.find_jobs()] == [job.id]


async def test_an_async_connection_that_commits_each_statement_is_refused(place: Place) -> None:
    async with async_raw(place, autocommit=True) as unit:
        with pytest.raises(NotInTransaction):
            await place.task.using(connection=unit.connection).aenqueue(1)


def test_a_connection_to_another_database_is_refused(place: Place) -> None:
    name = f"{place.app.namespace}_other"
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(place.url, dbname=name) as connection:
        with pytest.raises(ConfigurationError, match="cannot span two databases"):
            place.task.using(connection=connection).enqueue(1)
        connection.rollback()
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}".encode())


def test_another_kind_of_database_is_refused(place: Place, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    with (
        engine.connect() as connection,
        pytest.raises(ConfigurationError, match="the connection is to SQLite, but the queue lives elsewhere"),
    ):
        place.task.using(connection=connection).enqueue(1)
    engine.dispose()
    other = Comanda(f"sqlite:///{tmp_path}/queue.db")
    task = other.task(name="extract")(extract)
    for kind in (raw, sqlalchemy_connection):
        with (
            kind(place) as unit,
            pytest.raises(ConfigurationError, match=r"is to (?i:postgresql), but the queue lives"),
        ):
            task.using(connection=unit.connection).enqueue(1)
    other.close()


def test_another_driver_is_refused_with_the_one_that_can(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlalchemy_connection(place) as unit:
        monkeypatch.setattr(unit.connection.dialect, "driver", "asyncpg")
        with pytest.raises(ConfigurationError, match=r"driver asyncpg: .* psycopg 3"):
            place.task.using(connection=unit.connection).enqueue(1)


async def test_an_async_connection_given_to_a_sync_verb_names_the_async_one(place: Place) -> None:
    engine = create_async_engine(place.alchemy)
    async with async_raw(place) as unit:
        objects = [
            unit.connection,
            engine.connect(),
            AsyncSession(engine),
            async_scoped_session(async_sessionmaker(engine), scopefunc=threading.get_ident),
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a sync verb on a running loop is another matter
            for connection in objects:
                with pytest.raises((TypeError, ConfigurationError), match="aenqueue"):
                    place.task.using(connection=connection).enqueue(1)


# -- what is reported --------------------------------------------------------------------------------------------------


def test_a_weak_synchronous_commit_is_reported_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_said", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            with raw(place) as unit:
                unit.execute("SET synchronous_commit = off")
                place.task.using(connection=unit.connection).enqueue(1)
                unit.rollback()
    assert [str(warning.message).count("synchronous_commit = off") for warning in caught] == [1]
    assert {warning.filename for warning in caught} == {__file__}


# -- kill -9 -----------------------------------------------------------------------------------------------------------

PROGRAM = """
    import os, psycopg, sys
    from comanda import Comanda
    url, namespace = sys.argv[1:]
    app = Comanda(url, namespace=namespace)
    @app.task(name="extract")
    def extract(log_id: int) -> None: ...
    connection = psycopg.connect(url)
    def log(step):
        os.write(1, step)
    while True:
        (row,) = connection.execute(f'INSERT INTO "{namespace}".logs DEFAULT VALUES RETURNING id').fetchone()
        log(b"r")
        extract.using(connection=connection).enqueue(row)
        log(b"j")
        connection.commit()
        log(b"c")
"""


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 14, 40])
def test_a_kill_leaves_the_row_and_its_job_together_or_neither(place: Place, steps: int) -> None:
    """S1-03, S2-06: killed after the row, after the job, after the commit, and wherever that leads."""
    source = str(Path(comanda.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), place.url, place.app.namespace],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": source},
    ) as writer:
        assert writer.stdout is not None
        seen = b""
        while len(seen) < steps:
            seen += os.read(writer.stdout.fileno(), steps - len(seen))
        writer.send_signal(signal.SIGKILL)
        seen += writer.stdout.read()
    with psycopg.connect(place.url) as connection:  # waits for what the server has not noticed yet
        connection.execute(f"LOCK TABLE {place.table}".encode())
        rows = count(connection, place.table)
        jobs = len(place.app.find_jobs(limit=10_000))
    assert rows == jobs
    assert jobs >= seen.count(b"c")


# -- the short way of a prepared statement ----------------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each statement went the short way."""
    taken: list[bool] = []
    real, areal = prepared.answer, prepared.aanswer

    def answer(connection: psycopg.Connection[Any], statement: Statement) -> tuple[bytes, bool] | None:
        found = real(connection, statement)
        taken.append(found is not None)
        return found

    async def aanswer(connection: psycopg.AsyncConnection[Any], statement: Statement) -> tuple[bytes, bool] | None:
        found = await areal(connection, statement)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(prepared, "answer", answer)
    monkeypatch.setattr(prepared, "aanswer", aanswer)
    return taken


def enqueue_some(place: Place, unit: Unit, jobs: int = 10) -> list[Job[None]]:
    """Enqueue in a transaction that has begun, as it mostly has."""
    unit.execute(place.insert)
    return [place.task.using(connection=unit.connection).enqueue(number) for number in range(jobs)]


def test_once_psycopg_has_prepared_the_statement_jobs_go_the_short_way_and_are_the_same(
    place: Place, short: list[bool]
) -> None:
    with raw(place) as unit:
        jobs = enqueue_some(place, unit)
        assert short[-1]
        assert not short[1]
        unit.commit()
        last = enqueue_some(place, unit, 3)
        assert short[-3:] == [True] * 3
        unit.rollback()
    assert [job.created for job in jobs] == [True] * 10
    assert all(place.exists(job) for job in jobs)
    assert not any(place.exists(job) for job in last)
    assert len(place.app.find_jobs()) == 10


def test_an_id_makes_one_job_the_short_way_too(place: Place, short: list[bool]) -> None:
    with raw(place) as unit:
        first = enqueue_some(place, unit)[0]
        again = place.task.using(connection=unit.connection, id=first.id).enqueue(0)
        assert short[-1]
        unit.commit()
    assert (again.id, again.created) == (first.id, False)
    assert len(place.app.find_jobs()) == 10


@pytest.mark.parametrize("forget", ["DISCARD ALL", "DEALLOCATE ALL", "ROLLBACK"])
def test_where_the_prepared_statements_are_gone_a_cursor_does_it_again(
    place: Place, short: list[bool], forget: str
) -> None:
    with raw(place) as unit:
        enqueue_some(place, unit)
        unit.commit()
        unit.connection.autocommit = True
        unit.execute(forget)
        unit.connection.autocommit = False
        jobs = enqueue_some(place, unit)
        assert not short[-10]
        assert short[-1]
        unit.commit()
    assert all(place.exists(job) for job in jobs)


def test_a_connection_that_prepares_nothing_goes_through_cursors(place: Place, short: list[bool]) -> None:
    with raw(place, prepare_threshold=None) as unit:
        jobs = enqueue_some(place, unit)
        unit.commit()
    assert not any(short)
    assert all(place.exists(job) for job in jobs)


def test_the_first_statement_of_a_transaction_and_a_pipeline_go_through_cursors(
    place: Place, short: list[bool]
) -> None:
    with raw(place) as unit:
        enqueue_some(place, unit)
        unit.commit()
        jobs = [place.task.using(connection=unit.connection).enqueue(1)]
        assert not short[-1]
        with unit.connection.pipeline():
            jobs.append(place.task.using(connection=unit.connection).enqueue(2))
        assert not short[-1]
        unit.commit()
    assert all(place.exists(job) for job in jobs)


def test_what_the_server_refuses_the_short_way_is_psycopg_s_own_error(place: Place, short: list[bool]) -> None:
    with raw(place) as unit, raw(place) as other:
        enqueue_some(place, unit)
        unit.commit()
        other.execute(f'LOCK TABLE "{place.app.namespace}".jobs')
        unit.execute("SET LOCAL lock_timeout = '1ms'")
        before = len(short)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            place.task.using(connection=unit.connection).enqueue(1)
        assert len(short) == before, "it was raised on that way"
        unit.rollback()
        other.rollback()
    assert len(place.app.find_jobs()) == 10


async def aenqueue_some(place: Place, unit: Unit, jobs: int = 10) -> list[Job[None]]:
    """The same on an async connection."""
    await unit.execute(place.insert)
    return [await place.task.using(connection=unit.connection).aenqueue(number) for number in range(jobs)]


async def test_an_async_connection_goes_the_short_way_too(place: Place, short: list[bool]) -> None:
    async with async_raw(place) as unit:
        jobs = await aenqueue_some(place, unit)
        assert short[-1]
        assert not short[1]
        again = await place.task.using(connection=unit.connection, id=jobs[0].id).aenqueue(0)
        await unit.commit()
        await aenqueue_some(place, unit, 3)
        assert short[-3:] == [True] * 3
        await unit.rollback()
        after = await aenqueue_some(place, unit)
        assert not short[-10]
        await unit.commit()
    assert (again.id, again.created) == (jobs[0].id, False)
    assert {job.id for job in await place.app.afind_jobs()} == {job.id for job in (*jobs, *after)}


@asynccontextmanager
async def locked(place: Place, unit: Unit) -> AsyncIterator[None]:
    """The next enqueue goes the short way, and waits there: another connection holds the table."""
    async with async_raw(place) as other:
        await aenqueue_some(place, unit)
        await unit.commit()
        await other.execute(f'LOCK TABLE "{place.app.namespace}".jobs')
        await unit.execute(place.insert)
        yield


async def test_an_async_connection_gets_psycopg_s_own_error_on_the_short_way(place: Place, short: list[bool]) -> None:
    async with async_raw(place) as unit, locked(place, unit):
        await unit.execute("SET LOCAL lock_timeout = '1ms'")
        before = len(short)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await place.task.using(connection=unit.connection).aenqueue(1)
        assert len(short) == before, "it was raised on that way"
        await unit.rollback()
    assert len(await place.app.afind_jobs()) == 10


async def test_a_cancelled_enqueue_leaves_the_short_way_and_an_async_connection_that_works(
    place: Place, short: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with async_raw(place) as unit:
        async with locked(place, unit):
            waits, wait = asyncio.Event(), unit.connection.wait

            async def tell(generator: Any) -> Any:
                waits.set()
                return await wait(generator)

            monkeypatch.setattr(unit.connection, "wait", tell)
            before = len(short)
            enqueueing = asyncio.create_task(place.task.using(connection=unit.connection).aenqueue(1))
            await waits.wait()
            enqueueing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await enqueueing
            assert len(short) == before, "it was cancelled on that way"
            await unit.rollback()
        await aenqueue_some(place, unit)
        await unit.commit()
    assert len(await place.app.afind_jobs()) == 20
