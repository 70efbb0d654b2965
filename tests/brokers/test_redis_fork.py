"""A fork between opening a server and using it."""

from __future__ import annotations

import os

from comanda.brokers.records import State
from comanda.testing.conformance.case import enqueue_one
from tests.brokers.redis_stores import broker_on


def test_parent_and_child_of_a_fork_have_connections_of_their_own(redis_url: str, namespace: str) -> None:
    """R23: a shared socket would hand one's replies to the other; and the child's end must not close the parent's."""
    broker = broker_on(redis_url, namespace)
    enqueue_one(broker)
    broker.wait_for_work(0)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            broker.forget()
            enqueue_one(broker)
            broker.wait_for_work(0)
            broker.close()
            code = 0
        finally:
            os._exit(code)
    for _ in range(10):
        enqueue_one(broker)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    enqueue_one(broker)
    broker.wait_for_work(20)
    assert broker.counts() == {("default", State.READY): 13}
    broker.close()
