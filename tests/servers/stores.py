"""An empty store of each kind for one test, by the scheme of its URL."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

SERVERS = ("postgresql", "redis")
DURABLE = ("sqlite", *SERVERS)
SCHEMES = ("memory", "sqlite", "sqlite+apsw", *SERVERS)


class Store(NamedTuple):
    """Where jobs are. The tests of a run share their servers: there, each has a namespace of its own."""

    url: str
    namespace: str


class StoreOf(Protocol):
    """What the fixture `store_of` is."""

    def __call__(self, scheme: str, file: str = "queue.db") -> Store: ...


@pytest.fixture
def store_of(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> StoreOf:
    """Return the test's own store of a kind, `store_of("redis")`; its server starts when the first test asks."""

    def store(scheme: str, file: str = "queue.db") -> Store:
        if scheme == "memory":
            return Store("memory://", "comanda")
        if scheme in SERVERS:
            fixture = "postgres_url" if scheme == "postgresql" else "redis_url"
            return Store(request.getfixturevalue(fixture), namespace)
        return Store(f"{scheme}:///{tmp_path / file}", "comanda")

    return store
