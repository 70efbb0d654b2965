"""Every broker of ours passes the suite that third parties run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda.brokers.memory import MemoryBroker
from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.sqlite import SQLiteBroker
from comanda.testing.conformance import (
    BrokerConformance,
    BrokerFactory,
    Durability,
    TransactionalCompletion,
    TransactionalEnqueue,
)
from comanda.testing.conformance.claiming import Claiming
from comanda.testing.conformance.enqueueing import Enqueueing
from comanda.testing.conformance.operating import Operating
from comanda.testing.conformance.walk import RandomWalks
from tests.brokers.redis_stores import broker_on, cluster_node


class TestMemory(BrokerConformance):
    """Jobs in this process."""

    @pytest.fixture
    def make_broker(self) -> BrokerFactory:
        return MemoryBroker


class TestSQLite(BrokerConformance, Durability, TransactionalEnqueue, TransactionalCompletion):
    """The interpreter's own SQLite."""

    @pytest.fixture
    def make_broker(self, tmp_path: Path) -> BrokerFactory:
        return lambda clock: SQLiteBroker(tmp_path / "jobs.db", clock=clock)


class TestSQLiteWithApsw(BrokerConformance, Durability, TransactionalEnqueue, TransactionalCompletion):
    """The SQLite that apsw brings."""

    @pytest.fixture
    def make_broker(self, tmp_path: Path) -> BrokerFactory:
        return lambda clock: SQLiteBroker(tmp_path / "jobs.db", library_name="apsw", clock=clock)


class TestPostgres(BrokerConformance, Durability, TransactionalEnqueue, TransactionalCompletion):
    """A real server; each test has a schema of its own in it."""

    @pytest.fixture
    def make_broker(self, postgres_url: str, namespace: str) -> BrokerFactory:
        return lambda clock: PostgresBroker(postgres_url, namespace=namespace, clock=clock)


class TestRedis(BrokerConformance, Durability):
    """A Redis server."""

    @pytest.fixture
    def make_broker(self, redis_url: str, namespace: str) -> BrokerFactory:
        return lambda clock: broker_on(redis_url, namespace, clock=clock)


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """The URL of a cluster of one node."""
    with cluster_node() as server:
        yield server.url


class TestRedisClusterNode(Enqueueing, Claiming, Operating, RandomWalks):
    """A cluster, as far as it differs from a server: every key a script touches must lie in its slot."""

    @pytest.fixture
    def make_broker(self, cluster_url: str, namespace: str) -> BrokerFactory:
        return lambda clock: broker_on(cluster_url, namespace, clock=clock)
