"""Many at once: claims are disjoint, and nobody waits for an application's long transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.records import NewJob, State
from comanda.testing.conformance.case import Worker, enqueue, enqueue_one, new_job, together
from tests.brokers.postgres_stores import drain, open_postgres
from tests.brokers.sqlite_files import in_child


@pytest.fixture
def broker(postgres_url: str, namespace: str) -> Iterator[PostgresBroker]:
    """An open broker with a short deadline: what waits for a lock fails soon."""
    broker = open_postgres(postgres_url, namespace, deadline=2)
    yield broker
    broker.close()


def test_four_threads_on_four_brokers_drain_disjoint_sets(
    broker: PostgresBroker, postgres_url: str, namespace: str
) -> None:
    """While two more enqueue: each job is claimed once, settled once, and counted right."""
    brokers = [open_postgres(postgres_url, namespace) for _ in range(4)]
    workers = [Worker(place) for place in brokers]
    enqueue(broker, 2_000)
    shares = together(
        *(partial(drain, worker, 37) for worker in workers),
        lambda: [job for _ in range(20) for job in enqueue(broker, 25)] and [],
    )
    shares += [drain(workers[0], 500)]
    taken = [job for share in shares for job in share]
    assert len(taken) == len(set(taken)) == 2_500
    assert broker.counts() == {("default", State.SUCCESSFUL): 2_500}
    for place in brokers:
        place.close()


def test_nobody_waits_for_an_applications_open_transaction(broker: PostgresBroker, postgres_url: str) -> None:
    """It has enqueued into a new queue, and named a new task: others use both, and what else there is."""
    with psycopg.connect(postgres_url) as connection:
        first = new_job(queue="new", task="new")
        run(broker, connection, first)
        worker = Worker(broker, "new")
        second = enqueue_one(broker, queue="new", task="new")
        assert drain(worker, 10) == [second]
        assert broker.counts() == {("new", State.SUCCESSFUL): 1}
        connection.commit()
    assert drain(worker, 10) == [first.id]
    assert broker.counts() == {("new", State.SUCCESSFUL): 2}


def test_a_key_in_an_open_transaction_is_waited_for(broker: PostgresBroker, postgres_url: str) -> None:
    """Nobody can know yet whether it is held; a rollback sets it free."""
    begun = threading.Event()

    def enqueue_beside() -> bytes:
        begun.set()
        return enqueue_one(broker, unique_key="k")

    with psycopg.connect(postgres_url) as connection:
        run(broker, connection, new_job(unique_key="k"))

        def roll_back() -> bytes:
            assert begun.wait(10)
            connection.rollback()
            return b""

        stored, _ = together(enqueue_beside, roll_back)
    assert stored in broker.states([stored])


def test_an_enqueue_on_a_foreign_connection_needs_no_search_path_and_no_plain_rows(
    broker: PostgresBroker, postgres_url: str
) -> None:
    """The caller's settings are the caller's: path, row factory, isolation."""
    with psycopg.connect(postgres_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.execute("SET search_path = pg_catalog")
        job = new_job(queue="elsewhere", task="another", unique_key="käse", delay=5)
        assert run(broker, connection, job) == (job.id, True)
        assert run(broker, connection, new_job(unique_key="käse")) == (job.id, False)
    assert broker.counts() == {("elsewhere", State.SCHEDULED): 1}


def test_a_forked_child_works_on_the_store_and_so_does_its_parent(broker: PostgresBroker) -> None:
    """The child leaves the parent's connections alone, also when it ends (R23)."""
    enqueue_one(broker)
    broker.wait_for_work(0)

    def work() -> str:
        broker.forget()
        enqueue_one(broker)
        return str(sum(broker.counts().values()))

    assert in_child(work) == "2"
    enqueue_one(broker)
    assert sum(broker.counts().values()) == 3


def run(broker: PostgresBroker, connection: psycopg.Connection, job: NewJob) -> tuple[bytes, bool]:
    """Run the enqueue on a connection; return the answer's row."""
    rows: list[tuple[bytes, bool]] = []
    for statement in broker.enqueue_statements(job):
        rows = connection.execute(statement.sql.encode(), statement.parameters).fetchall()
    (answer,) = rows
    return answer
