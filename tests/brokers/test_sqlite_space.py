"""Room that removed jobs leave goes back to the file system (retention)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from comanda.brokers.records import JobFilter
from comanda.brokers.sqlite import space
from comanda.testing.conformance.case import enqueue
from tests.brokers.sqlite_files import LIBRARIES, elsewhere, open_sqlite

_CHECK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*connection.execute("PRAGMA integrity_check").fetchone())
"""

both_libraries = pytest.mark.parametrize("name", LIBRARIES)


@both_libraries
def test_the_room_of_removed_jobs_is_given_back_and_the_others_stay(tmp_path: Path, name: str) -> None:
    broker = open_sqlite(tmp_path / "jobs.db", name)
    ids = [job_id for _ in range(20) for job_id in enqueue(broker, 100, payload=b"x" * 10_000)]
    assert space.give_back(broker._store) == 0, "nothing is free"
    broker.delete(JobFilter(ids=tuple(job_id for number, job_id in enumerate(ids) if number % 4)))
    while space.give_back(broker._store):
        pass
    kept = [record.id for record in broker.find(JobFilter(), limit=2_000, oldest_first=True)]
    assert kept == ids[::4]
    broker.close()
    assert broker.path.stat().st_size < 10_500_000, "6 MB of jobs, at most 4 MB of free pages; it was 25 MB"
    assert elsewhere(_CHECK, broker.path) == "ok"


def test_each_round_takes_a_step_however_little_time_the_machine_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "SECONDS", 0.0)
    broker = open_sqlite(tmp_path / "jobs.db")
    ids = [job_id for _ in range(10) for job_id in enqueue(broker, 100, payload=b"x" * 10_000)]
    broker.delete(JobFilter(ids=tuple(ids)))
    assert space.give_back(broker._store) == space.STEP
    broker.close()


@both_libraries
def test_a_few_free_pages_are_not_worth_a_write(tmp_path: Path, name: str) -> None:
    broker = open_sqlite(tmp_path / "jobs.db", name)
    ids = enqueue(broker, 100, payload=b"x" * 10_000)
    broker.delete(JobFilter(ids=tuple(ids)))
    assert space.give_back(broker._store) == 0
    broker.close()


def test_a_file_of_the_application_is_left_as_it_is(tmp_path: Path) -> None:
    """Without auto_vacuum free pages are used again; only a VACUUM of its owner's makes the file smaller."""
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as application:
        application.execute("CREATE TABLE orders (number INTEGER)")
    broker = open_sqlite(tmp_path / "jobs.db")
    ids = [job_id for _ in range(20) for job_id in enqueue(broker, 100, payload=b"x" * 10_000)]
    broker.delete(JobFilter(ids=tuple(ids)))
    assert space.give_back(broker._store) == 0
    with broker._store.peek() as session:
        before = session.run("PRAGMA page_count")
        enqueue(broker, 1_000, payload=b"x" * 10_000)
        assert session.run("PRAGMA page_count") == before
    broker.close()


def test_maintenance_cuts_the_file_at_once(tmp_path: Path) -> None:
    """The supervisor's connection checkpoints after giving room back, although the log is short."""
    broker = open_sqlite(tmp_path / "jobs.db", "apsw")
    ids = [job_id for _ in range(20) for job_id in enqueue(broker, 100, payload=b"x" * 10_000)]
    broker.delete(JobFilter(ids=tuple(ids)))
    broker.maintain()
    assert broker.path.stat().st_size < 4_500_000
    broker.close()
