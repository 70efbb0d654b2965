"""Backup and restore of a SQLite store: consistent beside writers, at once or not at all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comanda.brokers.records import Demand, JobFilter, NewJob, State, WorkerInfo
from comanda.brokers.sqlite import SQLiteBroker
from comanda.errors import BrokerTimeout, ConfigurationError, SchemaMismatch
from comanda.ids import from_text, new_ids
from comanda.testing.conformance.case import recount
from tests.brokers.sqlite_files import LIBRARIES

_SHOP = """
import sys
from pathlib import Path
from comanda.brokers.records import Demand, Kind, NewJob, Outcome, WorkerInfo
from comanda.brokers.sqlite import SQLiteBroker
from comanda.ids import new_ids, to_text

broker = SQLiteBroker(Path(sys.argv[1]), library_name=sys.argv[2])
worker = broker.register(WorkerInfo(host="host", pid=1, version="1.0", kind="child", tasks=("task",)))
while True:
    for job_id in new_ids(20):
        broker.enqueue([NewJob(id=job_id, task="task", queue="default", payload=b"[]")])
        print(to_text(job_id), flush=True)
    claimed = broker.claim(worker, Demand(10, frozenset({"task"})))
    broker.settle(worker, [Outcome(job, Kind.SUCCESS, 1, 2, b"1") for job in claimed])
"""

_HALF_A_RESTORE = """
import os, sys
from pathlib import Path
from comanda.brokers.sqlite import SQLiteBroker, backup
from comanda.brokers.sqlite.connection import StandardConnection

take_for_itself = backup._take_for_itself

def take_then_die_halfway(target, store):
    take_for_itself(target, store)
    StandardConnection.copy_to = lambda self, target: self.raw.backup(
        target.raw, pages=20, progress=lambda *_: os._exit(9)
    )

backup._take_for_itself = take_then_die_halfway
SQLiteBroker(Path(sys.argv[1])).restore(Path(sys.argv[2]))
"""


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def broker(tmp_path: Path, library: str) -> Iterator[SQLiteBroker]:
    made = SQLiteBroker(tmp_path / "jobs.db", library_name=library)
    yield made
    made.close()


def enqueue(broker: SQLiteBroker, count: int = 1) -> list[bytes]:
    ids = new_ids(count)
    broker.enqueue([NewJob(id=job_id, task="task", queue="default", payload=b"[]") for job_id in ids])
    return ids


def ids_in(broker: SQLiteBroker) -> list[bytes]:
    return [job.id for job in broker.find(JobFilter(), limit=10_000, oldest_first=True)]


def names_in(directory: Path) -> set[str]:
    """The files of a directory without what belongs to an open store."""
    return {path.name for path in directory.iterdir()} - {"jobs.db-wal", "jobs.db-shm", "jobs.db-comanda"}


def test_a_backup_under_load_holds_every_job_acknowledged_before_it_began(
    broker: SQLiteBroker, tmp_path: Path, library: str
) -> None:
    """Jobs are enqueued, claimed and settled in another process meanwhile; the copy is one moment of the store."""
    broker.open()
    copy = tmp_path / "copy.db"
    command = [sys.executable, "-c", _SHOP, str(broker.path), library]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as busy:
        assert busy.stdout is not None
        acknowledged = [from_text(busy.stdout.readline().strip()) for _ in range(200)]
        broker.backup(copy)
        after = from_text(busy.stdout.readline().strip())
        busy.kill()
        busy.stdout.read()
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    copied = SQLiteBroker(copy, library_name=library)
    found = ids_in(copied)
    assert copied.counts() == recount(copied)
    copied.close()
    assert set(found) >= set(acknowledged)
    assert found == ids_in(broker)[: len(found)]
    assert after in ids_in(broker)


def test_a_backup_is_one_private_file(broker: SQLiteBroker, tmp_path: Path) -> None:
    """With the application's tables; what is copied or sent away needs nothing beside it."""
    ids = enqueue(broker, 3)
    with broker.transaction() as connection:
        connection.execute("CREATE TABLE shop (name TEXT)")
        connection.execute("INSERT INTO shop VALUES ('ann')")
    broker.backup(tmp_path / "copy.db")
    assert names_in(tmp_path) == {"jobs.db", "copy.db"}
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    alone = tmp_path / "alone" / "jobs.db"
    alone.parent.mkdir()
    (tmp_path / "copy.db").rename(alone)
    with sqlite3.connect(alone) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("SELECT name FROM shop").fetchall() == [("ann",)]
    connection.close()
    copied = SQLiteBroker(alone)
    assert ids_in(copied) == ids
    assert copied.counts() == {("default", State.READY): 3}
    copied.close()


