"""The servers of the tests start, survive a kill with what was acknowledged, and leave nothing behind."""

from __future__ import annotations

from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer


def test_postgres_is_killed_and_comes_back() -> None:
    server = PostgresServer()
    try:
        server.start()
        server.execute("CREATE TABLE kept (n int)")
        server.execute("INSERT INTO kept VALUES (1)")
        server.kill()
        server.start()
        assert server.execute("SELECT n FROM kept") == [(1,)]
    finally:
        server.close()
    assert not server.directory.exists()


def test_redis_is_killed_and_comes_back() -> None:
    server = RedisServer()
    try:
        server.start()
        with server.client() as client:
            client.set("kept", "1")
        server.kill()
        server.start()
        with server.client() as client:
            assert client.get("kept") == b"1"
    finally:
        server.close()
    assert not server.directory.exists()
