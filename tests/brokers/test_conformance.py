"""Every broker of ours passes the suite that third parties run."""

from __future__ import annotations

from pathlib import Path

import pytest

from comanda.brokers.memory import MemoryBroker
from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.sqlite import SQLiteBroker
from comanda.testing.conformance import BrokerConformance, BrokerFactory, Durability, TransactionalEnqueue


class TestMemory(BrokerConformance):
    """Jobs in this process."""

    @pytest.fixture
    def make_broker(self) -> BrokerFactory:
        return MemoryBroker


class TestSQLite(BrokerConformance, Durability, TransactionalEnqueue):
    """The interpreter's own SQLite."""

    @pytest.fixture
    def make_broker(self, tmp_path: Path) -> BrokerFactory:
        return lambda clock: SQLiteBroker(tmp_path / "jobs.db", clock=clock)


class TestSQLiteWithApsw(BrokerConformance, Durability, TransactionalEnqueue):
    """The SQLite that apsw brings."""

    @pytest.fixture
    def make_broker(self, tmp_path: Path) -> BrokerFactory:
        return lambda clock: SQLiteBroker(tmp_path / "jobs.db", library_name="apsw", clock=clock)


class TestPostgres(BrokerConformance, Durability, TransactionalEnqueue):
    """A real server; each test has a schema of its own in it."""

    @pytest.fixture
    def make_broker(self, postgres_url: str, namespace: str) -> BrokerFactory:
        return lambda clock: PostgresBroker(postgres_url, namespace=namespace, clock=clock)
