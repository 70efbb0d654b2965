"""A job enqueued on the caller's connection exists exactly if the caller commits."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosqlite
import apsw
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from comanda import (
    Comanda,
    ConfigurationError,
    DuplicateJob,
    Job,
    JobNotFound,
    NotInTransaction,
    NotSupported,
    SchemaMismatch,
    State,
    lookout,
)
from comanda.brokers.sqlite import SQLiteBroker
from comanda.ids import new_ids, to_text
from comanda.runners.checks import check_transaction
from comanda.sqlalchemy import prepare
from comanda.task import SyncTask
from comanda.testing import assert_enqueued

from .conftest import MakeApp

LONG = 30.0
"""Seconds that only a failing test waits."""

Task = SyncTask[[int], None]


class Base(DeclarativeBase):
    """The application's tables."""


class Log(Base):
    """A row of the application."""

    __tablename__ = "logs"

    id: Mapped[int] = mapped_column(primary_key=True)


def extract(log_id: int) -> None: ...


@dataclass
class Place:
    """An application's file with its table, and an app on the same file."""

    path: Path
    app: Comanda
    task: Task

    def rows(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            found: int = connection.execute("SELECT count(*) FROM logs").fetchone()[0]
            return found

    def exists(self, job: Job[Any]) -> bool:
        try:
            self.app.get_job(job.id)
        except JobNotFound:
            return False
        return True


@pytest.fixture
def place(tmp_path: Path, make_app: MakeApp) -> Place:
    path = tmp_path / "queue.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE logs (id INTEGER PRIMARY KEY)")
    app = make_app("sqlite")
    return Place(path, app, app.task(name="extract")(extract))


# -- every kind of connection ------------------------------------------------------------------------------------------


@dataclass
class Unit:
    """A connection of the caller's, and how its owner runs and ends a transaction."""

    connection: Any
    execute: Callable[[str], object]
    commit: Callable[[], object]
    rollback: Callable[[], object]


