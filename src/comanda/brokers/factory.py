"""From a URL to a broker."""

from __future__ import annotations

import importlib
import re
from typing import cast

from msgspec import Struct

from ..clock import Clock
from ..errors import ConfigurationError, MissingExtra
from .base import Broker

_PACKAGES = {
    "sqlite": "sqlite",
    "sqlite+apsw": "sqlite",
    "memory": "memory",
    "postgresql": "postgres",
    "postgres": "postgres",
    "redis": "redis",
    "rediss": "redis",
    "redis+unix": "redis",
    "valkey": "redis",
    "valkeys": "redis",
}
"""URL scheme to the package of `comanda.brokers` that serves it; it is imported when it is wanted."""

_DRIVERS = {"postgres": ("psycopg",), "redis": ("redis", "hiredis")}
"""Package to the top-level modules that its extra, of the same name as the package, brings."""

SCHEMES = tuple(_PACKAGES)


class Opening(Struct, frozen=True, kw_only=True):
    """How a broker is to be opened. `deadline` in seconds; `clock` None: the store's own, where it has one.

    `supervisor`: for a process without user code, which uses apsw on any SQLite file, since a current library may do
    the checkpoints (design section 6).
    """

    namespace: str = "comanda"
    clock: Clock | None = None
    supervisor: bool = False
    deadline: float = 5.0


def open_broker(url: str, opening: Opening | None = None) -> Broker:
    """Return the broker of a URL; nothing is opened yet.

    Raises ConfigurationError for an unknown scheme or an address that names no store, UnknownOption for a `?…` that
    the broker does not know, MissingExtra when its driver is not installed.
    """
    scheme, separator, _ = url.partition("://")
    if not url or not separator or scheme not in _PACKAGES:
        raise ConfigurationError(_unknown(url, scheme))
    package = _PACKAGES[scheme]
    try:
        module = importlib.import_module(f"comanda.brokers.{package}.url")
    except ModuleNotFoundError as error:
        if error.name not in _DRIVERS.get(package, ()):
            raise
        raise MissingExtra(package, f"{scheme}://") from None
    return cast(Broker, module.open_url(url, opening or Opening()))


def _unknown(url: str, scheme: str) -> str:
    known = ", ".join(f"{name}://" for name in SCHEMES)
    if not url:
        return f"no broker URL: pass one, Comanda('sqlite:///shop.db'), or set COMANDA_URL (known are {known})"
    return f"unknown broker URL scheme {scheme!r} in {hide_password(url)!r}; known are {known}"


def hide_password(url: str) -> str:
    """Return a URL as it may be shown."""
    return re.sub(r"(://[^/@:]*:)[^/]*@", r"\1•••@", url)
