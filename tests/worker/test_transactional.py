"""Tasks whose writes and completion commit together."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from comanda import (
    Comanda,
    ConfigurationError,
    Job,
    NotSupported,
    Retry,
    RetryLater,
    State,
    current_job,
)
from comanda.brokers.records import Claimed, Demand, WorkerInfo
from comanda.testing import inline, run_jobs
from comanda.worker.attempt import Attempt, begin
from comanda.worker.execute import runner_for
from comanda.worker.transactional import Transactional, set_apart

from .support import SOON, Gate, Working, states

SCHEMES = ("sqlite", "sqlite+apsw", "postgresql")


@pytest.fixture(params=SCHEMES)
def app(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Iterator[Comanda]:
    """An app with a table of the application's beside the queue, on each broker that can do this."""
    url = f"{request.param}:///{tmp_path}/queue.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = Comanda(url, namespace=namespace)
    number = "SERIAL" if request.param == "postgresql" else "INTEGER"
    with made.transaction() as connection:
        connection.execute(f"CREATE TABLE tags_{namespace} (n {number} PRIMARY KEY, tag TEXT)")
    yield made
    if request.param == "postgresql":
        with made.transaction() as connection:
            connection.execute(f"DROP TABLE tags_{namespace}")
    made.close()


def tags(app: Comanda) -> list[Any]:
    """Return what the application's table holds, as others see it."""
    query = f"SELECT tag FROM tags_{app.namespace} ORDER BY n"  # noqa: S608 - the test's own name
    if app.url.startswith("postgresql"):
        with psycopg.connect(app.url) as connection:
            return [tag for (tag,) in connection.execute(query.encode())]
    module: Any = apsw.Connection if "apsw" in app.url else sqlite3.connect
    with closing(module(app.url.partition("///")[2])) as connection:
        return [tag for (tag,) in connection.execute(query)]


def write(app: Comanda, tag: str) -> None:
    """What the tasks here do."""
    add = f"INSERT INTO tags_{app.namespace} (tag) VALUES ('{tag}')"  # noqa: S608 - the test's own
    current_job().connection.execute(add)


def test_the_writes_of_a_task_and_its_completion_are_one_commit(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="tag", transactional=True)
    def tag() -> str:
        write(app, "red")
        gate.wait()
        return "done"

    job = tag.enqueue()
    with Working(app):
        gate.arrived()
        assert seen_by_others(app, job) == ([], "running")
        gate.opened.set()
        assert job.result(SOON) == "done"
        assert seen_by_others(app, job) == (["red"], "successful")
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["successful"]
    assert states(app) == {State.SUCCESSFUL: 1}


def seen_by_others(app: Comanda, job: Job[Any]) -> tuple[list[str], str]:
    """Return the application's rows and the job's state."""
    return tags(app), app.get_job(job.id).state


def test_an_exception_rolls_back_and_goes_the_usual_way(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=2, backoff=0))
    def tag() -> None:
        write(app, f"attempt {current_job().attempt}")
        if current_job().attempt == 1:
            raise ValueError("not yet")

    job = tag.enqueue()
    with Working(app):
        job.result(SOON)
    assert tags(app) == ["attempt 2"]
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["failed", "successful"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), RetryLater(after=100)], ids=repr)
def test_whatever_a_task_raises_rolls_back(app: Comanda, error: BaseException) -> None:
    @app.task(name="tag", transactional=True)
    def tag() -> None:
        write(app, "red")
        raise error

    tag.enqueue()
    with Working(app, burst=True) as worker:
        worker.join()
    assert tags(app) == []


def test_a_result_that_cannot_be_stored_rolls_back(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, result_limit=10)
    def tag() -> str:
        write(app, "red")
        return "x" * 100

    job = tag.enqueue()
    run_jobs(app)
    assert (job.refresh().state, tags(app)) == (State.FAILED, [])


