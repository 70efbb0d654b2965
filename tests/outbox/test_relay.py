"""The relay: in order, in batches, nothing lost, nothing twice, nobody held up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest

from comanda import BrokerUnavailable, ConfigurationError, State
from comanda.brokers.memory import MemoryBroker
from comanda.brokers.records import Enqueued, NewJob
from comanda.outbox import relay as relaying
from comanda.outbox.relay import Relay
from tests.outbox.conftest import Shop

LONG = 30.0
"""Seconds that only a failing test waits."""


class Recording(MemoryBroker):
    """Notes the batches it was given, and fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.has_stored = threading.Event()
        self.order: list[bytes] = []
        self.failures: list[Exception] = []
        self.lose_answers = 0
        self.unfit: bytes | None = None

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        self.batches.append(len(jobs))
        if self.failures:
            raise self.failures.pop(0)
        if any(job.id == self.unfit for job in jobs):
            raise ConfigurationError("one of them does not fit")
        answers = super().enqueue(jobs)
        self.has_stored.set()
        self.order += [answer.id for answer in answers if answer.created]
        if self.lose_answers:
            self.lose_answers -= 1
            raise BrokerUnavailable("the connection broke after the write")
        return answers


@pytest.fixture
def broker() -> Recording:
    return Recording()


def commit(shop: Shop, count: int) -> list[str]:
    """Commit `count` jobs through the outbox; return their ids."""
    jobs = [shop.task.using(connection=shop.connection).enqueue(number) for number in range(count)]
    shop.connection.commit()
    return [job.id for job in jobs]


def test_rows_move_in_their_order_and_in_batches(
    shop: Shop, broker: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "BATCH", 10)
    commit(shop, 25)
    order = [row[0] for row in shop.rows()]
    assert Relay(shop.outbox, broker).drain() == 25
    assert broker.batches == [10, 10, 5]
    assert broker.order == order
    assert shop.rows() == []


def test_a_batch_has_at_most_so_many_bytes(shop: Shop, broker: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "BATCH_BYTES", 1)
    commit(shop, 3)
    assert Relay(shop.outbox, broker).drain() == 3
    assert broker.batches == [1, 1, 1]


def test_a_row_goes_only_after_the_broker_has_acknowledged_it(shop: Shop, broker: Recording) -> None:
    """And the repetition after a lost answer, or after a relay that died in between, makes no second job."""
    ids = commit(shop, 3)
    broker.lose_answers = 1
    relay = Relay(shop.outbox, broker)
    with pytest.raises(BrokerUnavailable):
        relay.step()
    assert len(shop.rows()) == 3
    assert relay.drain() == 3
    assert (broker.counts(), shop.rows()) == ({("default", State.READY): len(ids)}, [])


def test_a_store_that_does_not_answer_is_tried_again(
    shop: Shop, broker: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    broker.failures = [BrokerUnavailable("not there"), BrokerUnavailable("not there")]
    commit(shop, 1)
    relay = Relay(shop.outbox, broker)
    with caplog.at_level(logging.INFO, "comanda.outbox"):
        relay.start()
        assert broker.has_stored.wait(LONG)
        relay.stop()
    assert broker.batches == [1, 1, 1]
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_a_job_that_the_broker_refuses_is_set_aside_and_blocks_nobody(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.app.message_queue("letters").put("a message")
    before = shop.task.using(connection=shop.connection).enqueue(1)
    wrong = shop.task.using(connection=shop.connection, queue="letters").enqueue(2)
    after = shop.task.using(connection=shop.connection).enqueue(3)
    shop.connection.commit()
    shop.relay.drain()
    assert [row[1] for row in shop.rows()] == [
        "queue 'letters' holds messages and cannot take jobs: give them a queue of their own"
    ]
    assert {before.id, after.id} <= set(shop.stored())
    assert wrong.id in caplog.text
    assert shop.relay.drain() == 0  # it is passed over from now on
    shop.connection.execute("UPDATE comanda_outbox SET error = NULL")
    shop.connection.commit()
    assert shop.relay.drain() == 1  # until somebody asks for it


def test_a_job_that_makes_the_broker_refuse_its_batch_is_found(shop: Shop, broker: Recording) -> None:
    commit(shop, 3)
    broker.unfit = shop.rows()[1][0]
    Relay(shop.outbox, broker).drain()
    assert [row[1] for row in shop.rows()] == ["one of them does not fit"]
    assert broker.counts() == {("default", State.READY): 2}


def test_a_row_that_cannot_be_read_is_set_aside(shop: Shop, broker: Recording) -> None:
    commit(shop, 2)
    shop.connection.execute("UPDATE comanda_outbox SET job = x'c1' WHERE n = 1")
    shop.connection.commit()
    Relay(shop.outbox, broker).drain()
    assert [row[1] for row in shop.rows()] == ["the row cannot be read: it is damaged, or a newer comanda wrote it"]
    assert broker.counts() == {("default", State.READY): 1}


def test_of_two_relays_one_at_a_time_moves_rows(shop: Shop, broker: Recording) -> None:
    commit(shop, 3)
    with shop.outbox.turn() as mine:
        assert mine
        assert Relay(shop.outbox, broker).step() == 0
    assert Relay(shop.outbox, broker).step() == 3


def test_two_relays_side_by_side_do_no_harm(shop: Shop, broker: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "BATCH", 7)
    commit(shop, 200)
    order = [row[0] for row in shop.rows()]
    relays = [Relay(shop.outbox, broker) for _ in range(2)]
    threads = [threading.Thread(target=_move_all, args=(shop, relay)) for relay in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert broker.counts() == {("default", State.READY): 200}
    assert broker.order == order


def _move_all(shop: Shop, relay: Relay) -> None:
    while shop.outbox.status().waiting:
        relay.step()


def test_the_time_in_the_outbox_counts_for_a_delay(shop: Shop) -> None:
    soon = shop.task.using(connection=shop.connection, run_after=60).enqueue(1)
    later = shop.task.using(connection=shop.connection, run_after=600).enqueue(2)
    shop.connection.execute("UPDATE comanda_outbox SET at = at - 120000000")
    shop.connection.commit()
    shop.relay.drain()
    soon.refresh()
    later.refresh()
    assert (soon.state, later.state) == (State.READY, State.SCHEDULED)


def test_of_two_jobs_with_a_key_the_store_keeps_the_first(shop: Shop) -> None:
    first = shop.task.using(connection=shop.connection, unique_key="k").enqueue(1)
    shop.task.using(connection=shop.connection, unique_key="k").enqueue(2)
    shop.connection.commit()
    shop.relay.drain()
    assert shop.stored() == [first.id]
