"""What transactional tasks do on PostgreSQL alone: coroutines, and sessions made as new."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from comanda import Comanda, Retry, State, current_job
from comanda.brokers.records import Demand, WorkerInfo
from comanda.testing import run_jobs
from comanda.worker.attempt import Attempt, begin
from comanda.worker.execute import runner_for
from comanda.worker.transactional import Transactional, set_apart

from .support import SOON, Working, states


@pytest.fixture
def app(postgres_url: str, namespace: str) -> Iterator[Comanda]:
    """An app with a table of the application's beside the queue."""
    made = Comanda(postgres_url, namespace=namespace)
    made.broker.open()
    with made.transaction() as connection:
        connection.execute(f'CREATE TABLE "{namespace}".tags (n SERIAL PRIMARY KEY, tag TEXT)')
    yield made
    made.close()


def add(app: Comanda, tag: str) -> bytes:
    """Return the statement of the tasks here."""
    return f"""INSERT INTO "{app.namespace}".tags (tag) VALUES ('{tag}')""".encode()  # noqa: S608 - the test's own


def tags(app: Comanda) -> list[Any]:
    """Return what the application's table holds."""
    with psycopg.connect(app.url) as connection:
        rows = connection.execute(f'SELECT tag FROM "{app.namespace}".tags ORDER BY n'.encode())  # noqa: S608 - as above
        return [tag for (tag,) in rows]


def test_a_coroutine_writes_and_completes_in_one_transaction(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=2, backoff=0))
    async def tag() -> str:
        connection = current_job().connection
        assert connection is current_job().connection
        await connection.execute(add(app, f"attempt {current_job().attempt}"))
        assert tags(app) == []
        if current_job().attempt == 1:
            raise ValueError("not yet")
        return "done"

    job = tag.enqueue()
    with Working(app):
        assert job.result(SOON) == "done"
    assert (tags(app), states(app)) == (["attempt 2"], {State.SUCCESSFUL: 1})


def test_many_coroutines_side_by_side_lose_nothing(app: Comanda) -> None:
    @app.task(name="tag", transactional=True)
    async def tag(number: int) -> None:
        await current_job().connection.execute(add(app, str(number)))
        await asyncio.sleep(0)

    app.enqueue_many(tag.call(number) for number in range(100))
    with Working(app, burst=True) as worker:
        worker.join()
    assert sorted(map(int, tags(app))) == list(range(100))
    assert states(app) == {State.SUCCESSFUL: 100}


def test_a_coroutine_that_never_uses_the_connection_completes_as_any_other(app: Comanda) -> None:
    @app.task(name="tag", transactional=True)
    async def tag() -> int:
        return 5

    @app.task(name="look", transactional=True)
    async def look() -> bool:
        return bool(current_job().connection.closed)

    jobs = tag.enqueue(), look.enqueue()
    assert run_jobs(app) == 2
    assert [job.result() for job in jobs] == [5, False]


def test_a_coroutine_s_follow_up_commits_with_it(app: Comanda) -> None:
    @app.task(name="follow")
    def follow(number: int) -> int:
        return number

    @app.task(name="lead", transactional=True, retry=Retry(max_attempts=2, backoff=0))
    async def lead() -> str:
        job = await follow.using(connection=current_job().connection).aenqueue(current_job().attempt)
        if current_job().attempt == 1:
            raise ValueError("not yet")
        return job.id

    job = lead.enqueue()
    with Working(app):
        assert app.get_job(job.result(SOON)).result(SOON) == 2
    assert states(app) == {State.SUCCESSFUL: 2}


