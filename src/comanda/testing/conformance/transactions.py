# ruff: noqa: S101 - pytest's assert
"""For brokers that declare TRANSACTIONAL_ENQUEUE: jobs inside the application's own transaction.

The connection that `transaction()` yields is taken to have `execute(sql, parameters)`, whose answer has `fetchall()`.
"""

from __future__ import annotations

from typing import Any

import pytest

from ...brokers.base import Broker
from ...brokers.records import MESSAGE, NewJob, State
from ...clock import SECOND
from .case import BrokerCase, Worker, consumer, enqueue_one, ids_of, new_job, read, state_of


class TransactionalEnqueue(BrokerCase):
    """The caller gets the job exactly if the transaction commits."""

    def test_a_job_exists_when_its_transaction_has_committed(
        self, broker: Broker, other: Broker, worker: Worker
    ) -> None:
        """Guarantee 1: and not a moment before, for anybody else."""
        job = new_job(payload=b"\x00\xff", priority=3, unique_key="k", options=b"o")
        with broker.transaction() as connection:
            assert run(broker, connection, job) == (job.id, True)
            assert other.get([job.id]) == [None]
        stored = read(other, job.id)
        assert (stored.payload, stored.priority, stored.unique_key, stored.options) == (b"\x00\xff", 3, "k", b"o")
        assert ids_of(worker.claim()) == [job.id]

    def test_there_is_no_job_when_its_transaction_was_rolled_back(self, broker: Broker) -> None:
        """Not even a count of it, nor a name that a later job would trip over."""
        job = new_job(queue="new", task="new")
        with pytest.raises(_Refused):
            self._change_mind(broker, job)
        assert broker.get([job.id]) == [None]
        assert (broker.counts(), broker.queues()) == ({}, [])
        later = enqueue_one(broker, queue="new", task="another")
        assert Worker(broker, "new").claim() == []
        assert ids_of(Worker(broker, "another").claim()) == [later]

    def _change_mind(self, broker: Broker, job: NewJob) -> None:
        with broker.transaction() as connection:
            run(broker, connection, job)
            raise _Refused

    def test_an_error_of_the_application_passes_as_it_is(self, broker: Broker) -> None:
        """What went wrong in the caller's own statements is the caller's own error."""
        with pytest.raises(_Refused) as caught, broker.transaction():
            raise _Refused("mine")
        assert str(caught.value) == "mine"
        with pytest.raises(Exception, match="no_such_table") as driver, broker.transaction() as connection:
            connection.execute("SELECT * FROM no_such_table")
        assert not type(driver.value).__module__.startswith("comanda")
        enqueue_one(broker)

    def test_a_unique_key_answers_with_its_holder(self, broker: Broker) -> None:
        """Held by a stored job, or by one of the same transaction."""
        holder = enqueue_one(broker, unique_key="k")
        with broker.transaction() as connection:
            assert run(broker, connection, new_job(unique_key="k")) == (holder, False)
            first = new_job(unique_key="free")
            assert run(broker, connection, first) == (first.id, True)
            assert run(broker, connection, new_job(unique_key="free")) == (first.id, False)
        assert broker.counts() == {("default", State.READY): 2}

    def test_an_id_makes_one_job(self, broker: Broker) -> None:
        """The same id again, in the same transaction or a later one."""
        job = new_job()
        for new in (True, False):
            with broker.transaction() as connection:
                answers = [run(broker, connection, job), run(broker, connection, job)]
                assert answers == [(job.id, new), (job.id, False)]
        assert broker.counts() == {("default", State.READY): 1}

    def test_a_delayed_job_is_scheduled(self, broker: Broker) -> None:
        """Due times work as everywhere."""
        job = new_job(delay=SECOND)
        with broker.transaction() as connection:
            run(broker, connection, job)
        assert state_of(broker, job.id) is State.SCHEDULED
        assert broker.counts() == {("default", State.SCHEDULED): 1}

    def test_messages_can_be_put_in_a_transaction(self, broker: Broker) -> None:
        """They are jobs without a task, here as well."""
        letter = new_job(task=MESSAGE, queue="letters")
        with broker.transaction() as connection:
            run(broker, connection, letter)
        assert [queue.kind for queue in broker.queues()] == ["messages"]
        assert ids_of(consumer(broker).claim()) == [letter.id]

    def test_a_queue_of_the_other_kind_refuses_the_job(self, broker: Broker) -> None:
        """The broker knows it beforehand, or its statement fails: nothing slips into the wrong line."""
        enqueue_one(broker, task=MESSAGE, queue="letters")
        job = new_job(queue="letters")
        with pytest.raises(Exception, match=r"NOT NULL|holds messages"), broker.transaction() as connection:
            run(broker, connection, job)
        assert broker.get([job.id]) == [None]


class _Refused(Exception):
    """The application changed its mind."""


def run(broker: Broker, connection: Any, job: NewJob) -> tuple[bytes, bool]:
    """Run the enqueue of one job on a connection; return the id of the stored job, and whether it is new."""
    rows: list[Any] = []
    for statement in broker.enqueue_statements(job):
        rows = connection.execute(statement.sql, statement.parameters).fetchall()
    ((stored, created),) = rows
    return bytes(stored), bool(created)
