"""The write-ahead log: who moves it into the database, and that it stays short (design section 6, R40)."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comanda.brokers.sqlite import broker as broker_module
from comanda.brokers.sqlite import checkpoint, library
from comanda.brokers.sqlite.checkpoint import Checkpointer, log_size
from comanda.brokers.sqlite.connection import Connection
from comanda.testing.conformance.case import enqueue, enqueue_one
from tests.brokers.sqlite_files import LIBRARIES, elsewhere, open_sqlite

MEGABYTE = 1024 * 1024
_CHECK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*connection.execute("PRAGMA integrity_check").fetchone())
print(*connection.execute("SELECT count(*) FROM comanda_jobs").fetchone())
"""

both_libraries = pytest.mark.parametrize("name", LIBRARIES)


@pytest.fixture
def has_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries count as those with the WAL-reset race."""
    monkeypatch.setattr(library, "has_wal_reset_race", lambda _version: True)


def _main_file(path: Path) -> tuple[int, int]:
    """Return size and time of the last write; opening the file here would drop SQLite's locks (R43)."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _checkpoint_elsewhere(path: Path) -> None:
    """Run the checkpoint process; with nothing behind its standard input it ends after one look."""
    command = [sys.executable, "-m", "comanda.brokers.sqlite", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)


@both_libraries
def test_a_library_with_the_race_never_touches_the_main_file(has_race: None, tmp_path: Path, name: str) -> None:
    """However much is written, the log alone grows, until a checkpointer runs in another process."""
    broker = open_sqlite(tmp_path / "jobs.db", name)
    before = _main_file(broker.path)
    for side in broker._store.sides:
        assert side.open(0).execute("PRAGMA wal_autocheckpoint") == [(0,)]
    for _ in range(12):
        enqueue(broker, 50, payload=b"x" * 10_000)
    broker.counts()
    assert log_size(broker.path) > 5 * MEGABYTE
    assert _main_file(broker.path) == before
    _checkpoint_elsewhere(broker.path)
    assert broker.path.stat().st_size > 5 * MEGABYTE
    enqueue_one(broker)
    assert log_size(broker.path) < MEGABYTE
    assert sum(broker.counts().values()) == 601
    broker.close()
    assert elsewhere(_CHECK, broker.path) == "ok\n601"


@both_libraries
def test_a_library_without_the_race_checkpoints_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(library, "has_wal_reset_race", lambda _version: False)
    broker = open_sqlite(tmp_path / "jobs.db", name)
    for _ in range(12):
        enqueue(broker, 50, payload=b"x" * 10_000)
    assert broker.path.with_name("jobs.db-wal").stat().st_size < 6 * MEGABYTE
    assert broker.path.stat().st_size > 4 * MEGABYTE
    broker.close()


def test_a_producer_with_the_race_has_its_log_looked_after_by_another_process(
    has_race: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only producers run, nobody else would: the log of a web process must not grow for ever."""
    monkeypatch.setattr(checkpoint, "LARGE", 5 * MEGABYTE)
    monkeypatch.setattr(broker_module, "_HELPER_EVERY", 1)
    broker, witness = (open_sqlite(tmp_path / "jobs.db") for _ in range(2))
    before = _main_file(broker.path)
    for _ in range(12):
        enqueue(broker, 50, payload=b"x" * 10_000)
    broker.close()  # waits for that process
    assert _main_file(broker.path) != before
    assert sum(witness.counts().values()) == 600
    witness.close()


def test_maintenance_never_brings_a_second_library_to_the_file(has_race: None, tmp_path: Path) -> None:
    """`maintain` on the interpreter's library leaves the work to another process as well."""
    broker = open_sqlite(tmp_path / "jobs.db")
    enqueue(broker, 600, payload=b"x" * 10_000)
    before = _main_file(broker.path)
    broker.maintain()
    assert _main_file(broker.path) == before
    assert library._in_use[(broker.path.stat().st_dev, broker.path.stat().st_ino)][0] == "sqlite3"
    broker.close()


def test_the_log_stays_short_under_steady_writing(has_race: None, tmp_path: Path) -> None:
    """40 MB go through a log of a fraction of that."""
    broker = open_sqlite(tmp_path / "jobs.db", "apsw")
    checkpointer = Checkpointer(broker.path, "apsw")
    for _ in range(8):
        enqueue(broker, 500, payload=b"x" * 10_000)
        assert checkpointer.run()
    assert broker.path.with_name("jobs.db-wal").stat().st_size < 12 * MEGABYTE
    assert sum(broker.counts().values()) == 4_000
    broker.close()


def test_a_long_reader_pins_the_log_and_delays_nobody(tmp_path: Path) -> None:
    """Maintenance does not wait for it; when it has gone, the log starts over."""
    broker = open_sqlite(tmp_path / "jobs.db", "apsw")
    with broker._store.read() as session:
        assert session.run("SELECT count(*) FROM comanda_jobs") == [(0,)]
        for _ in range(8):
            enqueue(broker, 500, payload=b"x" * 10_000)
            broker.maintain()
        assert log_size(broker.path) > 32 * MEGABYTE
    broker.maintain()
    enqueue_one(broker)
    assert log_size(broker.path) < MEGABYTE
    assert sum(broker.counts().values()) == 4_001
    broker.close()


def test_writers_wait_for_short_readers_that_never_leave_the_log_alone(
    has_race: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No moment without a reader was found; the last one leaves while writers are kept out."""
    tried = threading.Event()

    def found_none(_connection: Connection) -> bool:
        tried.set()
        return False

    monkeypatch.setattr(checkpoint, "LARGE", MEGABYTE)
    monkeypatch.setattr(checkpoint, "_start_over", found_none)
    broker = open_sqlite(tmp_path / "jobs.db", "apsw")
    with ThreadPoolExecutor(1) as pool:
        with broker._store.read() as session:
            session.run("SELECT count(*) FROM comanda_jobs")
            enqueue(broker, 500, payload=b"x" * 10_000)
            looked = pool.submit(Checkpointer(broker.path, "apsw").run)
            assert tried.wait(60)
        assert looked.result()
    enqueue_one(broker)
    assert log_size(broker.path) < MEGABYTE
    broker.close()


def test_the_size_of_a_log_is_what_was_written_since_it_started_over(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    assert log_size(path) == 0
    broker = open_sqlite(path, "apsw")
    enqueue(broker, 100)
    grown = log_size(path)
    assert grown == path.with_name("jobs.db-wal").stat().st_size
    enqueue(broker, 100)
    assert log_size(path) > grown
    broker.close()
    assert log_size(path) == 0
