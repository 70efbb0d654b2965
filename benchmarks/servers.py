"""An empty store on a server for one measurement; what is acknowledged there is on the disk.

The server is that of BENCH_POSTGRES_URL or BENCH_REDIS_URL, or one of the tests' servers that ends with this process.
"""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import psycopg
import redis

from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """Yield the URL of a new database, dropped afterwards."""
    name = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(_postgres(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield urlsplit(_postgres())._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@cache
def _postgres() -> str:
    """Return the URL of the server. Ours has what a packaged one has, but for the addresses."""
    if given := os.environ.get("BENCH_POSTGRES_URL"):
        return given
    server = PostgresServer({"fsync": "on", "shared_buffers": "128MB"})
    atexit.register(server.close)
    server.start()
    return server.url


@contextmanager
def fresh_redis() -> Iterator[str]:
    """Yield the URL of an empty database, emptied afterwards. Ours is a new server with `appendfsync always`."""
    if given := os.environ.get("BENCH_REDIS_URL"):
        with redis.Redis.from_url(given) as client:
            assert client.dbsize() == 0, f"{given} is not empty"
            try:
                yield given
            finally:
                client.flushdb()
        return
    # Without the rewriting of its log, which begins at 64 MB: it would fall into some runs and not into others.
    server = RedisServer({"auto-aof-rewrite-percentage": "0"})
    try:
        server.start()
        yield server.url
    finally:
        server.close()


SERVERS = {"postgres": fresh_postgres, "redis": fresh_redis}
"""Store to what yields an empty one."""


def version(store: str) -> str:
    """Return name and version of a server."""
    if store == "postgres":
        with psycopg.connect(_postgres()) as connection:
            return f"PostgreSQL {connection.info.server_version // 10_000}.{connection.info.server_version % 10_000}"
    with fresh_redis() as url, redis.Redis.from_url(url) as client:
        return f"Redis {client.info('server')['redis_version']}"
