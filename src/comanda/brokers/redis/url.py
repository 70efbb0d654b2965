"""redis://host:6379/0, rediss:// (TLS), valkey:// and valkeys:// the same, redis+unix:///path/to.sock?db=0"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from ...errors import ConfigurationError
from ..factory import Opening
from ..options import options
from .broker import RedisBroker
from .connection import settings_of
from .store import Store

_SPELT = {"valkey": "redis", "valkeys": "rediss", "redis+unix": "unix"}
"""Scheme to the one that redis-py knows."""

_DURABILITY = "durability"
_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")


def open_url(url: str, opening: Opening) -> RedisBroker:
    """Return the broker of a server; nothing is opened yet. Raises ConfigurationError for an address that is none."""
    given = options(url, (_DURABILITY, "db", *_TLS))
    durability = given.pop(_DURABILITY, None)
    if durability not in (None, "strict"):
        raise ConfigurationError(f"durability={durability} in a redis URL: the one choice is durability=strict")
    settings = _settings(url, given)
    store = Store(
        settings,
        _shown(url.partition("://")[0], settings),
        opening.namespace,
        clock=opening.clock,
        deadline=opening.deadline,
        strict=durability is not None,
    )
    return RedisBroker(store)


def _settings(url: str, given: dict[str, str]) -> dict[str, Any]:
    """Return redis-py's settings of a connection."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    address = f"{_SPELT.get(scheme, scheme)}://{rest}"
    try:
        settings = settings_of(f"{address}?{urlencode(given)}" if given else address)
    except ValueError:  # its words may quote a part of the password
        settings = {}
    if not settings.get("host") and not settings.get("path"):
        raise ConfigurationError(
            f"the {scheme} URL names no server: write redis://host:6379/0, redis://user:password@host/0 (with all "
            "but letters and digits in the password percent-encoded), or redis+unix:///path/to.sock"
        )
    return settings


def _shown(scheme: str, settings: dict[str, Any]) -> str:
    """Return the address as it may be shown: without user and password."""
    database = settings.get("db", 0)
    if "path" in settings:
        return f"{scheme}://{settings['path']}?db={database}"
    return f"{scheme}://{settings['host']}:{settings.get('port', 6379)}/{database}"
