"""What is removed leaves no row behind, and looking for it does not read the whole table."""

from __future__ import annotations

from pathlib import Path

from comanda.brokers.records import JobFilter, Kind
from comanda.brokers.sqlite import SQLiteBroker
from comanda.testing.conformance.case import Worker, enqueue, new_jobs, outcome
from tests.brokers.sqlite_files import open_sqlite

_NOTHING = {"jobs": 0, "attempts": 0, "operations": 0}


def _rows(broker: SQLiteBroker) -> dict[str, int]:
    with broker._store.read() as session:
        return {
            "jobs": session.run("SELECT count(*) FROM {ns}_jobs")[0][0],
            "attempts": session.run("SELECT count(*) FROM {ns}_attempts")[0][0],
            "operations": session.run("SELECT count(*) FROM {ns}_operations")[0][0],
        }


def _failed_jobs_with_a_past(broker: SQLiteBroker) -> list[bytes]:
    """Return jobs with an attempt and an operation each."""
    jobs = enqueue(broker, 3)
    worker = Worker(broker)
    worker.settle(*(outcome(job, Kind.FAILURE) for job in worker.claim()))
    broker.retry(JobFilter())
    broker.cancel(JobFilter())
    return jobs


def test_histories_go_with_their_jobs(tmp_path: Path) -> None:
    """Whether an operator deletes them or their time has come."""
    broker = open_sqlite(tmp_path / "jobs.db")
    _failed_jobs_with_a_past(broker)
    assert _rows(broker) == {"jobs": 3, "attempts": 3, "operations": 6}
    assert broker.delete(JobFilter()) == 3
    assert _rows(broker) == _NOTHING
    _failed_jobs_with_a_past(broker)
    assert broker.prune(successful_before=0, ended_before=0, keep_at_most=1) == 2
    assert _rows(broker) == {"jobs": 1, "attempts": 1, "operations": 2}
    broker.close()


def test_a_walk_ends_at_the_first_job_that_is_too_young(tmp_path: Path) -> None:
    """Retention of a large table does not read all of it each time."""
    broker = open_sqlite(tmp_path / "jobs.db")
    old = enqueue(broker, 2)
    broker.cancel(JobFilter())
    broker.enqueue(new_jobs(500))
    now = broker._clock.now()
    broker._store.close()
    with broker._store.read() as session:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        session.raw.set_progress_handler(count, 10)
        chosen = broker._pruner._too_old(session, now, now)
        session.raw.set_progress_handler(None, 10)
    assert (len(old), chosen) == (2, [])
    assert steps < 10
    broker.close()
