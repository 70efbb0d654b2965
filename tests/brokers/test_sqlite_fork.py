"""A fork between opening a file and using it (R23): the child works, and the parent's locks are its own."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda.brokers.memory import MemoryBroker
from comanda.brokers.sqlite import SQLiteBroker
from comanda.errors import ConfigurationError
from comanda.testing.conformance.case import enqueue, enqueue_one
from tests.brokers.sqlite_files import LIBRARIES, elsewhere, in_child, open_sqlite

_COUNT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM comanda_jobs").fetchone()[0])
connection.close()
"""
_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
    print("granted")
except sqlite3.OperationalError:
    print("refused")
"""


@pytest.fixture(params=LIBRARIES)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLiteBroker]:
    """A broker with one job and both connections open."""
    broker = open_sqlite(tmp_path / "jobs.db", request.param, deadline=0.2)
    enqueue_one(broker)
    broker.counts()
    yield broker
    broker.close()


def test_a_forked_child_works_on_the_store_and_so_does_its_parent(broker: SQLiteBroker) -> None:
    def work() -> str:
        broker.forget()
        enqueue_one(broker)
        return str(sum(broker.counts().values()))

    assert in_child(work) == "2"
    enqueue_one(broker)
    assert sum(broker.counts().values()) == 3


def test_what_a_child_commits_outlives_its_parents_connections(broker: SQLiteBroker) -> None:
    """The parent closes, another process comes and goes as the last one to close, and the child commits once more.

    With connections inherited through the fork that other process deletes the log under the child.
    """

    def act() -> str:
        broker.forget()
        enqueue_one(broker)
        _tell(to_parent)
        _listen(from_parent)
        enqueue_one(broker)
        return str(sum(broker.counts().values()))

    from_parent, to_child = os.pipe()
    from_child, to_parent = os.pipe()
    seen: list[str] = []

    def meanwhile() -> None:
        _listen(from_child)
        broker.close()
        seen.append(elsewhere(_COUNT, broker.path))
        _tell(to_child)

    assert in_child(act, meanwhile) == "3"
    assert [*seen, elsewhere(_COUNT, broker.path)] == ["2", "3"]
    for pipe in (from_parent, to_child, from_child, to_parent):
        os.close(pipe)


def test_a_fork_inside_a_transaction_leaves_the_lock_with_the_parent(broker: SQLiteBroker) -> None:
    """The child cannot use the file, and says so; nothing it does lets anybody else in."""
    with broker.transaction() as connection:
        connection.execute("CREATE TABLE logs (entry)")
        answer = in_child(lambda: str(enqueue_one(broker)))
        assert answer.startswith("ConfigurationError: ")
        assert "fork" in answer
        assert elsewhere(_LOCK, broker.path) == "refused"
        connection.execute("INSERT INTO logs VALUES ('kept')")
    assert elsewhere(_LOCK, broker.path) == "granted"
    with broker.transaction() as connection:
        assert connection.execute("SELECT entry FROM logs").fetchall() == [("kept",)]


def test_a_fork_beside_another_threads_transaction_waits_no_longer_than_the_deadline(broker: SQLiteBroker) -> None:
    """What that thread holds is the parent's; the child refuses the file."""
    entered, left = threading.Event(), threading.Event()

    def hold() -> None:
        with broker.transaction():
            entered.set()
            assert left.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(20)
    answer = in_child(lambda: str(enqueue_one(broker)))
    left.set()
    holder.join()
    assert answer.startswith("ConfigurationError: ")
    assert sum(broker.counts().values()) == 1


def test_a_connection_of_the_application_that_was_inherited_is_noticed(tmp_path: Path) -> None:
    """SQLite would believe in its locks; once the child has closed it, the file is as good as any."""
    path = tmp_path / "shop.db"
    own = sqlite3.connect(path, isolation_level=None)
    own.execute("PRAGMA journal_mode = wal")
    own.execute("CREATE TABLE logs (entry)")

    def work() -> str:
        broker = SQLiteBroker(path)
        with pytest.raises(ConfigurationError) as refused:
            enqueue_one(broker)
        own.close()
        enqueue(broker, 2)
        return str(refused.value)

    answer = in_child(work)
    assert answer.startswith(f"this process was forked while {path} was open")
    assert elsewhere(_COUNT, path) == "2"
    own.close()


def test_a_connection_of_the_application_that_was_opened_in_the_child_is_none_of_that(tmp_path: Path) -> None:
    """Django's parallel tests: each process is forked, opens a database of its own, and the queue goes into it."""
    path = tmp_path / "test_1.db"

    def work() -> str:
        own = sqlite3.connect(path, isolation_level=None)
        own.execute("CREATE TABLE logs (entry)")  # in rollback mode: comanda is the one that turns it into WAL
        broker = SQLiteBroker(path)
        enqueue_one(broker)
        broker.close()
        own.close()
        return str(sum(broker.counts().values()))

    assert in_child(work) == "1"


def test_the_bells_of_the_parent_stay_the_parents(broker: SQLiteBroker) -> None:
    """A child that forgets removes none of them, and hears none of them."""
    broker.wait_for_work(0)
    bells = sorted((broker.runtime_directory() or Path()).iterdir())

    def forget() -> str:
        broker.forget()
        broker.close()
        return "forgotten"

    assert in_child(forget) == "forgotten"
    assert sorted((broker.runtime_directory() or Path()).iterdir()) == bells
    enqueue_one(broker)
    began = time.monotonic()
    broker.wait_for_work(60)
    assert time.monotonic() - began < 20


def test_jobs_in_memory_stay_with_the_parent() -> None:
    """No job may run in both."""
    broker = MemoryBroker()
    enqueue_one(broker)

    def look() -> str:
        broker.forget()
        return str(broker.counts())

    assert in_child(look) == "{}"
    assert sum(broker.counts().values()) == 1


def _tell(pipe: int) -> None:
    os.write(pipe, b"!")


def _listen(pipe: int) -> None:
    os.read(pipe, 1)
