"""Counts that lag behind the enqueues, and are right all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from comanda.brokers.records import MESSAGE, JobFilter, Kind, State
from comanda.brokers.sqlite import SQLiteBroker, broker, counts, enqueue
from comanda.testing.conformance.case import Worker, consumer, enqueue_one, new_job, new_jobs, outcome
from tests.brokers.sqlite_files import LIBRARIES, connect, open_sqlite

both_libraries = pytest.mark.parametrize("library", LIBRARIES)


@both_libraries
def test_jobs_not_yet_counted_are_read_as_they_are(tmp_path: Path, library: str) -> None:
    first, second = (open_sqlite(tmp_path / "jobs.db", library) for _ in range(2))
    for _ in range(3):
        enqueue_one(first)
        enqueue_one(second, delay=1)
    assert _uncounted(first) > 0
    assert first.counts() == {("default", State.READY): 3, ("default", State.SCHEDULED): 3}
    for opened in (first, second):
        opened.close()


@both_libraries
def test_whoever_changes_a_job_counts_it_first(tmp_path: Path, library: str) -> None:
    opened = open_sqlite(tmp_path / "jobs.db", library)
    worker = Worker(opened)
    jobs = [enqueue_one(opened) for _ in range(4)]
    worker.claim(1)
    assert _uncounted(opened) == 0
    jobs += [enqueue_one(opened) for _ in range(2)]
    assert opened.cancel(JobFilter(ids=(jobs[-1],))) == [jobs[-1]]
    assert opened.delete(JobFilter(ids=(jobs[-2],))) == 1
    assert opened.counts() == {
        ("default", State.READY): 3,
        ("default", State.RUNNING): 1,
        ("default", State.CANCELLED): 1,
    }
    opened.close()


@both_libraries
def test_a_process_counts_what_it_enqueues_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """Without a worker nobody else would, and reading the counts would become slow."""
    monkeypatch.setattr(broker, "TAIL", 5)
    opened = open_sqlite(tmp_path / "jobs.db", library)
    for stored in range(1, 30):
        enqueue_one(opened)
        assert _uncounted(opened) <= 5
        assert opened.counts() == {("default", State.READY): stored}
    opened.close()


@both_libraries
def test_jobs_of_the_callers_transactions_are_counted_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setattr(broker, "TAIL", 5)
    opened = open_sqlite(tmp_path / "jobs.db", library)
    connection = connect(opened.path, library)
    for stored in range(1, 12):
        for statement in opened.enqueue_statements(new_job()):
            connection.execute(statement.sql, statement.parameters).fetchall()
        opened.ring()
        assert _uncounted(opened) <= 5
        assert opened.counts() == {("default", State.READY): stored}
    connection.close()
    opened.close()


@both_libraries
def test_a_few_jobs_go_by_one_statement_and_many_by_a_transaction(tmp_path: Path, library: str) -> None:
    """Both store all, in order, also when an id among them exists already."""
    opened = open_sqlite(tmp_path / "jobs.db", library)
    known = enqueue_one(opened)
    stored = [known]
    for size in (1, 2, enqueue.FEW, enqueue.FEW + 1):
        fresh = new_jobs(size)
        answers = opened.enqueue([*fresh, structs.replace(new_job(), id=known)])
        assert [answer.created for answer in answers] == [True] * size + [False]
        more = new_jobs(size)
        assert all(answer.created for answer in opened.enqueue(more))
        stored += [job.id for job in fresh + more]
    assert [job.id for job in Worker(opened).claim(1000)] == stored
    opened.close()


@both_libraries
def test_the_number_of_a_deleted_job_is_never_given_again(tmp_path: Path, library: str) -> None:
    """SQ11: a stale (n, fence) must not match a later job. However it is enqueued, and whoever deleted the last one."""
    opened = open_sqlite(tmp_path / "jobs.db", library)
    connection = connect(opened.path, library)
    reader = consumer(opened)
    used: set[int] = set()
    for size in (1, 2, enqueue.FEW + 1) * 3:
        opened.enqueue(new_jobs(size))
        for statement in opened.enqueue_statements(new_job()):
            connection.execute(statement.sql, statement.parameters).fetchall()
        enqueue_one(opened, task=MESSAGE, queue="letters")
        numbers = _numbers(opened)
        assert len(numbers) == size + 2
        assert used.isdisjoint(numbers)
        used.update(numbers)
        assert reader.settle(outcome(reader.claim_one(), Kind.SUCCESS)) == []
        opened.delete(JobFilter())
        assert _numbers(opened) == []
    connection.close()
    opened.close()


def _numbers(opened: SQLiteBroker) -> list[int]:
    with opened._store.read() as session:
        return [row[0] for row in session.run("SELECT n FROM {ns}_jobs ORDER BY n")]


def _uncounted(opened: SQLiteBroker) -> int:
    with opened._store.read() as session:
        return sum(row[2] for row in session.run(counts._UNCOUNTED))