def quiet(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Settings that comanda has nothing to say about."""
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


@contextmanager
def standard(path: Path, **options: Any) -> Iterator[Unit]:
    with closing(quiet(sqlite3.connect(path, **options))) as connection:
        yield Unit(connection, connection.execute, connection.commit, connection.rollback)


@contextmanager
def explicit(path: Path) -> Iterator[Unit]:
    with closing(quiet(sqlite3.connect(path, isolation_level=None))) as connection:
        connection.execute("BEGIN")
        yield Unit(
            connection,
            connection.execute,
            lambda: connection.execute("COMMIT"),
            lambda: connection.execute("ROLLBACK"),
        )


@contextmanager
def sqlalchemy_connection(path: Path) -> Iterator[Unit]:
    engine = create_engine(f"sqlite:///{path}")
    prepare(engine)
    with engine.connect() as connection:
        yield Unit(connection, lambda sql: connection.execute(text(sql)), connection.commit, connection.rollback)
    engine.dispose()


@contextmanager
def sqlalchemy_session(path: Path) -> Iterator[Unit]:
    engine = create_engine(f"sqlite:///{path}")
    prepare(engine)
    with Session(engine) as session:
        yield Unit(session, lambda _: session.add(Log()), session.commit, session.rollback)
    engine.dispose()


@contextmanager
def sqlalchemy_scoped_session(path: Path) -> Iterator[Unit]:
    engine = create_engine(f"sqlite:///{path}")
    prepare(engine)
    session = scoped_session(sessionmaker(engine))
    yield Unit(session, lambda _: session.add(Log()), session.commit, session.rollback)
    session.remove()
    engine.dispose()


SYNC: dict[str, Callable[[Path], Any]] = {
    "sqlite3": standard,
    "sqlite3 with its own BEGIN": explicit,
    "SQLAlchemy Connection": sqlalchemy_connection,
    "SQLAlchemy Session": sqlalchemy_session,
    "SQLAlchemy scoped_session": sqlalchemy_scoped_session,
}
if sys.version_info >= (3, 12):
    SYNC["sqlite3 with autocommit=False"] = lambda path: standard(path, autocommit=False)

every_kind = pytest.mark.parametrize("kind", SYNC.values(), ids=SYNC.keys())


@every_kind
def test_a_rollback_leaves_no_job_and_a_commit_always_one(place: Place, kind: Callable[[Path], Any]) -> None:
    with kind(place.path) as unit:
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        lost = place.task.using(connection=unit.connection).enqueue(1)
        assert len(lost.id) == 36  # known before the commit
        unit.rollback()
        assert (place.rows(), place.exists(lost)) == (0, False)

        if kind is explicit:
            unit.execute("BEGIN")
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        kept = place.task.using(connection=unit.connection).enqueue(2)
        assert not place.exists(kept)
        unit.commit()
        assert (place.rows(), place.exists(kept)) == (1, True)
    assert kept.state is State.READY
    assert_enqueued(place.app, place.task, 2)
    assert place.app.broker.counts() == {("default", State.READY): 1}


@every_kind
def test_a_transaction_may_hold_many_jobs_and_nothing_else(place: Place, kind: Callable[[Path], Any]) -> None:
    with kind(place.path) as unit:
        jobs = [place.task.using(connection=unit.connection).enqueue(number) for number in range(20)]
        unit.commit()
    assert [job.id for job in place.app.find_jobs()] == [job.id for job in reversed(jobs)]


@every_kind
def test_a_waiting_worker_is_woken_after_the_commit(
    place: Place, make_app: MakeApp, kind: Callable[[Path], Any]
) -> None:
    """It waits for two minutes unless it is told, so that only the bell can explain its return."""
    place.app.broker.open()
    waiting = make_app("sqlite").broker
    waiting.wait_for_work(0)  # from here on it hears
    woken = threading.Thread(target=waiting.wait_for_work, args=(120.0,))
    woken.start()
    with kind(place.path) as unit:
        place.task.using(connection=unit.connection).enqueue(1)
        unit.commit()
        woken.join(LONG)
        assert not woken.is_alive()


@asynccontextmanager
async def async_standard(path: Path) -> AsyncIterator[Unit]:
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA wal_autocheckpoint = 0")
        yield Unit(connection, connection.execute, connection.commit, connection.rollback)


@asynccontextmanager
async def sqlalchemy_async_connection(path: Path) -> AsyncIterator[Unit]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    prepare(engine)
    async with engine.connect() as connection:
        yield Unit(connection, lambda sql: connection.execute(text(sql)), connection.commit, connection.rollback)
    await engine.dispose()


async def add_log(session: AsyncSession | async_scoped_session[AsyncSession]) -> None:
    session.add(Log())


@asynccontextmanager
async def sqlalchemy_async_session(path: Path) -> AsyncIterator[Unit]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    prepare(engine)
    async with AsyncSession(engine) as session:
        yield Unit(session, lambda _: add_log(session), session.commit, session.rollback)
    await engine.dispose()


@asynccontextmanager
async def sqlalchemy_async_scoped_session(path: Path) -> AsyncIterator[Unit]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    prepare(engine)
    session = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
    yield Unit(session, lambda _: add_log(session), session.commit, session.rollback)
    await session.remove()
    await engine.dispose()


@pytest.mark.parametrize(
    "kind", [async_standard, sqlalchemy_async_connection, sqlalchemy_async_session, sqlalchemy_async_scoped_session]
)
async def test_async_connections_keep_the_same_promise(place: Place, kind: Callable[[Path], Any]) -> None:
    def done(step: object) -> Awaitable[object]:
        assert isinstance(step, Awaitable)
        return step

    async with kind(place.path) as unit:
        await done(unit.execute("INSERT INTO logs DEFAULT VALUES"))
        lost = await place.task.using(connection=unit.connection).aenqueue(1)
        await done(unit.rollback())
        assert (place.rows(), await asyncio.to_thread(place.exists, lost)) == (0, False)
        await done(unit.execute("INSERT INTO logs DEFAULT VALUES"))
        kept = await place.task.using(connection=unit.connection).aenqueue(2)
        again = await place.task.using(connection=unit.connection, id=kept.id).aenqueue(2)
        assert (kept.created, again.created, again.id) == (True, False, kept.id)
        await done(unit.commit())
        assert (place.rows(), await asyncio.to_thread(place.exists, kept)) == (1, True)


async def test_a_sync_connection_can_be_used_from_a_coroutine(place: Place) -> None:
    with standard(place.path) as unit:
        job = await place.task.using(connection=unit.connection).aenqueue(1)
        unit.commit()
    assert (await place.app.aget_job(job.id)).state is State.READY


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+apsw"])
def test_a_transaction_of_the_app_s_own_keeps_the_same_promise(make_app: MakeApp, scheme: str) -> None:
    app = make_app(scheme)
    task = app.task(name="extract")(extract)
    with app.transaction() as connection:
        connection.execute("CREATE TABLE logs (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO logs DEFAULT VALUES")
        kept = task.using(connection=connection).enqueue(1)
        again = task.using(connection=connection, id=kept.id).enqueue(1)
    assert (kept.created, again.created) == (True, False)
    with suppress(ZeroDivisionError), app.transaction() as connection:
        connection.execute("INSERT INTO logs DEFAULT VALUES")
        task.using(connection=connection).enqueue(2)
        raise ZeroDivisionError
    with app.transaction() as connection:
        rows = list(connection.execute("SELECT count(*) FROM logs"))
    assert rows == [(1,)]
    assert [job.id for job in app.find_jobs()] == [kept.id]


# -- in detail ---------------------------------------------------------------------------------------------------------


def test_comanda_neither_begins_nor_ends_a_transaction_and_makes_no_savepoint(place: Place) -> None:
    """On sqlite3 the RELEASE of a savepoint outside of a transaction would commit the job alone."""
    place.app.broker.open()
    with standard(place.path) as unit:
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        statements: list[str] = []
        unit.connection.set_trace_callback(statements.append)
        place.task.using(connection=unit.connection, unique_key="k").enqueue(1)
        unit.connection.set_trace_callback(None)
        unit.rollback()
    assert {statement.split()[0].upper() for statement in statements} <= {"PRAGMA", "INSERT", "SELECT"}
    assert len(statements) == 7


def test_the_application_s_own_savepoints_hold(place: Place) -> None:
    engine = create_engine(f"sqlite:///{place.path}")
    prepare(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO logs DEFAULT VALUES"))
        kept = place.task.using(connection=connection).enqueue(1)
        with connection.begin_nested() as savepoint:
            lost = place.task.using(connection=connection).enqueue(2)
            savepoint.rollback()
    engine.dispose()
    assert (place.exists(kept), place.exists(lost)) == (True, False)


def test_the_first_use_of_a_file_may_be_inside_a_transaction_that_holds_its_write_lock(place: Place) -> None:
    """comanda's own connection could not make its tables now: they come and go with the caller's transaction."""
    with standard(place.path) as unit:
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        place.task.using(connection=unit.connection).enqueue(1)
        lost = place.task.using(connection=unit.connection).enqueue(2)
        unit.rollback()
        assert not place.exists(lost)
    with standard(place.path) as unit:
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        kept = place.task.using(connection=unit.connection).enqueue(3)
        unit.commit()
    assert place.exists(kept)


def test_a_file_of_a_newer_comanda_is_refused_inside_a_transaction_too(place: Place, make_app: MakeApp) -> None:
    place.app.broker.open()
    with standard(place.path) as unit:
        unit.execute("UPDATE comanda_meta SET value = 99")
        unit.commit()
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        task = make_app("sqlite").task(name="extract")(extract)
        with pytest.raises(SchemaMismatch, match="upgrade comanda"):
            task.using(connection=unit.connection).enqueue(1)
        unit.rollback()


def test_an_enqueue_on_a_connection_waits_for_no_lock_of_comanda_s_own(place: Place) -> None:
    """Another thread of the process may stand in line for the write lock that this very transaction holds."""
    broker = place.app.broker
    assert isinstance(broker, SQLiteBroker)
    broker.open()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with broker._store._writing.lock:
            held.set()
            assert release.wait(LONG)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(LONG)
    with standard(place.path) as unit:
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        place.task.using(connection=unit.connection).enqueue(1)
        unit.commit()
    release.set()
    holder.join(LONG)
    assert len(place.app.find_jobs()) == 1


def as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def test_the_application_may_read_its_rows_and_texts_as_it_likes(place: Place) -> None:
    with standard(place.path) as unit:
        unit.connection.row_factory = as_dict
        unit.connection.text_factory = bytes
        job = place.task.using(connection=unit.connection).enqueue(1)
        unit.commit()
    assert place.exists(job)


async def test_an_aiosqlite_application_may_read_its_rows_as_it_likes(place: Place) -> None:
    async with async_standard(place.path) as unit:
        unit.connection.row_factory = aiosqlite.Row
        job = await place.task.using(connection=unit.connection).aenqueue(1)
        await unit.connection.commit()
    assert await asyncio.to_thread(place.exists, job)


def test_an_orm_object_has_its_id_before_the_job_that_names_it(place: Place) -> None:
    with sqlalchemy_session(place.path) as unit:
        log = Log()
        unit.connection.add(log)
        place.task.using(connection=unit.connection).enqueue(1)
        assert log.id == 1
        unit.commit()
    assert place.rows() == 1


def test_a_long_lived_session_keeps_one_listener_for_all_its_jobs(place: Place) -> None:
    with sqlalchemy_session(place.path) as unit:
        for number in range(50):
            place.task.using(connection=unit.connection).enqueue(number)
            unit.commit()
        assert len(list(unit.connection.dispatch.after_commit)) == 1
    assert len(place.app.find_jobs()) == 50


def test_a_unique_key_holds_inside_a_transaction(place: Place) -> None:
    unique = place.task.using(unique_key="log-1")
    with standard(place.path) as unit:
        mine = unique.using(connection=unit.connection)
        first, second = mine.enqueue(1), mine.enqueue(2)
        assert (second.id, first.created, second.created) == (first.id, True, False)
        with pytest.raises(DuplicateJob, match="log-1") as refused:
            mine.using(on_conflict="reject").enqueue(3)
        assert refused.value.job_id == first.id
        unit.commit()
    assert unique.enqueue(4).id == first.id
    assert place.app.broker.counts() == {("default", State.READY): 1}


def test_the_same_id_is_no_conflict_with_its_own_unique_key(place: Place) -> None:
    task = place.task.using(id=to_text(new_ids(1)[0]), unique_key="log-1", on_conflict="reject")
    first = task.enqueue(1)
    with standard(place.path) as unit:
        again = task.using(connection=unit.connection).enqueue(1)
        unit.commit()
    assert (again.id, again.created) == (first.id, False)


@pytest.mark.parametrize("kind", [standard, sqlalchemy_connection], ids=["sqlite3", "SQLAlchemy"])
def test_a_queue_of_messages_takes_no_job_and_the_transaction_goes_on(
    place: Place, kind: Callable[[Path], Any]
) -> None:
    place.app.message_queue("letters").put("a message")
    with kind(place.path) as unit:
        unit.execute("INSERT INTO logs DEFAULT VALUES")
        with pytest.raises(ConfigurationError, match="'letters' holds messages and cannot take jobs"):
            place.task.using(connection=unit.connection, queue="letters").enqueue(1)
        unit.commit()
    assert place.rows() == 1


def test_a_queue_of_messages_takes_no_job_in_a_transaction_of_the_app(make_app: MakeApp) -> None:
    app = make_app("sqlite+apsw")
    task = app.task(name="extract")(extract)
    app.message_queue("letters").put("a message")
    with app.transaction() as connection, pytest.raises(ConfigurationError, match="holds messages"):
        task.using(connection=connection, queue="letters").enqueue(1)


def test_the_application_s_own_errors_pass_through(place: Place) -> None:
    """Somebody else holds the write lock: that is the application's to hear, in its own driver's words."""
    place.app.broker.open()
    with standard(place.path) as holder, standard(place.path, timeout=0) as unit:
        holder.execute("INSERT INTO logs DEFAULT VALUES")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            place.task.using(connection=unit.connection).enqueue(1)
        holder.rollback()


def test_what_was_started_inside_a_transaction_may_enqueue_when_it_has_ended(place: Place, make_app: MakeApp) -> None:
    """A coroutine or thread inherits the context it was started in, and may outlive the transaction."""
    other = make_app("memory").task(name="other")(lambda: None)
    with place.app.transaction():
        inherited = contextvars.copy_context()
        assert other.enqueue().created  # on another store
        with pytest.raises(ConfigurationError, match="hand its connection in"):
            inherited.run(place.task.enqueue, 1)
    assert inherited.run(place.task.enqueue, 2).created


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_connection_that_commits_each_statement_is_refused(place: Place) -> None:
    with (
        closing(quiet(sqlite3.connect(place.path, isolation_level=None))) as connection,
        pytest.raises(NotInTransaction, match="begin one first"),
    ):
        place.task.using(connection=connection).enqueue(1)
    engine = create_engine(f"sqlite:///{place.path}", isolation_level="AUTOCOMMIT")
    prepare(engine)
    with engine.connect() as autocommitting, pytest.raises(NotInTransaction):
        place.task.using(connection=autocommitting).enqueue(1)
    engine.dispose()
    assert place.app.find_jobs() == []


def test_a_connection_with_autocommit_is_refused() -> None:
    """sqlite3 has the attribute since Python 3.12, where it overrules isolation_level."""
    with pytest.raises(NotInTransaction):
        check_transaction(SimpleNamespace(in_transaction=False, autocommit=True, isolation_level=""))
    check_transaction(SimpleNamespace(in_transaction=False, autocommit=False, isolation_level=None))


def test_an_apsw_connection_without_a_transaction_is_refused(make_app: MakeApp) -> None:
    app = make_app("sqlite+apsw")
    task = app.task(name="extract")(extract)
    with app.transaction() as connection:
        kept = connection
    with pytest.raises(NotInTransaction):
        task.using(connection=kept).enqueue(1)


def test_a_connection_to_another_file_is_refused(place: Place, tmp_path: Path) -> None:
    for other in (tmp_path / "other.db", ":memory:"):
        with (
            closing(sqlite3.connect(other)) as connection,
            pytest.raises(ConfigurationError, match=r"queue\.db: one transaction cannot span two files"),
        ):
            place.task.using(connection=connection).enqueue(1)


def test_a_connection_to_a_file_while_the_queue_s_does_not_exist_yet_is_refused(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:///{tmp_path}/missing.db")
    task = app.task(name="extract")(extract)
    with (
        closing(sqlite3.connect(tmp_path / "other.db")) as connection,
        pytest.raises(ConfigurationError, match="one transaction cannot span two files"),
    ):
        task.using(connection=connection).enqueue(1)
    assert not (tmp_path / "missing.db").exists()


def test_a_connection_of_the_other_library_is_refused(place: Place, make_app: MakeApp, tmp_path: Path) -> None:
    with (
        closing(apsw.Connection(str(tmp_path / "other.db"))) as connection,
        pytest.raises(ConfigurationError, match="two SQLite libraries"),
    ):
        place.task.using(connection=connection).enqueue(1)
    task = make_app("sqlite+apsw").task(name="extract")(extract)
    with standard(tmp_path / "other.db") as unit, pytest.raises(ConfigurationError, match=r"use app\.transaction"):
        task.using(connection=unit.connection).enqueue(1)


def test_a_queue_in_memory_has_no_transactions(memory_app: Comanda, tmp_path: Path) -> None:
    task = memory_app.task(name="extract")(extract)
    with standard(tmp_path / "other.db") as unit, pytest.raises(NotSupported, match="sqlite:///"):
        task.using(connection=unit.connection).enqueue(1)
    with pytest.raises(NotSupported), memory_app.transaction():
        pass


def test_an_async_connection_given_to_a_sync_verb_names_the_async_one(place: Place) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{place.path}")
    objects = [
        aiosqlite.connect(place.path),
        engine.connect(),
        AsyncSession(engine),
        async_scoped_session(async_sessionmaker(engine), scopefunc=threading.get_ident),
    ]
    for connection in objects:
        with pytest.raises(TypeError, match="aenqueue"):
            place.task.using(connection=connection).enqueue(1)


@pytest.mark.parametrize("connection", [42, "shop.db", object()], ids=lambda given: type(given).__name__)
def test_what_is_no_connection_is_refused_with_a_sentence(place: Place, connection: object) -> None:
    with pytest.raises(ConfigurationError, match="connection= takes a sqlite3"):
        place.task.using(connection=connection).enqueue(1)


def test_another_database_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlalchemy_connection(place.path) as unit:
        monkeypatch.setattr(unit.connection.dialect, "name", "postgresql")
        with pytest.raises(ConfigurationError, match="to postgresql, but the queue lives in SQLite"):
            place.task.using(connection=unit.connection).enqueue(1)


def test_an_engine_is_no_connection(place: Place) -> None:
    engine = create_engine(f"sqlite:///{place.path}")
    with pytest.raises(ConfigurationError, match=r"engine\.begin\(\)"):
        place.task.using(connection=engine).enqueue(1)
    engine.dispose()


# -- what is reported --------------------------------------------------------------------------------------------------


def test_settings_that_weaken_the_promise_are_reported_once_at_the_caller_s_line(place: Place) -> None:
    place.app.broker.open()
    with closing(sqlite3.connect(place.path)) as connection, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 1000")
        for number in range(3):
            place.task.using(connection=connection).enqueue(number)
        connection.rollback()
    sentences = [str(warning.message) for warning in caught]
    assert "synchronous below FULL" in sentences[0]
    assert all("wal_autocheckpoint = 0" in sentence for sentence in sentences[1:])
    assert len(sentences) <= 2  # the second one only with an interpreter whose SQLite has the race
    assert {warning.filename for warning in caught} == {__file__}


def test_a_race_of_the_interpreter_s_sqlite_is_reported_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.app.broker.open()
    monkeypatch.setattr("comanda.brokers.sqlite.library.must_not_checkpoint", lambda _: True)
    with closing(sqlite3.connect(place.path)) as connection, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(3):
            place.task.using(connection=connection).enqueue(number)
        connection.rollback()
    assert [str(warning.message).count("PRAGMA wal_autocheckpoint = 0") for warning in caught] == [1]


# -- waking after the commit -------------------------------------------------------------------------------------------


def test_a_job_that_does_not_appear_is_left_to_the_poll(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_TOTAL", 0.01)
    place.app.broker.open()
    with standard(place.path) as unit:
        place.task.using(connection=unit.connection).enqueue(1)
        for thread in threading.enumerate():
            if thread.name == "comanda-lookout":
                thread.join(LONG)
                assert not thread.is_alive()
        unit.rollback()


def test_a_job_that_existed_already_wakes_nobody(place: Place) -> None:
    first = place.task.enqueue(1)
    with standard(place.path) as unit:
        place.task.using(connection=unit.connection, id=first.id).enqueue(1)
        unit.commit()
    assert [thread for thread in threading.enumerate() if thread.name == "comanda-lookout"] == []


# -- kill -9 -----------------------------------------------------------------------------------------------------------

PROGRAM = """
    import os, sqlite3, sys
    from comanda import Comanda
    path = sys.argv[1]
    app = Comanda(f"sqlite:///{path}")
    @app.task(name="extract")
    def extract(log_id: int) -> None: ...
    connection = sqlite3.connect(path, timeout=30)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    def log(step):
        os.write(1, step)
    while True:
        row = connection.execute("INSERT INTO logs DEFAULT VALUES").lastrowid
        log(b"r")
        extract.using(connection=connection).enqueue(row)
        log(b"j")
        connection.commit()
        log(b"c")
"""


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 14, 40])
def test_a_kill_leaves_the_row_and_its_job_together_or_neither(place: Place, steps: int) -> None:
    """S1-03, S2-06: killed after the row, after the job, after the commit, and wherever that leads."""
    place.app.broker.open()
    import comanda

    source = str(Path(comanda.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(place.path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": source},
    ) as writer:
        assert writer.stdout is not None
        seen = b""
        while len(seen) < steps:
            seen += os.read(writer.stdout.fileno(), steps - len(seen))
        writer.send_signal(signal.SIGKILL)
        seen += writer.stdout.read()
    jobs = [job.task for job in place.app.find_jobs(limit=10_000)]
    assert place.rows() == len(jobs)
    assert len(jobs) >= seen.count(b"c")
