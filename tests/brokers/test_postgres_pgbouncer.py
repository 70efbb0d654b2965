"""Everything works through PgBouncer in transaction mode, where no setting, statement or LISTEN outlives a commit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comanda.brokers.postgres import PostgresBroker
from comanda.testing.conformance import BrokerFactory, Durability, TransactionalEnqueue
from comanda.testing.conformance.claiming import Claiming
from comanda.testing.conformance.liveness import Liveness
from comanda.testing.conformance.settling import Settling
from comanda.testing.conformance.waiting import Waiting
from tests.servers.pgbouncer import PgBouncer


@pytest.fixture(scope="module")
def pooled_url(postgres_url: str) -> Iterator[str]:
    """The URL of the same server, by way of a pooler with four connections for everybody."""
    pooler = PgBouncer(postgres_url)
    try:
        pooler.start()
        yield pooler.url
    finally:
        pooler.close()


class TestPostgresThroughPgBouncer(Claiming, Settling, Liveness, Waiting, Durability, TransactionalEnqueue):
    """What can differ: statements planned anew, wake-ups by polling, four connections of the server for everybody."""

    @pytest.fixture
    def make_broker(self, pooled_url: str, namespace: str) -> BrokerFactory:
        return lambda clock: PostgresBroker(pooled_url, namespace=namespace, clock=clock)


def test_a_pooler_is_noticed(pooled_url: str, postgres_url: str, namespace: str) -> None:
    for url, is_pooled in ((pooled_url, True), (postgres_url, False)):
        broker = PostgresBroker(url, namespace=namespace)
        broker.open()
        connection = broker._store.writing.connection
        assert connection is not None
        assert connection.is_pooled is is_pooled
        broker.close()
