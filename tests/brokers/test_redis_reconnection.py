"""What follows when the server goes away and comes back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from comanda.brokers.records import JobFilter, State
from comanda.brokers.redis import RedisBroker
from comanda.errors import BrokerError, BrokerUnavailable
from comanda.testing.conformance.case import Worker, enqueue, enqueue_one, ids_of, new_job, new_jobs, success
from tests.brokers.redis_stores import broker_on, server_with
from tests.servers.redis import RedisServer

KILLS = 5


def test_nothing_acknowledged_is_lost_when_the_server_is_killed() -> None:
    """Check 21 of the bar: appendfsync always, killed with -9 under load, and started again: five times."""
    with server_with() as server:
        broker = broker_on(server.url)
        acknowledged: list[bytes] = []
        enough = threading.Semaphore(0)
        done = threading.Event()

        def produce() -> None:
            mine = broker_on(server.url)
            while not done.is_set():
                jobs = new_jobs(5)
                try:
                    mine.enqueue(jobs)
                except BrokerError:
                    continue
                acknowledged.extend(job.id for job in jobs)
                enough.release()
            mine.close()

        producer = threading.Thread(target=produce)
        producer.start()
        try:
            for _ in range(KILLS):
                for _ in range(20):
                    assert enough.acquire(timeout=20)
                server.kill()
                server.start()
        finally:
            done.set()
            producer.join(20)
        stored = {job.id for job in broker.find(JobFilter(), limit=1_000_000)}
        assert set(acknowledged) <= stored
        assert broker.counts() == {("default", State.READY): len(stored)}
        broker.close()


def test_consuming_goes_on_when_the_server_is_back() -> None:
    """No verb has to be told: the next call connects anew, and an owner is still who it was."""
    with server_with() as server:
        broker = broker_on(server.url)
        worker = Worker(broker)
        jobs = enqueue(broker, 3)
        held = worker.claim(1)
        server.stop()
        with pytest.raises(BrokerUnavailable, match="check that it runs"):
            worker.claim(1)
        server.start()
        assert worker.settle(success(held[0])) == []
        assert ids_of(worker.claim()) == jobs[1:]
        assert worker.beat()
        broker.close()


def test_a_restart_between_two_calls_is_not_noticed() -> None:
    """The dead connection is seen before anything is sent on it."""
    with server_with() as server:
        broker = broker_on(server.url)
        enqueue_one(broker)
        server.kill()
        server.start()
        enqueue_one(broker)
        assert broker.counts() == {("default", State.READY): 2}
        broker.close()


def test_a_wait_ends_when_the_server_is_back() -> None:
    """The subscription is made anew, and what rang meanwhile is looked for."""
    with server_with() as server:
        broker = broker_on(server.url)
        broker.wait_for_change(0)
        server.kill()
        server.start()
        broker.wait_for_change(20)  # the end of the old subscription
        broker.wait_for_change(20)  # a new one
        broker.close()


def test_scripts_that_the_server_forgot_are_sent_again() -> None:
    """SCRIPT FLUSH, a restart, a failover: nobody has to load anything."""
    with server_with() as server, server.client() as client:
        broker = broker_on(server.url)
        worker = Worker(broker)
        enqueue(broker, 900)
        client.script_flush()
        first = worker.claim(1_000)
        client.script_flush()
        assert worker.settle(*(success(job) for job in first)) == []
        assert broker.counts() == {("default", State.SUCCESSFUL): 900}
        broker.close()


def test_an_owner_id_is_not_below_the_clocks_seconds(redis_url: str, namespace: str) -> None:
    """R19: a crash that takes the last second from the store cannot make it hand out an id twice."""
    broker = broker_on(redis_url, namespace)
    before = int(time.time()) - 1
    first, second = Worker(broker).owner, Worker(broker).owner
    broker.close()
    assert before <= first < second


@contextmanager
def frozen(server: RedisServer, broker: RedisBroker) -> Iterator[None]:
    """The server takes what is sent and answers nothing; only meanwhile the broker's deadline is short."""
    process, deadline = server._process, broker._store.deadline
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    broker._store.deadline = 0.2
    try:
        yield
    finally:
        broker._store.deadline = deadline
        os.kill(process.pid, signal.SIGCONT)


def test_a_write_without_a_reply_is_in_doubt_and_may_be_repeated() -> None:
    """Guarantee 1: enqueueing again with that id never makes a second job."""
    with server_with() as server:
        broker = broker_on(server.url)
        broker.open()
        job = new_job()
        with (
            frozen(server, broker),
            pytest.raises(BrokerUnavailable, match="nobody knows whether it is there") as raised,
        ):
            broker.enqueue([job])
        assert raised.value.may_have_written
        later = broker_on(server.url)
        later.enqueue([job])
        assert later.counts() == {("default", State.READY): 1}
        assert broker.get([job.id])[0] is not None  # on a new connection: the old one's reply is nobody's
        for each in (broker, later):
            each.close()


def test_a_read_without_a_reply_has_written_nothing() -> None:
    with server_with() as server:
        broker = broker_on(server.url)
        broker.counts()
        with (
            frozen(server, broker),
            pytest.raises(BrokerError, match=r"did not answer within 0\.2 s; nothing was written"),
        ):
            broker.counts()
        assert broker.counts() == {}
        broker.close()
