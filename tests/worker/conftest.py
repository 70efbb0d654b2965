"""Apps over every broker that a worker runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comanda import Comanda
from tests.servers.stores import DURABLE, SCHEMES, Store, StoreOf


@pytest.fixture(params=SCHEMES)
def app(request: pytest.FixtureRequest, store_of: StoreOf) -> Iterator[Comanda]:
    """An empty app, over each broker in turn."""
    yield from _app(store_of(request.param))


@pytest.fixture
def memory_app(store_of: StoreOf) -> Iterator[Comanda]:
    """An empty app in memory, where the broker makes no difference."""
    yield from _app(store_of("memory"))


@pytest.fixture
def file_app(store_of: StoreOf) -> Iterator[Comanda]:
    """An empty app on a SQLite file."""
    yield from _app(store_of("sqlite"))


@pytest.fixture(params=DURABLE)
def shared_app(request: pytest.FixtureRequest, store_of: StoreOf) -> Iterator[Comanda]:
    """An empty app over each broker that other processes may use, too."""
    yield from _app(store_of(request.param))


def _app(store: Store) -> Iterator[Comanda]:
    made = Comanda(store.url, namespace=store.namespace)
    yield made
    made.close()
