"""What the tests of the Redis broker share: brokers on a server, and servers that are not like the common one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from comanda.brokers.factory import Opening, open_broker
from comanda.brokers.redis import RedisBroker
from comanda.clock import Clock
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer

SLOTS = 16_384


def broker_on(
    url: str, namespace: str = "comanda", *, clock: Clock | None = None, deadline: float = 5.0
) -> RedisBroker:
    """Return a broker, by the server's clock unless another one is given."""
    broker = open_broker(url, Opening(namespace=namespace, clock=clock, deadline=deadline))
    assert isinstance(broker, RedisBroker)
    return broker


@contextmanager
def server_with(**settings: str) -> Iterator[RedisServer]:
    """Run a server of its own; `maxmemory_policy="noeviction"` is maxmemory-policy."""
    options = {name.replace("_", "-"): value for name, value in settings.items()}
    server = RedisServer(options)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def cluster_node() -> Iterator[RedisServer]:
    """Run a cluster of one node that holds all slots."""
    with server_with(cluster_enabled="yes") as server, server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS))
        wait_until(lambda: is_up(client), lambda: "the cluster does not come up")
        yield server


def is_up(client: Any) -> bool:
    """Return whether a cluster serves all its slots."""
    return "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO"))
