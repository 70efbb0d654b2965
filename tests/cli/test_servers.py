"""The commands on PostgreSQL and Redis: the same words, the same answers, the same exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from comanda import JobFailed, Retry
from comanda.brokers.records import State
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port
from tests.servers.redis import RedisServer
from tests.servers.stores import SERVERS, StoreOf

from .conftest import Run
from .processes import comanda, environment, started
from .shop import Shop, jobs_of

TASKS = """
from comanda import Comanda

app = Comanda()


@app.task
def add(one: int, other: int) -> dict[str, int]:
    return {"sum": one + other}
"""

SECRET = "pa55-w0rd"
"""Must never be shown."""

LOOKING = (("jobs", "ls"), ("queues",), ("info",), ("doctor",), ("db", "status"), ("db", "export"))


@pytest.fixture(params=SERVERS)
def shop(
    request: pytest.FixtureRequest, store_of: StoreOf, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A shop on a server, which the environment names for all commands."""
    store = store_of(request.param)
    monkeypatch.setenv("COMANDA_URL", store.url)
    monkeypatch.setenv("COMANDA_NAMESPACE", store.namespace)
    made = Shop(workplace / "shop.db", store)
    yield made
    made.app.close()


def test_jobs_are_listed_shown_retried_and_cancelled(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    failed = shop.failed()
    waiting = shop.make_report.enqueue("may")
    assert {job["id"] for job in data("jobs", "ls")["jobs"]} == {failed.id, waiting.id}
    shown = run("jobs", "show", failed.id, "--traceback")
    assert (shown.exit_code, "ConnectionError: no such mailbox" in shown.stdout) == (0, True)
    assert "s3cret" not in shown.stdout
    assert run("jobs", "retry", "state:failed", "--yes").exit_code == 0
    assert run("jobs", "cancel", "queue:reports", "--yes").exit_code == 0
    assert (failed.refresh().state, waiting.refresh().state) == (State.READY, State.CANCELLED)
    assert [operation.verb for operation in failed.operations] == ["retry"]


def test_queues_and_the_store_are_shown(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    shop.successful()
    shop.make_report.enqueue("may")
    (default, reports) = data("queues")["queues"]
    assert (default["queue"], reports["queue"]) == ("default", "reports")
    assert run("queues", "pause", "reports").exit_code == 0
    assert [queue.name for queue in shop.app.broker.queues() if queue.paused] == ["reports"]
    about = data("info")
    assert about["namespace"] == shop.namespace
    assert urlsplit(about["store"]).port == urlsplit(shop.url).port
    assert [worker["pid"] for worker in about["workers"]]


def test_the_doctor_finds_a_sound_store_and_a_missing_worker(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    shop.send_mail.enqueue("ann")
    assert run("doctor").exit_code == 1
    alone = data("doctor")
    assert [found["check"] for found in alone["checks"] if found["level"] == "problem"] == ["workers"]
    assert shop.owner
    report = data("doctor")
    assert report["problems"] == 0
    assert {found["check"] for found in report["checks"]} >= {"store", "workers", "waiting"}


def test_the_schema_is_shown_and_made(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    for _ in range(2):  # looking does not make it
        empty = run("db", "status")
        assert (empty.exit_code, "comanda db migrate" in empty.stderr) == (1, True)
    assert run("db", "migrate").exit_code == 0
    status = data("db", "status")
    assert (status["namespace"], status["needs"]) == (shop.namespace, None)
    assert run("db", "migrate").stdout.startswith("nothing to do: ")


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_a_backup_is_the_server_s_own_business(shop: Shop, run: Run, workplace: Path, verb: str) -> None:
    (workplace / "copy").touch()
    refused = run("db", verb, "copy")
    assert refused.exit_code == 2
    assert "use the server's (PostgreSQL: pg_dump and pg_restore; Redis: BGSAVE or the append-only file)" in (
        refused.stderr
    )


def test_a_worker_serves_and_run_waits_for_the_result(shop: Shop, workplace: Path) -> None:
    (workplace / "tasks.py").write_text(TASKS)
    with started("worker", "tasks:app", "-c", "2", directory=workplace) as (worker, lines):
        lines.until("is at work")
        done = comanda("run", "add", "one=1", "other=2", "--wait", "--app", "tasks", directory=workplace)
        assert (done.returncode, done.stdout) == (0, '{"sum":3}\n')
        worker.send_signal(signal.SIGTERM)
        assert "stopping" in lines.rest()
        assert worker.wait() == 0


# -- servers that refuse or are not there -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that asks for a password."""
    server = PostgresServer()
    try:
        server.start()
        server.execute(f"ALTER ROLE postgres PASSWORD '{SECRET}'")
        server.stop()
        (server.directory / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        server.url = _with(server.url, SECRET)
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def closed_redis() -> Iterator[RedisServer]:
    """A Redis server that asks for a password."""
    server = RedisServer({"requirepass": SECRET})
    try:
        server.url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
        server.start()
        yield server
    finally:
        server.close()


def _with(url: str, password: str) -> str:
    return url.replace("postgres@", f"postgres:{password}@")


def refused(run: Run, url: str, *words: str) -> None:
    """Check every command: one sentence that names the server, exit code 3, and nothing of the password."""
    for command in LOOKING:
        result = run(*command, "--url", url)
        assert result.exit_code == 3, command
        said = result.output
        assert [word for word in words if word not in said.replace("\n", " ")] == [], said
        assert SECRET not in said
        assert "Traceback" not in said
        if command != ("doctor",):
            assert result.stderr.startswith("comanda: ")
            assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("url", ["postgresql://postgres:{}@127.0.0.1:{}/postgres", "redis://:{}@127.0.0.1:{}/0"])
def test_an_unreachable_server_is_said_in_a_sentence(
    run: Run, url: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    named = url.format(SECRET, port)
    refused(run, named, f"127.0.0.1:{port}", "cannot be reached")
    (workplace / "tasks.py").write_text(TASKS.replace("Comanda()", f"Comanda({named!r})"))
    monkeypatch.setenv("PYTHONWARNINGS", "error")  # a child that could not begin leaves nothing open
    worker = comanda("worker", "tasks:app", directory=workplace)
    assert worker.returncode == 3
    assert worker.stderr.startswith("comanda: ")
    assert worker.stderr.count("\n") == 1, worker.stderr
    assert SECRET not in worker.stderr + worker.stdout


def test_a_wrong_password_of_postgres_is_said_and_never_shown(run: Run, closed_postgres: PostgresServer) -> None:
    assert run("db", "migrate", "--url", closed_postgres.url).exit_code == 0
    refused(run, _with(closed_postgres.url.replace(f":{SECRET}", ""), f"{SECRET}x"), "password")


def test_a_wrong_database_of_postgres_is_said(run: Run, closed_postgres: PostgresServer) -> None:
    refused(run, closed_postgres.url.removesuffix("postgres") + "elsewhere", 'database "elsewhere" does not exist')


def test_a_wrong_password_of_redis_is_said_and_never_shown(run: Run, closed_redis: RedisServer) -> None:
    assert run("db", "migrate", "--url", closed_redis.url).exit_code == 0
    refused(run, closed_redis.url.replace(SECRET, f"{SECRET}x"), "password")


def test_a_wrong_database_of_redis_is_said(run: Run, closed_redis: RedisServer) -> None:
    refused(run, closed_redis.url.removesuffix("0") + "99", f"127.0.0.1:{closed_redis.port}", "99")


HIDDEN = """
import sys
from importlib.abc import MetaPathFinder

class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {driver!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Hide())
from comanda.cli import main
sys.argv = ["comanda", "info", "--url", {url!r}]
main()
"""


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        (f"postgresql://ann:{SECRET}@db/shop", "psycopg", "postgres"),
        (f"redis://:{SECRET}@cache/0", "redis", "redis"),
        (f"redis://:{SECRET}@cache/0", "hiredis", "redis"),
    ],
    ids=["psycopg", "redis", "hiredis"],
)
def test_a_missing_driver_is_answered_with_the_line_that_brings_it(
    workplace: Path, url: str, driver: str, extra: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN.format(driver=driver, url=url)],
        cwd=workplace,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    scheme = url.partition("://")[0]
    assert done.stderr == f"comanda: {scheme}:// needs an optional dependency: pip install 'comanda[{extra}]'\n"


# -- moving -------------------------------------------------------------------------------------------------------


def test_jobs_move_from_sqlite_to_postgres_to_redis_and_back(
    store_of: StoreOf, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is `comanda db export` and `comanda db import`; the last store holds what the first one held."""
    stores = [store_of("sqlite", "first.db"), store_of("postgresql"), store_of("redis"), store_of("sqlite", "last.db")]
    first = Shop(workplace / "first.db", stores[0])
    successful, failed = first.successful(), first.failed()
    retried = first.send_mail.using(unique_key="k", priority=5).enqueue("bob")
    first.fail(first.claim(retried), "try again", Retry(max_attempts=3))
    first.make_report.using(run_after=3600).enqueue("june")
    first.make_report.enqueue("may").cancel()
    first.make_report.using(priority=-3).enqueue("july")
    first.app.message_queue("letters").put({"to": "ann"})
    first.app.broker.pause("reports")
    before = jobs_of(first.app)
    for source, target in pairwise(stores):
        monkeypatch.setenv("COMANDA_NAMESPACE", source.namespace)
        exported = run("db", "export", "jobs.jsonl", "--url", source.url)
        assert exported.exit_code == 0, exported.stderr
        monkeypatch.setenv("COMANDA_NAMESPACE", target.namespace)
        imported = run("db", "import", "jobs.jsonl", "--url", target.url)
        assert (imported.exit_code, imported.stdout.split(" of ")[0]) == (0, "imported 7 jobs"), imported.stderr
        (workplace / "jobs.jsonl").unlink()
        there = Shop(workplace / "none.db", target)
        assert jobs_of(there.app) == before
        assert there.app.get_job(successful.id).result(timeout=5) == {"sent": 1}
        with pytest.raises(JobFailed, match="no such mailbox"):
            there.app.get_job(failed.id).result(timeout=5)
        assert [queue.name for queue in there.app.broker.queues() if queue.paused] == ["reports"]
        there.app.close()
    last = Shop(workplace / "last.db", stores[-1])
    assert last.app.message_queue("letters").get() == {"to": "ann"}
    for shop in (first, last):
        shop.app.close()
