"""Statements that run often stay inside their index: what EXPLAIN QUERY PLAN says, on both libraries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comanda.brokers.records import JobFilter, Kind, State
from comanda.brokers.sqlite import SQLiteBroker, enqueue, exchange, liveness, operate, read, retention, selection
from comanda.testing.conformance.case import Worker, new_jobs, outcome
from tests.brokers.sqlite_files import LIBRARIES, open_sqlite


class Plan:
    """The plan of a statement as one text."""

    def __init__(self, broker: SQLiteBroker, *, is_analyzed: bool) -> None:
        self._broker = broker
        self.is_analyzed = is_analyzed

    def __call__(self, statement: str, *parameters: object) -> str:
        with self._broker._store.read() as session:
            rows = session.run(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)

    def of_filter(self, which: JobFilter, rest: str, *parameters: object) -> str:
        """Return the plan of reading the jobs that match a filter."""
        with self._broker._store.read() as session:
            term, values = selection.condition(session, which)
        return self(f"{read._JOB}{term}{rest}", *values, *parameters)


@pytest.fixture(
    scope="module", params=[(name, done) for name in LIBRARIES for done in ("fresh", "analyzed")], ids="-".join
)
def plan_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """Jobs in every state, as the planner finds them and as it is after somebody has run ANALYZE on the file."""
    name, done = request.param
    broker = open_sqlite(tmp_path_factory.mktemp("plans") / "jobs.db", name)
    worker = Worker(broker)
    broker.enqueue(new_jobs(300))
    broker.enqueue(new_jobs(100, delay=1))
    jobs = worker.claim(200)
    worker.settle(*(outcome(job, kind) for job, kind in zip(jobs, list(Kind) * 20, strict=False)))
    if done == "analyzed":
        with broker.transaction() as connection:
            connection.execute("ANALYZE")
    yield Plan(broker, is_analyzed=done == "analyzed")
    broker.close()


def test_a_claim_walks_along_its_index_and_sorts_nothing(plan_of: Plan) -> None:
    plan = plan_of(exchange._CLAIM % "1,2", 1, 1, 1, 10)
    assert "USING COVERING INDEX comanda_ready (queue=?)" in plan
    assert "USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan


def test_the_promotion_takes_the_first_of_its_index(plan_of: Plan) -> None:
    plan = plan_of(exchange._PROMOTE, 1)
    assert "INDEX comanda_scheduled (due<?)" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (exchange._HAS_READY, "comanda_ready"),
        (exchange._HAS_DUE, "comanda_scheduled (due<?)"),
        (liveness._HELD, "comanda_running (owner=?)"),
        (liveness._STOPS, "comanda_running (owner=?)"),
        (liveness._OVERDUE, "comanda_expiring (expires>? AND expires<?)"),
        (liveness._UNPARK, "comanda_parked (task=?)"),
        (enqueue._HOLDER, "comanda_unique (unique_key=?)"),
        (enqueue._EXISTS, "comanda_id (id=?)"),
        (read._STATE, "comanda_id (id=?)"),
        (exchange._SUCCEED, "INTEGER PRIMARY KEY (rowid=?)"),
        (exchange._END, "INTEGER PRIMARY KEY (rowid=?)"),
        (exchange._GO_BACK, "INTEGER PRIMARY KEY (rowid=?)"),
        (exchange._DELETE_MESSAGE, "INTEGER PRIMARY KEY (rowid=?)"),
        (operate._DELETE_ATTEMPTS, "PRIMARY KEY (job=?)"),
        (operate._DELETE_OPERATIONS, "comanda_operations_of (job=?)"),
        (retention._TOO_OLD, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_a_statement_that_runs_often_uses_its_index(plan_of: Plan, statement: str, index: str) -> None:
    plan = plan_of(statement, *[1] * statement.count("?"))
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_failed_jobs_are_found_in_their_index(plan_of: Plan) -> None:
    plan = plan_of.of_filter(
        JobFilter(states=(State.FAILED,)), " AND id < ? ORDER BY id DESC LIMIT ?", b"\xff" * 16, 100
    )
    assert "USING INDEX comanda_ended_badly (state" in plan
    if not plan_of.is_analyzed:  # with statistics 3.40 prefers to sort the few that ended badly
        assert "(state=? AND id<?)" in plan
        assert "TEMP B-TREE" not in plan


def test_counting_never_looks_at_jobs(plan_of: Plan) -> None:
    assert "comanda_jobs" not in plan_of(read._COUNTS)
    assert "comanda_jobs" not in plan_of(retention._FINISHED)


def test_the_oldest_ready_job_is_found_by_jumps_along_the_index(plan_of: Plan) -> None:
    plan = plan_of(read._OLDEST, 1)
    assert "SCAN comanda_jobs" not in plan
    assert "SCAN j" not in plan
    assert plan.count("INDEX comanda_ready") == 3
