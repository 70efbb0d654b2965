"""An outbox in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from comanda import BrokerUnavailable, Comanda, ConfigurationError, NotInTransaction, State
from comanda.brokers.memory import MemoryBroker
from comanda.cli.checks.outbox import outbox as look_at
from comanda.ids import to_text
from comanda.outbox.base import Outbox
from comanda.outbox.relay import Relay
from comanda.task import SyncTask
from comanda.testing import run_jobs

LONG = 30.0
"""Seconds that only a failing test waits."""


@dataclass
class Shop:
    """The application: its database, and its app with one task, whose jobs live in memory."""

    url: str
    namespace: str
    app: Comanda
    task: SyncTask[[int], int]

    @property
    def outbox(self) -> Outbox:
        """The app's outbox."""
        found = self.app.runtime.outbox
        assert found is not None
        return found

    @property
    def relay(self) -> Relay:
        """A new relay from the outbox to the app's store."""
        return Relay(self.outbox, self.app.broker)

    def stored(self) -> list[str]:
        """Return the ids of the store's jobs, the first one first."""
        return [job.id for job in reversed(self.app.find_jobs())]


@pytest.fixture
def shop(postgres_url: str, namespace: str) -> Iterator[Shop]:
    app = Comanda("memory://", outbox=postgres_url, namespace=namespace)

    @app.task(name="confirm")
    def confirm(order: int) -> int:
        return order

    yield Shop(postgres_url, namespace, app, confirm)
    app.close()


@contextmanager
def sqlalchemy_connection(url: str) -> Iterator[Any]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


every_kind = pytest.mark.parametrize("kind", [psycopg.connect, sqlalchemy_connection], ids=["psycopg", "SQLAlchemy"])


@every_kind
def test_a_rollback_leaves_no_job_and_a_commit_always_one(shop: Shop, kind: Callable[[str], Any]) -> None:
    with kind(shop.url) as connection:
        shop.task.using(connection=connection).enqueue(1)
        connection.rollback()
        kept = shop.task.using(connection=connection).enqueue(2)
        again = shop.task.using(connection=connection, id=kept.id).enqueue(2)
        assert (kept.created, again.created, again.id) == (True, False, kept.id)
        assert shop.relay.drain() == 0
        connection.commit()
    assert (run_jobs(shop.app), kept.result()) == (1, 2)
    assert shop.outbox.status().waiting == 0


async def test_an_async_session_keeps_the_same_promise(shop: Shop) -> None:
    engine = create_async_engine(shop.url.replace("postgresql://", "postgresql+psycopg://"))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        await shop.task.using(connection=session).aenqueue(1)
        await session.rollback()
        kept = await shop.task.using(connection=session).aenqueue(2)
        await session.commit()
    await engine.dispose()
    async with await psycopg.AsyncConnection.connect(shop.url) as connection:
        second = await shop.task.using(connection=connection).aenqueue(3)
        await connection.commit()
    shop.relay.drain()
    assert [(await shop.app.aget_job(job.id)).state for job in (kept, second)] == [State.READY] * 2


@every_kind
def test_a_relay_that_waits_is_woken_after_the_commit(shop: Shop, kind: Callable[[str], Any]) -> None:
    """It waits for two minutes unless it is told, so that only a wake-up can explain its return."""
    other = Comanda("memory://", outbox=shop.url, namespace=shop.namespace)
    outbox = other.runtime.outbox
    assert outbox is not None
    outbox.wait(0)  # from here on it hears
    woken = threading.Thread(target=outbox.wait, args=(120.0,))
    woken.start()
    with kind(shop.url) as connection:
        shop.task.using(connection=connection).enqueue(1)
        connection.commit()
        woken.join(LONG)
        assert not woken.is_alive()
    other.close()


def test_a_worker_in_this_process_relays(shop: Shop) -> None:
    done = threading.Event()

    @shop.app.task(name="tell")
    def tell() -> None:
        done.set()

    worker = shop.app.start_worker()
    with psycopg.connect(shop.url) as connection:
        tell.using(connection=connection).enqueue()
        connection.commit()
        assert done.wait(LONG)
    worker.stop()


