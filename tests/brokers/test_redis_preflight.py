"""What the server promises is looked at before it is used, and what is missing is said."""

from __future__ import annotations

import pytest

from comanda.brokers.factory import Opening, open_broker
from comanda.brokers.redis.preflight import Server, check
from comanda.errors import ConfigurationError, UnknownOption
from tests.brokers.redis_stores import broker_on, server_with

SOUND = Server(name="Redis", version="7.2.0", policy="noeviction", appendonly=True, appendfsync="always")


def test_a_server_that_syncs_always_has_no_warning(redis_url: str, namespace: str) -> None:
    broker = broker_on(f"{redis_url}?durability=strict", namespace)
    shown = broker.describe()
    broker.close()
    assert shown["store"] == redis_url
    assert shown["durability"] == "appendonly yes, appendfsync always"
    assert shown["server"].startswith(("Redis ", "Valkey "))
    assert "warning" not in shown


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"appendfsync": "everysec"}, "appendfsync everysec: the last second may be lost at a crash"),
        ({"appendonly": "no"}, "appendonly no: all jobs since the last snapshot are lost"),
        ({"maxmemory_policy": "volatile-lru"}, "maxmemory-policy volatile-lru is meant for caches"),
    ],
)
def test_a_missing_guarantee_is_shown_and_refused_in_strict_mode(settings: dict[str, str], words: str) -> None:
    with server_with(**settings) as server:
        broker = broker_on(server.url)
        assert words in broker.describe()["warning"]
        broker.close()
        with pytest.raises(ConfigurationError, match=f"durability=strict: {words}"):
            broker_on(f"{server.url}?durability=strict").open()


def test_a_server_that_evicts_jobs_is_always_refused() -> None:
    with server_with(maxmemory_policy="allkeys-lru") as server, pytest.raises(ConfigurationError, match="allkeys-lru"):
        broker_on(server.url).open()


def test_where_config_is_forbidden_the_server_is_asked_otherwise() -> None:
    """Managed servers rename or forbid CONFIG: INFO tells most, and the rest is said to be unknown."""
    with server_with() as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-config")
        broker = broker_on(server.url)
        shown = broker.describe()
        broker.close()
    assert shown["durability"] == "appendonly yes, appendfsync unknown"
    assert shown["warning"] == "how often it syncs to disk is not known (appendfsync)"


def test_a_server_that_is_too_old_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"runs Redis 6\.0\.16; comanda needs 6\.2 or newer"):
        check(Server("Redis", "6.0.16", "noeviction", True, "always"), "redis://host", strict=False)
    check(SOUND, "redis://host", strict=True)
    check(Server("Valkey", "unstable", None, None, None), "redis://host", strict=False)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_the_address_is_shown_without_user_and_password(scheme: str) -> None:
    broker = open_broker(f"{scheme}://ann:secret@example.org:7000/3", Opening())
    assert broker._store.where == f"{scheme}://example.org:7000/3"  # type: ignore[attr-defined]


def test_a_socket_is_named_by_its_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    socket = tmp_path_factory.mktemp("redis") / "redis.sock"
    with server_with(unixsocket=str(socket)):
        broker = broker_on(f"redis+unix://{socket}?db=2")
        assert broker.describe()["store"] == f"redis+unix://{socket}?db=2"
        assert broker.counts() == {}
        broker.close()


def test_a_url_that_names_no_server_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="names no server") as refused:
        open_broker("redis://:sec/ret@host:1", Opening())
    assert "sec" not in str(refused.value).replace("percent-encoded", "")
    with pytest.raises(UnknownOption, match="no option 'durabilty'"):
        open_broker("redis://host?durabilty=strict", Opening())
    with pytest.raises(ConfigurationError, match="the one choice is durability=strict"):
        open_broker("redis://host?durability=no", Opening())