def test_a_coroutine_s_lost_lease_rolls_both_back(app: Comanda) -> None:
    @app.task(name="tag", transactional=True)
    async def tag() -> None:
        await current_job().connection.execute(add(app, "red"))
        app.broker.release(owner, ())

    tag.enqueue()
    owner = app.broker.register(WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=("tag",)))
    (claimed,) = app.broker.claim(owner, Demand(1, frozenset({"tag"})))
    attempt = begin(claimed, dict(app.tasks), 0)
    assert isinstance(attempt, Attempt)
    outcome = runner_for(attempt, Transactional(app.broker, owner)).run(attempt)
    assert set_apart([outcome]) == ([], [], [outcome])
    assert (tags(app), states(app)) == ([], {State.READY: 1})


def test_a_cancelled_coroutine_rolls_back(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, timeout=0.05, retry=Retry(max_attempts=1))
    async def tag() -> None:
        await current_job().connection.execute(add(app, "red"))
        await asyncio.Event().wait()

    job = tag.enqueue()
    with Working(app, patience=SOON, burst=True) as worker:
        worker.join()
    assert (job.refresh().attempts[-1].outcome, tags(app)) == ("timed_out", [])


def test_a_session_is_as_new_for_the_next_task(app: Comanda) -> None:
    """What one leaves behind must not meet the next one: settings, temporary tables, locks, row factories."""
    seen: list[object] = []

    @app.task(name="tag", transactional=True)
    def tag() -> None:
        connection = current_job().connection
        seen.append(connection.execute("SHOW work_mem").fetchone())
        seen.append(connection.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()").fetchone())
        connection.execute("SET work_mem = '99MB'")
        connection.execute("CREATE TEMPORARY TABLE mine (n int)")
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.row_factory = psycopg.rows.dict_row
        connection.cursor_factory = psycopg.RawCursor

    for _ in range(3):
        tag.enqueue()
    run_jobs(app)
    assert states(app) == {State.SUCCESSFUL: 3}
    assert seen == seen[:2] * 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_broken_connection_fails_the_attempt_and_the_next_one_connects_again(app: Comanda, when: str) -> None:
    def cut() -> None:
        with psycopg.connect(app.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (current_job().connection.info.backend_pid,))

    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=2, backoff=0))
    def tag() -> None:
        if when == "before" and current_job().attempt == 1:
            cut()
        current_job().connection.execute(add(app, f"attempt {current_job().attempt}"))
        if when == "after" and current_job().attempt == 1:
            cut()

    job = tag.enqueue()
    with Working(app):
        job.result(SOON)
    assert tags(app) == ["attempt 2"]
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["failed", "successful"]


def test_a_constraint_that_fails_at_the_commit_is_the_application_s_own_error(app: Comanda) -> None:
    table = f'"{app.namespace}".parts'
    with app.transaction() as connection:
        connection.execute(f"CREATE TABLE {table} (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=1))
    def tag() -> None:
        current_job().connection.execute(f"INSERT INTO {table} VALUES (1), (1)".encode())  # noqa: S608 - as above

    job = tag.enqueue()
    run_jobs(app)
    assert job.refresh().attempts[-1].error_type == "UniqueViolation"


def test_a_transaction_that_the_task_has_broken_fails_the_attempt(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=1))
    def tag() -> None:
        current_job().connection.execute(add(app, "red"))
        try:
            current_job().connection.execute("SELECT * FROM no_such_table")
        except psycopg.Error:
            return

    job = tag.enqueue()
    run_jobs(app)
    assert (job.refresh().attempts[-1].error_type, tags(app)) == ("InFailedSqlTransaction", [])


def test_a_server_that_cannot_be_reached_fails_the_attempt(app: Comanda, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=1))
    def tag() -> None:
        current_job().connection.execute(add(app, "red"))

    @app.task(name="atag", transactional=True, retry=Retry(max_attempts=1))
    async def atag() -> None: ...

    jobs = tag.enqueue(), atag.enqueue()
    store: Any = app.broker
    store._store.open()
    monkeypatch.setattr(store._store, "_conninfo", "postgresql://127.0.0.1:1/nowhere")
    run_jobs(app)
    assert [job.refresh().attempts[-1].error_type for job in jobs] == ["BrokerUnavailable"] * 2
