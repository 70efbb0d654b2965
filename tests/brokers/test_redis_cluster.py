"""A namespace lies in one slot of a cluster, and a plain client finds its node."""

from __future__ import annotations

from redis.crc import key_slot

from comanda.brokers.records import JobFilter, Kind, State
from comanda.brokers.redis.replies import ServerError
from comanda.clock import SECOND
from comanda.testing.conformance.case import Worker, enqueue, enqueue_one, outcome, success
from tests.brokers.redis_stores import SLOTS, broker_on, is_up, server_with
from tests.servers.process import wait_until


def test_all_keys_of_a_namespace_lie_in_one_slot() -> None:
    """One hash tag: whatever is done, no key is elsewhere."""
    with server_with() as server, server.client() as client:
        broker = broker_on(server.url, "shop")
        worker = Worker(broker)
        enqueue(broker, 5)
        enqueue_one(broker, delay=SECOND, expires=10 * SECOND, unique_key="k")
        enqueue_one(broker, task="unknown", queue="else{where}")
        first, second, third, *_ = worker.claim()
        worker.settle(success(first), outcome(second, Kind.FAILURE), outcome(third, Kind.RETRY))
        broker.rescue(10, lambda _owner: None)
        broker.cancel(JobFilter())
        keys = client.keys()
        broker.close()
    assert len(keys) > 15
    assert {key_slot(key) for key in keys} == {key_slot(b"{shop}")}


def test_the_node_that_holds_the_slot_is_found() -> None:
    """A cluster of two nodes: the URL names the one that does not hold the namespace's slot."""
    with server_with(cluster_enabled="yes") as here, server_with(cluster_enabled="yes") as there:
        with here.client() as one, there.client() as other:
            other.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS))
            one.execute_command("CLUSTER", "MEET", "127.0.0.1", there.port)
            wait_until(lambda: is_up(one) and is_up(other), lambda: "the nodes do not meet")
        broker = broker_on(here.url)
        enqueue_one(broker)
        broker.wait_for_change(0)
        assert broker.counts() == {("default", State.READY): 1}
        broker.close()


def test_a_moved_reply_names_an_address() -> None:
    assert ServerError("MOVED 5 10.0.0.1:7001").moved_to == {"host": "10.0.0.1", "port": 7001}
    assert ServerError("MOVED 5 :7001").moved_to == {"port": 7001}
    assert ServerError("ASK 5 10.0.0.1:7001").moved_to is None
