"""A file that cannot be used: one clear sentence of our own error tree, nothing lost, and recovery afterwards."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comanda.brokers.records import Demand, State
from comanda.brokers.sqlite import SQLiteBroker, counts
from comanda.errors import BrokerTimeout, BrokerUnavailable, ConfigurationError, SchemaMismatch
from comanda.testing.conformance.case import Worker, enqueue, enqueue_one, ids_of, new_job, new_jobs, recount, together
from tests.brokers.sqlite_files import LIBRARIES, connect, elsewhere, in_child, open_sqlite

NOBODY = 65_534

both_libraries = pytest.mark.parametrize("library", LIBRARIES)


@both_libraries
def test_a_file_that_is_no_database(tmp_path: Path, library: str) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(b"This is a letter, not a database. " * 100)
    broker = SQLiteBroker(path, library_name=library)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match=f"{path} is not a SQLite database .*check the path in the URL"):
            broker.open()
    path.unlink()
    enqueue_one(broker)
    broker.close()


@both_libraries
def test_a_damaged_file(tmp_path: Path, library: str) -> None:
    path = tmp_path / "jobs.db"
    broker = open_sqlite(path, library)
    enqueue(broker, 500)
    broker.close()
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xa5" * (len(sound) - 4096))
    with pytest.raises(BrokerUnavailable, match=f"{path} is damaged: stop all processes.*restore a backup"):
        broker.queues()
    broker.close()
    path.write_bytes(sound)
    assert broker.counts() == {("default", State.READY): 500}
    broker.close()


def test_a_file_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "jobs.db"
        broker = open_sqlite(path)
        enqueue_one(broker)
        broker.close()

        def attempt() -> str:
            path.chmod(0o400)
            with pytest.raises(BrokerUnavailable) as refused:
                enqueue_one(broker)
            for file in path.parent.iterdir():
                file.chmod(0o600)
            enqueue_one(broker)
            assert broker.counts() == {("default", State.READY): 2}
            broker.close()
            return str(refused.value)

        answer = in_child(lambda: _without_privileges(Path(name), attempt))
    assert answer == (
        f"the database {path} is read-only for this process: "
        "check the permissions of the file, of its -wal and -shm, and of its directory"
    )


def test_a_directory_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "jobs.db"
        broker = SQLiteBroker(path)

        def attempt() -> str:
            Path(name).chmod(0o500)
            with pytest.raises(BrokerUnavailable) as refused:
                broker.open()
            Path(name).chmod(0o700)
            enqueue_one(broker)
            broker.close()
            return str(refused.value)

        answer = in_child(lambda: _without_privileges(Path(name), attempt))
    assert answer == f"the database {path} cannot be created: {name} may not be written by this process"


@both_libraries
def test_a_directory_that_does_not_exist(tmp_path: Path, library: str) -> None:
    path = tmp_path / "missing" / "jobs.db"
    broker = SQLiteBroker(path, library_name=library)
    with pytest.raises(BrokerUnavailable, match=f"{path} cannot be opened: {path.parent} is not a directory"):
        broker.counts()
    path.parent.mkdir()
    enqueue_one(broker)
    broker.close()


@both_libraries
def test_a_path_that_is_a_directory(tmp_path: Path, library: str) -> None:
    path = tmp_path / "jobs.db"
    path.mkdir()
    broker = SQLiteBroker(path, library_name=library)
    with pytest.raises(BrokerUnavailable, match=f"{path} cannot be opened"):
        broker.open()


@both_libraries
def test_a_schema_that_is_too_new(tmp_path: Path, library: str) -> None:
    """R50: it is refused each time, and the refusal holds no lock against those who know it."""
    path = tmp_path / "jobs.db"
    broker = open_sqlite(path, library)
    enqueue_one(broker)
    broker.close()
    _alter(path, "UPDATE comanda_meta SET value = 99")
    for verb in (broker.open, broker.counts, lambda: enqueue_one(broker), broker.open):
        with pytest.raises(SchemaMismatch, match=r"has schema 99.*this one knows 1: upgrade comanda"):
            verb()
    _alter(path, "UPDATE comanda_meta SET value = 1 WHERE key = 'oldest_client'")
    enqueue_one(broker)
    assert broker.counts() == {("default", State.READY): 2}
    broker.close()


@both_libraries
def test_a_database_that_stays_locked(tmp_path: Path, library: str) -> None:
    """Whoever writes gives up after the deadline and has written nothing; whoever reads is not held up."""
    broker = open_sqlite(tmp_path / "jobs.db", library, deadline=0.05)
    worker = Worker(broker)
    job = enqueue_one(broker)
    other = connect(broker.path, library)
    other.execute("BEGIN EXCLUSIVE")
    for verb in (lambda: enqueue_one(broker), worker.claim, worker.beat, lambda: broker.pause("default")):
        with pytest.raises(BrokerTimeout, match=r"stayed locked by another connection for 0\.05 s"):
            verb()
    assert broker.counts() == {("default", State.READY): 1}
    other.execute("COMMIT")
    other.close()
    assert ids_of(worker.claim()) == [job]
    broker.close()


def test_a_new_database_that_stays_locked(tmp_path: Path) -> None:
    """Even the change to WAL and the making of the tables wait no longer than the deadline."""
    path = tmp_path / "shop.db"
    other = connect(path, "sqlite3")
    other.execute("CREATE TABLE logs (entry)")
    other.execute("BEGIN EXCLUSIVE")
    broker = SQLiteBroker(path, deadline=0.05)
    with pytest.raises(BrokerTimeout, match="stayed locked"):
        broker.open()
    other.execute("COMMIT")
    other.close()
    enqueue_one(broker)
    broker.close()


def test_a_thread_that_waits_for_another_one_of_its_process(tmp_path: Path) -> None:
    """A long body of transaction() holds up the other threads no longer than their deadline."""
    broker = open_sqlite(tmp_path / "jobs.db", deadline=0.05)
    entered, left = threading.Event(), threading.Event()

    def hold() -> None:
        with broker.transaction():
            entered.set()
            assert left.wait(20)

    def write() -> None:
        assert entered.wait(20)
        try:
            with pytest.raises(BrokerTimeout, match=r"in use by another thread of this process for 0\.05 s"):
                enqueue_one(broker)
        finally:
            left.set()

    together(hold, write)
    enqueue_one(broker)
    broker.close()


@both_libraries
def test_a_verb_inside_the_threads_own_transaction(tmp_path: Path, library: str) -> None:
    """It would wait for itself: it says so, and the transaction goes on."""
    broker = open_sqlite(tmp_path / "jobs.db", library)
    with broker.transaction() as connection:
        connection.execute("CREATE TABLE logs (entry)")
        with pytest.raises(ConfigurationError, match=r"open transaction\(\).*using\(connection=…\)"):
            enqueue_one(broker)
        connection.execute("INSERT INTO logs VALUES ('kept')")
    with broker.transaction() as connection:
        assert connection.execute("SELECT entry FROM logs").fetchall() == [("kept",)]
    broker.close()


@both_libraries
def test_a_disk_that_is_full(tmp_path: Path, library: str) -> None:
    """R5: after such an error the connection is dropped and another one opened; nothing of the batch was stored."""
    broker = open_sqlite(tmp_path / "jobs.db", library)
    enqueue_one(broker)
    with _no_room(broker), pytest.raises(BrokerUnavailable, match="could not grow: the disk is full"):
        enqueue(broker, 100, payload=b"x" * 10_000)
    assert broker.counts() == recount(broker) == {("default", State.READY): 1}
    enqueue(broker, 100, payload=b"x" * 10_000)
    assert broker.counts() == {("default", State.READY): 101}
    broker.close()


@both_libraries
def test_a_batch_with_something_that_cannot_be_stored(tmp_path: Path, library: str) -> None:
    """All or nothing; and the names that the batch brought are forgotten with it."""
    broker = open_sqlite(tmp_path / "jobs.db", library)
    batch = [*new_jobs(3, task="new", queue="new"), new_job(task="new", queue="new", priority=2**80)]
    with pytest.raises(OverflowError):
        broker.enqueue(batch)
    assert (broker.counts(), broker.queues()) == ({}, [])
    first, second = enqueue_one(broker, task="other", queue="other"), enqueue_one(broker, task="new", queue="new")
    assert ids_of(Worker(broker, "new").claim()) == [second]
    assert ids_of(Worker(broker, "other").claim()) == [first]
    broker.close()


@both_libraries
def test_a_claim_that_failed_leaves_no_number_of_a_task_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """The row of a new task is rolled back with its claim; the number may become that of a task nobody asked for."""
    broker, other = (open_sqlite(tmp_path / "jobs.db", library) for _ in range(2))
    worker = Worker(broker)
    enqueue_one(broker)
    demand = Demand(1, frozenset({"task", "never registered"}))
    with monkeypatch.context() as patch:
        patch.setattr(counts.Moves, "write", _fail)
        with pytest.raises(BrokerUnavailable, match="the medium is gone"):
            broker.claim(worker.owner, demand)
    taken = enqueue_one(other, task="somebody else's", priority=1)
    assert [job.task for job in broker.claim(worker.owner, demand)] == ["task"]
    assert broker.claim(worker.owner, demand) == []
    assert other.states([taken])[taken][0] is State.READY
    for opened in (broker, other):
        opened.close()


@contextmanager
def _no_room(broker: SQLiteBroker) -> Iterator[None]:
    """Let the database grow no more: SQLite answers as on a full disk. Ends with the connection that was told so."""
    with broker._store.peek() as session:
        pages = session.run("PRAGMA page_count")[0][0]
        session.run(f"PRAGMA max_page_count = {pages}")
    yield


def _alter(path: Path, statement: str) -> None:
    """Run a statement in another process, which waits for no lock."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); c.execute(sys.argv[2]); c.commit()"
    elsewhere(code, path, statement)


def _fail(*_: object) -> None:
    raise OSError("the medium is gone")


def _without_privileges(directory: Path, attempt: Callable[[], str]) -> str:
    """Run `attempt` as a user whom the modes of files bind; root is bound by none."""
    if os.geteuid() == 0:
        for path in (directory, *directory.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    return attempt()