def test_rows_move_in_their_order_once_the_broker_has_acknowledged_them(shop: Shop) -> None:
    order: list[str] = []

    class Forgetful(MemoryBroker):
        answers = 0

        def enqueue(self, jobs: Any) -> Any:
            stored = super().enqueue(jobs)
            order.extend(to_text(answer.id) for answer in stored if answer.created)
            self.answers += 1
            if self.answers == 1:
                raise BrokerUnavailable("the connection broke after the write")
            return stored

    with psycopg.connect(shop.url) as connection:
        jobs = [shop.task.using(connection=connection).enqueue(number) for number in range(20)]
    broker = Forgetful()
    relay = Relay(shop.outbox, broker)
    with pytest.raises(BrokerUnavailable):
        relay.step()
    assert shop.outbox.status().waiting == 20
    assert relay.drain() == 20
    assert order == [job.id for job in jobs]
    assert broker.counts() == {("default", State.READY): 20}


def test_of_two_relays_one_at_a_time_moves_rows(shop: Shop) -> None:
    with psycopg.connect(shop.url) as connection:
        shop.task.using(connection=connection).enqueue(1)
    other = Comanda("memory://", outbox=shop.url, namespace=shop.namespace)
    outbox = other.runtime.outbox
    assert outbox is not None
    with outbox.turn() as mine:
        assert mine
        assert shop.relay.step() == 0
    assert shop.relay.step() == 1
    other.close()


def test_a_job_that_the_broker_refuses_is_set_aside_and_blocks_nobody(shop: Shop) -> None:
    shop.app.message_queue("letters").put("a message")
    with psycopg.connect(shop.url) as connection:
        wrong = shop.task.using(connection=connection, queue="letters").enqueue(1)
        right = shop.task.using(connection=connection).enqueue(2)
    shop.relay.drain()
    assert right.id in shop.stored()
    findings = list(look_at(shop.app, None))
    assert findings[1].message.startswith(f"job {wrong.id} was set aside: queue 'letters' holds messages")


def test_the_time_in_the_outbox_counts_for_a_delay(shop: Shop) -> None:
    with psycopg.connect(shop.url) as connection:
        soon = shop.task.using(connection=connection, run_after=60).enqueue(1)
        later = shop.task.using(connection=connection, run_after=600).enqueue(2)
        connection.execute(f"UPDATE {shop.namespace}.outbox SET at = at - interval '2 minutes'".encode())  # noqa: S608
    shop.relay.drain()
    assert [job.refresh().state for job in (soon, later)] == [State.READY, State.SCHEDULED]


def test_two_processes_may_make_the_table_at_once(postgres_url: str, namespace: str) -> None:
    apps = [Comanda("memory://", outbox=postgres_url, namespace=namespace) for _ in range(4)]
    barrier = threading.Barrier(len(apps))
    failures: list[BaseException] = []

    def begin(app: Comanda) -> None:
        try:
            barrier.wait(LONG)
            assert app.runtime.outbox is not None
            app.runtime.outbox.open()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=begin, args=(app,)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    for app in apps:
        app.close()
    assert failures == []


def test_the_outbox_and_a_queue_may_share_a_schema(shop: Shop) -> None:
    shop.outbox.open()
    queue = Comanda(shop.url, namespace=shop.namespace)
    job = queue.task(name="one")(lambda: 1).enqueue()
    assert queue.get_job(job.id).state is State.READY
    queue.close()


def test_a_server_that_breaks_a_relay_s_turn_does_no_harm(shop: Shop) -> None:
    """As when it takes longer than the server lets a transaction be idle."""
    with psycopg.connect(shop.url, autocommit=True) as connection:
        with shop.outbox.turn() as mine:
            assert mine
            outbox: Any = shop.outbox
            pid = outbox._store._turning.connection.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
        with connection.transaction():
            job = shop.task.using(connection=connection).enqueue(1)
    shop.relay.drain()
    assert shop.stored() == [job.id]


def test_what_is_refused(shop: Shop) -> None:
    with psycopg.connect(shop.url, autocommit=True) as connection, pytest.raises(NotInTransaction):
        shop.task.using(connection=connection).enqueue(1)
    name = f"{shop.namespace}_other"
    with psycopg.connect(shop.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        with (
            psycopg.connect(shop.url, dbname=name) as elsewhere,
            pytest.raises(ConfigurationError, match="but the outbox lives in 'postgres'"),
        ):
            shop.task.using(connection=elsewhere).enqueue(1)
        connection.execute(f"DROP DATABASE {name}".encode())
    with pytest.raises(ConfigurationError, match="is no URL of a PostgreSQL database"):
        _ = Comanda("memory://", outbox="postgresql://host:notaport/x?nonsense=1").runtime.outbox
