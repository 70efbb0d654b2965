"""The server goes away and comes back: nothing acknowledged is lost, and nobody has to be restarted (R4, R5)."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import psycopg
import pytest

from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.postgres.connection import Connection
from comanda.brokers.records import State
from comanda.errors import BrokerError, BrokerTimeout, BrokerUnavailable
from comanda.testing.conformance.case import PATIENCE, Worker, enqueue_one, ids_of, new_job, read, success
from tests.servers.postgres import PostgresServer
from tests.servers.process import wait_until


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def broker(server: PostgresServer) -> Iterator[PostgresBroker]:
    """An open broker on it."""
    broker = PostgresBroker(server.url)
    broker.open()
    yield broker
    broker.close()


def test_every_verb_works_again_when_the_server_is_back(server: PostgresServer, broker: PostgresBroker) -> None:
    """Whichever connection meets the gap first, the same call succeeds afterwards."""
    worker = Worker(broker)
    first = enqueue_one(broker)
    job = worker.claim_one()
    second = enqueue_one(broker)  # its durable commit makes the claim durable too
    server.kill()
    for verb in (broker.counts, lambda: broker.heartbeat([worker.owner]), lambda: broker.enqueue([new_job()])):
        with pytest.raises(BrokerUnavailable):
            verb()
    server.start()
    assert worker.beat()
    assert worker.settle(success(job)) == []
    assert ids_of(worker.claim()) == [second]
    assert broker.counts() == {("default", State.SUCCESSFUL): 1, ("default", State.RUNNING): 1}
    assert read(broker, first).state is State.SUCCESSFUL


def test_a_wait_hears_again_when_the_server_is_back(server: PostgresServer, broker: PostgresBroker) -> None:
    """The listening connection is made anew by the wait itself."""
    other = PostgresBroker(server.url)
    broker.wait_for_change(0)
    server.kill()
    broker.wait_for_change(PATIENCE)  # what was rung meanwhile cannot be known: the end of the connection is a ring
    server.start()
    heard = threading.Event()

    def wait() -> None:
        while not heard.is_set():
            broker.wait_for_change(PATIENCE)
            if broker.counts():
                heard.set()

    thread = threading.Thread(target=wait)
    thread.start()
    enqueue_one(other)
    other._ring_all()
    assert heard.wait(PATIENCE)
    thread.join()
    other.close()


def test_a_wait_that_finds_its_connection_dead_at_the_first_look_goes_on(
    server: PostgresServer, broker: PostgresBroker
) -> None:
    """A worker's engine waits between two batches, and would end with any error that is not comanda's."""
    broker.wait_for_change(0)
    ear = broker._waiting()._ear
    assert ear is not None
    os.kill(ear.backend_pid, signal.SIGKILL)  # it says no last word, so that the first look meets the end
    wait_until(lambda: bool(_readable(ear)), lambda: "the connection did not end")
    broker.wait_for_change(0)
    broker.wait_for_change(0)


def _readable(ear: Connection) -> list[int]:
    return select.select([ear.raw.pgconn.socket], [], [], 0)[0]


def test_what_was_acknowledged_before_a_kill_is_there_afterwards(
    server: PostgresServer, broker: PostgresBroker
) -> None:
    """Killed during commits, three times: each id that was answered is stored, and none twice."""
    acknowledged: list[bytes] = []
    stop = threading.Event()

    def produce() -> None:
        while not stop.is_set():
            job = new_job()
            try:
                (answer,) = broker.enqueue([job])
            except BrokerError:
                continue
            acknowledged.append(answer.id)

    producer = threading.Thread(target=produce)
    producer.start()
    for _ in range(3):
        before = len(acknowledged)
        while len(acknowledged) < before + 50:
            threading.Event().wait(0.005)
        server.kill()
        server.start()
    stop.set()
    producer.join()
    states = broker.states(acknowledged)
    assert len(states) == len(set(acknowledged)) == len(acknowledged)


def test_a_write_that_was_cut_off_says_that_it_may_be_there(server: PostgresServer, broker: PostgresBroker) -> None:
    """A lost answer is not a lost job: the producer tells its caller so."""
    enqueue_one(broker)
    server.kill()
    with pytest.raises(BrokerUnavailable) as caught:
        broker.enqueue([new_job()])
    assert caught.value.may_have_written
    with pytest.raises(BrokerUnavailable) as refused:
        broker.enqueue([new_job()])
    assert not refused.value.may_have_written  # it never reached anybody
    assert "postgres@127.0.0.1" in str(refused.value)


def impatient(server: PostgresServer, namespace: str) -> PostgresBroker:
    """Return a broker with open connections that gives up after 1 s. Another one has made the tables."""
    patient = PostgresBroker(server.url, namespace=namespace)
    enqueue_one(patient)
    patient.close()
    broker = PostgresBroker(server.url, namespace=namespace, deadline=1.0)
    enqueue_one(broker)
    return broker


def test_a_server_that_does_not_answer_is_given_up_after_the_deadline(server: PostgresServer, namespace: str) -> None:
    """A lock that is held by somebody else ends in a sentence, and nothing was written."""
    broker = impatient(server, namespace)
    with psycopg.connect(server.url) as connection:
        connection.execute(f'LOCK TABLE "{namespace}".jobs'.encode())
        with pytest.raises(BrokerTimeout, match="nothing was written"):
            enqueue_one(broker)
    enqueue_one(broker)
    broker.close()


def test_a_server_that_has_frozen_is_given_up_and_taken_up_again(server: PostgresServer, namespace: str) -> None:
    """It takes what is sent and answers nothing: only our own clock ends the wait."""
    broker = impatient(server, namespace)
    connection = broker._store.writing.connection
    assert connection is not None
    frozen = connection.backend_pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        with pytest.raises(BrokerUnavailable, match="did not answer") as caught:
            enqueue_one(broker)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert caught.value.may_have_written
    enqueue_one(broker)
    broker.close()