def test_a_task_that_never_asks_for_the_connection_completes_as_any_other(app: Comanda) -> None:
    @app.task(name="tag", transactional=True)
    def tag() -> int:
        return 5

    job = tag.enqueue()
    assert (run_jobs(app), job.result()) == (1, 5)


def test_a_lost_lease_rolls_both_back(app: Comanda) -> None:
    """The worker was declared dead while its task ran: the job is somebody else's, and so are its effects."""
    release: list[Callable[[], object]] = []

    @app.task(name="tag", transactional=True)
    def tag() -> None:
        if release:
            release.pop()()
        write(app, f"attempt {current_job().fence}")

    tag.enqueue()
    owner = app.broker.register(WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=("tag",)))
    (claimed,) = app.broker.claim(owner, Demand(1, frozenset({"tag"})))
    release.append(lambda: app.broker.release(owner, ()))
    attempt, transactional = prepared(app, claimed, owner)
    outcome = runner_for(attempt, transactional).run(attempt)
    transactional.close()
    assert set_apart([outcome]) == ([], [], [outcome])
    assert (tags(app), states(app)) == ([], {State.READY: 1})
    run_jobs(app)
    assert (tags(app), states(app)) == (["attempt 2"], {State.SUCCESSFUL: 1})


def prepared(app: Comanda, claimed: Claimed, owner: int) -> tuple[Attempt, Transactional]:
    """Return a claimed job as a worker prepares it."""
    attempt = begin(claimed, dict(app.tasks), 0)
    assert isinstance(attempt, Attempt)
    return attempt, Transactional(app.broker, owner)


def test_a_worker_tells_of_a_lost_lease(
    app: Comanda, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "comanda.worker.engine.STOP_LOOK", threading.TIMEOUT_MAX
    )  # a look at its leases would find out before
    gate = Gate()

    @app.task(name="tag", transactional=True)
    def tag() -> None:
        gate.wait()
        write(app, "red")

    tag.enqueue()
    with Working(app) as worker:
        gate.arrived()
        worker.engine.stop(SOON)
        app.broker.release(worker.owner, ())
        gate.opened.set()
        worker.join()
    assert (tags(app), states(app)) == ([], {State.READY: 1})
    assert "LostLease" in caplog.text


def test_a_follow_up_job_is_enqueued_with_the_task_s_own_commit(app: Comanda) -> None:
    @app.task(name="follow")
    def follow(number: int) -> int:
        return number

    @app.task(name="lead", transactional=True, retry=Retry(max_attempts=2, backoff=0))
    def lead() -> str:
        job = follow.using(connection=current_job().connection).enqueue(current_job().attempt)
        if current_job().attempt == 1:
            raise ValueError("not yet")
        return job.id

    job = lead.enqueue()
    with Working(app):
        followed = app.get_job(job.result(SOON))
        assert followed.result(SOON) == 2
    assert states(app) == {State.SUCCESSFUL: 2}


def test_the_connection_is_the_same_throughout_and_whatever_is_set_on_it_ends_with_the_attempt(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:///{tmp_path}/queue.db")
    seen: list[object] = []

    @app.task(name="tag", transactional=True)
    def tag() -> None:
        connection = current_job().connection
        assert connection is current_job().connection
        seen.append(connection.row_factory)
        connection.row_factory = lambda *_: {"of": "mine"}
        connection.text_factory = bytes

    for _ in range(2):
        tag.enqueue()
    run_jobs(app)
    assert (seen, states(app)) == ([None, None], {State.SUCCESSFUL: 2})
    app.close()


def test_a_task_that_ends_the_transaction_itself_fails(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=1))
    def tag() -> None:
        write(app, "red")
        current_job().connection.execute("COMMIT")

    job = tag.enqueue()
    run_jobs(app)
    assert job.refresh().state is State.FAILED
    assert "leave that to the worker" in job.attempts[-1].error_message