def test_a_backup_replaces_nothing_and_needs_a_place(broker: SQLiteBroker, tmp_path: Path) -> None:
    enqueue(broker)
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already"):
        broker.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"
    with pytest.raises(ConfigurationError, match="cannot be written: No such file or directory"):
        broker.backup(tmp_path / "nowhere" / "copy.db")
    assert names_in(tmp_path) == {"jobs.db", "copy.db"}


def test_restore_brings_back_the_moment_of_the_backup(broker: SQLiteBroker, tmp_path: Path) -> None:
    """The same broker goes on afterwards, with the names of tasks and queues as they are now."""
    kept = enqueue(broker, 3)
    broker.backup(tmp_path / "copy.db")
    (lost,) = new_ids(1)
    broker.enqueue([NewJob(id=lost, task="later", queue="other", payload=b"[]")])
    broker.cancel(JobFilter(ids=(kept[0],)))
    broker.restore(tmp_path / "copy.db")
    assert ids_in(broker) == kept
    assert broker.counts() == {("default", State.READY): 3}
    (new,) = new_ids(1)
    broker.enqueue([NewJob(id=new, task="again", queue="third", payload=b"[]")])
    assert [(job.id, job.task, job.queue) for job in broker.find(JobFilter(tasks=("again",)))] == [
        (new, "again", "third")
    ]
    broker.restore(tmp_path / "copy.db")
    assert names_in(tmp_path) == {"jobs.db", "copy.db"}


def test_restore_hands_back_what_ran_when_the_backup_was_made(broker: SQLiteBroker, tmp_path: Path) -> None:
    """Its worker is of the past: nobody waits for its lease, and the job is not charged with a crash."""
    (job_id,) = enqueue(broker)
    owner = broker.register(WorkerInfo(host="host", pid=1, version="1.0", kind="child", tasks=("task",)))
    assert len(broker.claim(owner, Demand(1, frozenset({"task"})))) == 1
    broker.backup(tmp_path / "copy.db")
    broker.deregister(owner)
    broker.restore(tmp_path / "copy.db")
    (job,) = broker.get([job_id], attempts=True)
    assert job is not None
    assert (job.state, job.attempt, job.crashes, job.attempts) == (State.READY, 0, 0, [])
    assert all(worker.ended_at is not None for worker in broker.workers())


def test_numbers_go_on_behind_those_given_before_a_restore(broker: SQLiteBroker, tmp_path: Path) -> None:
    """A lock file or a line of a log that a killed worker left behind names no worker and no job of after."""
    info = WorkerInfo(host="host", pid=1, version="1.0", kind="child", tasks=("task",))
    demand = Demand(10, frozenset({"task"}))
    enqueue(broker)
    broker.backup(tmp_path / "copy.db")
    enqueue(broker, 3)
    owner = broker.register(info)
    before = broker.claim(owner, demand)
    broker.restore(tmp_path / "copy.db")
    enqueue(broker, 3)
    heir = broker.register(info)
    assert heir > owner
    assert not {job.n for job in before[1:]} & {job.n for job in broker.claim(heir, demand)}
    assert broker.counts() == recount(broker)


