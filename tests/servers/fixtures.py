"""One server of each kind for the whole test run, started by the first test that asks."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

# Taken out of the environment: comanda itself would refuse settings of these names.
_POSTGRES = os.environ.pop("COMANDA_TEST_POSTGRES_URL", None)
_REDIS = os.environ.pop("COMANDA_TEST_REDIS_URL", None)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    if _POSTGRES:
        yield _POSTGRES
        return
    server = PostgresServer()
    try:
        server.start()
        yield server.url
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis server."""
    if _REDIS:
        yield _REDIS
        return
    server = RedisServer()
    try:
        server.start()
        yield server.url
    finally:
        server.close()


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses: the tests of a run share a server."""
    return f"t{secrets.token_hex(6)}"
