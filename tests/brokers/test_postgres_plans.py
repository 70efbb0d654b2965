"""Statements that run often follow their indexes, whatever the planner knows or believes about the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from comanda.brokers.postgres import PostgresBroker, exchange, line, read, settling
from comanda.brokers.postgres.wire import Value, bool_, int4, int8, uuids
from comanda.brokers.records import Kind
from comanda.testing.conformance.case import Worker, new_jobs, outcome, success
from tests.brokers.postgres_stores import execute, open_postgres

STATES = ("never analysed", "analysed while it was empty", "analysed")


class Plan:
    """The plan of a statement as one text, on the connection that would run it."""

    def __init__(self, broker: PostgresBroker, worker: Worker) -> None:
        self.broker = broker
        self.worker = worker

    def __call__(self, template: str, *parameters: Value, options: str = "") -> str:
        store = self.broker._store
        text, is_timed = store.text(template)
        connection = store.writing.connection
        assert connection is not None
        connection.script("BEGIN")
        rows = connection.run(f"EXPLAIN {options} {text}", (store.now(), *parameters) if is_timed else parameters)
        connection.script("ROLLBACK")
        return "\n".join(row[0] for row in rows)

    def of_exchange(self, tasks: tuple[int, ...], options: str = "") -> str:
        """Return the plan of settling what the worker holds and claiming 10 more."""
        done = [success(job) for job in self.worker.claim(10)]
        values = (int4(self.worker.owner), int4(1), int8(10), bool_(False), None, *line.values(line.HEAD))
        template = exchange._for_tasks(exchange._EXCHANGE, tasks)
        return self(template, *values, *settling.success_values(done), options=options)


@pytest.fixture(scope="module", params=STATES)
def plan_of(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Plan]:
    """20,000 jobs in every state, as the planner knows them."""
    namespace = f"plans_{STATES.index(request.param)}"
    execute(postgres_url, f"DROP SCHEMA IF EXISTS {namespace} CASCADE")
    broker = open_postgres(postgres_url, namespace)
    worker = Worker(broker)
    if request.param == STATES[1]:
        broker.enqueue(new_jobs(1))
        execute(postgres_url, f"VACUUM ANALYZE {namespace}.ready, {namespace}.claimed, {namespace}.jobs")
    for _ in range(2):
        broker.enqueue(new_jobs(10_000))
    broker.enqueue(new_jobs(100, delay=1))
    jobs = worker.claim(200)
    worker.settle(*(outcome(job, kind) for job, kind in zip(jobs, list(Kind) * 40, strict=False)))
    if request.param == STATES[2]:
        execute(postgres_url, "ANALYZE")
    yield Plan(broker, worker)
    broker.close()
    execute(postgres_url, f"DROP SCHEMA {namespace} CASCADE")


def scanned(plan: str) -> set[str]:
    """Return the tables that are read from end to end, but for those of a few rows."""
    return {*re.findall(r"Seq Scan on (\w+)", plan)} - {"queues", "workers", "tasks"}


def test_the_hot_path_walks_along_its_indexes_and_sorts_no_table(plan_of: Plan) -> None:
    plan = plan_of.of_exchange((1,))
    assert scanned(plan) == set()
    for index in ("ready_line", "claimed_pkey", "jobs_pkey"):
        assert f"using {index} on" in plan, plan
    assert re.search(r"Index Cond: \(\(queue = 1\) AND \(ROW\(rank, due, n\) > ROW\(.+\) AND \(task = 1\)\)", plan), (
        plan
    )
    assert plan.count("Sort Key") == 1, plan  # of the jobs claimed


def test_a_claim_of_several_tasks_keeps_the_order_of_its_index(plan_of: Plan) -> None:
    plan = plan_of.of_exchange((1, 2, 3))
    assert scanned(plan) == set()
    assert plan.count("Sort Key") == 1, plan


def test_a_claim_reads_as_many_pages_however_long_the_line_is(plan_of: Plan) -> None:
    """What a claim of 10 reads of 20,000 is what it reads of any number: a few pages for each job."""
    plan = plan_of.of_exchange((1,), options="(ANALYZE, BUFFERS, TIMING off)")
    pages = int(re.findall(r"shared hit=(\d+)", plan)[0])
    assert pages < 1_000, plan


def test_a_job_is_read_by_its_indexes(plan_of: Plan) -> None:
    for template in (read._GET, read._STATES, read._EXISTING, read._GET_WITH_HISTORY):
        plan = plan_of(template, uuids([job.id for job in new_jobs(3)]))
        assert scanned(plan) == set(), plan


def test_due_jobs_are_found_by_their_time(plan_of: Plan) -> None:
    plan = plan_of(exchange._PROMOTE)
    assert scanned(plan) == set()
    assert "using scheduled_due on" in plan