def test_a_store_that_stays_locked_fails_the_attempt(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:///{tmp_path}/queue.db", deadline=0.05)

    @app.task(name="tag", transactional=True, retry=Retry(max_attempts=1))
    def tag() -> None:
        locked.execute("BEGIN IMMEDIATE")
        try:
            write(app, "red")
        finally:
            locked.execute("ROLLBACK")

    job = tag.enqueue()
    with closing(sqlite3.connect(tmp_path / "queue.db", isolation_level=None)) as locked:
        run_jobs(app)
    assert (job.refresh().state, job.attempts[-1].error_type) == (State.FAILED, "BrokerTimeout")
    app.close()


def test_a_time_limit_rolls_back(app: Comanda) -> None:
    @app.task(name="tag", transactional=True, timeout=0.05, retry=Retry(max_attempts=1))
    def tag() -> None:
        write(app, "red")
        never = threading.Event()
        while not never.wait(0.01):
            pass

    job = tag.enqueue()
    with Working(app, patience=SOON, burst=True) as worker:
        worker.join()
    assert (job.refresh().attempts[-1].outcome, tags(app)) == ("timed_out", [])


def test_many_of_them_side_by_side_lose_nothing(app: Comanda) -> None:
    @app.task(name="tag", transactional=True)
    def tag(number: int) -> None:
        write(app, str(number))

    app.enqueue_many(tag.call(number) for number in range(200))
    with Working(app, burst=True) as worker:
        worker.join()
    assert sorted(map(int, tags(app))) == list(range(200))
    assert states(app) == {State.SUCCESSFUL: 200}


def test_inline_mode_runs_them_too(app: Comanda) -> None:
    @app.task(name="tag", transactional=True)
    def tag() -> int:
        write(app, "red")
        return 1

    with inline(app):
        assert tag.enqueue().result() == 1
    assert tags(app) == ["red"]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_the_connection_is_for_transactional_tasks_alone(app: Comanda) -> None:
    @app.task(name="tag", retry=Retry(max_attempts=1))
    def tag() -> None:
        write(app, "red")

    job = tag.enqueue()
    run_jobs(app)
    assert "declare it with @app.task(transactional=True)" in job.refresh().attempts[-1].error_message


def test_the_connection_is_gone_when_the_task_has_ended(app: Comanda) -> None:
    kept: list[Any] = []

    @app.task(name="tag", transactional=True)
    def tag() -> None:
        kept.append(current_job())

    tag.enqueue()
    run_jobs(app)
    with pytest.raises(ConfigurationError, match="only while it runs"):
        _ = kept[0].connection


def test_a_broker_that_cannot_is_refused_where_the_task_is_declared(memory_app: Comanda) -> None:
    with pytest.raises(NotSupported, match="needs the queue in the application's database"):
        memory_app.task(name="tag", transactional=True)(lambda: None)


def test_a_broker_that_is_not_known_yet_is_refused_when_the_work_begins() -> None:
    app = Comanda()
    app.task(name="tag", transactional=True)(lambda: None)
    with inline(app), pytest.raises(NotSupported, match="needs the queue in the application's database"):
        run_jobs(app)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+apsw"])
def test_a_coroutine_on_sqlite_is_refused(tmp_path: Path, scheme: str) -> None:
    app = Comanda(f"{scheme}:///{tmp_path}/queue.db")

    async def tag() -> None: ...

    with pytest.raises(NotSupported, match="declare it with def"):
        app.task(name="tag", transactional=True)(tag)


def test_an_isolated_job_is_refused(app: Comanda) -> None:
    with pytest.raises(NotSupported, match="exclude each other"):
        app.task(name="tag", transactional=True, isolate=True)(lambda: None)


def test_a_broker_without_them_says_so(memory_app: Comanda) -> None:
    for open_one in (memory_app.broker.completion, memory_app.broker.acompletion):
        with pytest.raises(NotSupported, match="own transaction"):
            open_one()
    Transactional(memory_app.broker, 1).close()