def test_restore_makes_a_store_where_there_is_none(tmp_path: Path, broker: SQLiteBroker) -> None:
    ids = enqueue(broker, 2)
    broker.backup(tmp_path / "copy.db")
    elsewhere = SQLiteBroker(tmp_path / "new.db")
    elsewhere.restore(tmp_path / "copy.db")
    assert ids_in(elsewhere) == ids
    elsewhere.close()
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


def test_restore_is_refused_while_anybody_has_the_store_open(
    broker: SQLiteBroker, tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A producer remembers the numbers of tasks; under it the contents must not change."""
    enqueue(broker)
    broker.backup(tmp_path / "copy.db")
    other = SQLiteBroker(broker.path, library_name=library)
    newer = enqueue(other)
    with monkeypatch.context() as impatient:
        impatient.setattr(broker._store, "deadline", 0.3)
        with pytest.raises(BrokerTimeout, match="stayed locked"):
            broker.restore(tmp_path / "copy.db")
    assert newer[0] in ids_in(other)
    other.close()
    broker.restore(tmp_path / "copy.db")
    assert newer[0] not in ids_in(broker)


def _text(path: Path) -> None:
    path.write_text("no database " * 500)


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE shop (name TEXT)")
    connection.close()


def _other_namespace(path: Path) -> None:
    other = SQLiteBroker(path, namespace="other")
    enqueue(other)
    other.close()


def _torn(path: Path) -> None:
    _whole(path)
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096 * 20))


def _cut(path: Path) -> None:
    _whole(path)
    os.truncate(path, path.stat().st_size // 2)


def _newer(path: Path) -> None:
    _whole(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE comanda_meta SET value = 99")
    connection.commit()
    connection.close()


def _whole(path: Path) -> None:
    made = SQLiteBroker(path.with_name("made.db"))
    enqueue(made, 1_000)
    made.backup(path)
    made.close()
    for name in ("made.db", "made.db-wal", "made.db-shm"):
        path.with_name(name).unlink(missing_ok=True)


@pytest.mark.parametrize(
    "make", [_text, _foreign, _other_namespace, _torn, _cut, _newer], ids=lambda make: make.__name__
)
def test_what_is_no_sound_backup_changes_nothing(
    broker: SQLiteBroker, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    ids = enqueue(broker, 2)
    bad = tmp_path / "bad" / "bad.db"
    bad.parent.mkdir()
    make(bad)
    with pytest.raises(SchemaMismatch if make is _newer else ConfigurationError):
        broker.restore(bad)
    assert ids_in(broker) == ids
    assert names_in(tmp_path) == {"jobs.db", "bad"}


def test_the_store_is_no_backup_of_itself_and_a_missing_file_is_none(broker: SQLiteBroker, tmp_path: Path) -> None:
    ids = enqueue(broker)
    for path in (broker.path, tmp_path / "missing.db", tmp_path):
        with pytest.raises(ConfigurationError):
            broker.restore(path)
    assert ids_in(broker) == ids


def test_a_restore_that_is_killed_leaves_the_old_contents(tmp_path: Path) -> None:
    """Half of the pages are in the file already; whoever opens it next takes them back."""
    broker = SQLiteBroker(tmp_path / "jobs.db")
    enqueue(broker, 2_000)
    broker.backup(tmp_path / "copy.db")
    broker.cancel(JobFilter())
    newer = enqueue(broker, 2_000)
    broker.close()
    command = [sys.executable, "-c", _HALF_A_RESTORE, str(broker.path), str(tmp_path / "copy.db")]
    assert subprocess.run(command, check=False).returncode == 9
    assert set(ids_in(broker)) >= set(newer)
    assert broker.counts() == {("default", State.CANCELLED): 2_000, ("default", State.READY): 2_000}
    broker.close()
    connection = sqlite3.connect(broker.path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
