"""Versions of the tables: made where there are none, refused where they are strange, changed when somebody says so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from comanda.brokers.factory import Opening, open_broker
from comanda.brokers.postgres import PostgresBroker, schema
from comanda.brokers.postgres.url import open_url
from comanda.errors import BrokerUnavailable, ConfigurationError, SchemaMismatch
from comanda.testing.conformance.case import enqueue_one, together
from tests.brokers.postgres_stores import execute


@pytest.fixture
def broker(postgres_url: str, namespace: str) -> Iterator[PostgresBroker]:
    """A broker that has not been opened."""
    broker = PostgresBroker(postgres_url, namespace=namespace)
    yield broker
    broker.close()


def test_the_first_start_makes_the_tables(broker: PostgresBroker) -> None:
    """Nothing has to be set up beforehand."""
    assert broker.schema_status() == (0, schema.SCHEMA_VERSION)
    enqueue_one(broker)
    assert broker.schema_status() == (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)
    assert broker.migrate() == []


def test_many_first_starts_at_once_make_them_once(postgres_url: str, namespace: str) -> None:
    brokers = [PostgresBroker(postgres_url, namespace=namespace) for _ in range(6)]
    together(*(partial(enqueue_one, broker) for broker in brokers))
    assert sum(brokers[0].counts().values()) == 6
    for broker in brokers:
        broker.close()


def test_an_older_schema_is_refused_with_what_to_run(broker: PostgresBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of millions of rows is not changed because some process restarted."""
    broker.open()
    broker.close()
    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
    later = PostgresBroker(broker._store._conninfo, namespace=broker.namespace)
    with pytest.raises(SchemaMismatch, match="run `comanda db migrate`"):
        later.open()
    later.close()


def test_a_newer_schema_is_refused(broker: PostgresBroker, postgres_url: str, namespace: str) -> None:
    """By its oldest client: an addition that older versions can live with does not lock them out (R50)."""
    broker.open()
    broker.close()
    change = f'UPDATE "{namespace}".meta SET value = 99 WHERE key = '  # noqa: S608 - a name of ours
    execute(postgres_url, f"{change} 'schema'")
    later = PostgresBroker(postgres_url, namespace=namespace)
    enqueue_one(later)
    later.close()
    execute(postgres_url, f"{change} 'oldest_client'")
    last = PostgresBroker(postgres_url, namespace=namespace)
    for verb in (last.open, last.migrate):
        with pytest.raises(SchemaMismatch, match="upgrade comanda"):
            verb()
    last.close()


def test_tables_that_vanish_are_missed_with_a_sentence(
    broker: PostgresBroker, postgres_url: str, namespace: str
) -> None:
    """Then they are made again: a database that was restored without them is an empty one."""
    enqueue_one(broker)
    execute(postgres_url, f'DROP SCHEMA "{namespace}" CASCADE')
    with pytest.raises(SchemaMismatch, match="lacks tables"):
        broker.counts()
    broker.close()
    broker.open()
    assert broker.counts() == {}


def test_both_names_of_the_url_lead_here(postgres_url: str, namespace: str) -> None:
    for scheme in ("postgresql", "postgres"):
        url = scheme + postgres_url.removeprefix("postgresql") + "?connect_timeout=3"
        broker = open_broker(url, Opening(namespace=namespace))
        assert isinstance(broker, PostgresBroker)
        enqueue_one(broker)
        broker.close()


def test_a_password_is_never_shown() -> None:
    """Neither by what the broker says about itself nor by what goes wrong."""
    broker = PostgresBroker("postgresql://ann:s3cret@127.0.0.1:1/shop")
    with pytest.raises(BrokerUnavailable) as caught:
        broker.open()
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        open_url("postgresql://ann:s3cret@host/shop?nonsense=1", Opening())
    assert "nonsense" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_the_server_is_described(broker: PostgresBroker) -> None:
    """The test server runs with fsync off, which is worth a warning."""
    described = broker.describe()
    assert described["server"].startswith("PostgreSQL ")
    assert "synchronous_commit=on" in described["durability"]
    assert ("fsync is off" in described.get("warning", "")) is ("fsync=off" in described["durability"])
    directory = broker.runtime_directory()
    assert directory is not None
    assert directory.is_dir()
    assert directory.stat().st_mode & 0o077 == 0
    directory.rmdir()
