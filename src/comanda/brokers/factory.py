"""From a URL to a broker."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from ..clock import Clock
from ..errors import ConfigurationError, UnknownOption
from .base import Broker

SCHEMES = ("sqlite", "sqlite+apsw", "memory")


def open_broker(
    url: str,
    *,
    namespace: str = "comanda",
    clock: Clock | None = None,
    supervisor: bool = False,
    deadline: float = 5.0,
) -> Broker:
    """Return the broker of a URL; nothing is opened yet. Its verbs give up after `deadline` seconds.

    `supervisor`: for a process without user code, which uses apsw on any SQLite file, since a current library may do
    the checkpoints (design section 6). Raises ConfigurationError for an unknown scheme and UnknownOption for `?…`.
    """
    scheme, separator, rest = url.partition("://")
    if not url or not separator or scheme not in SCHEMES:
        raise ConfigurationError(_unknown(url, scheme))
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    if query:
        raise UnknownOption(f"{scheme} URLs take no options, got {query[0][0]!r}")
    if scheme == "memory":
        module = importlib.import_module("comanda.brokers.memory")
        return cast(Broker, module.MemoryBroker(clock=clock))
    module = importlib.import_module("comanda.brokers.sqlite")
    library = "apsw" if supervisor or scheme == "sqlite+apsw" else "sqlite3"
    broker = module.SQLiteBroker(
        _path(url, rest), library_name=library, namespace=namespace, clock=clock, deadline=deadline
    )
    return cast(Broker, broker)


def _path(url: str, rest: str) -> Path:
    """Return the file of a SQLite URL: three slashes for a relative path, four for an absolute one."""
    if not rest.startswith("/"):
        raise ConfigurationError(
            f"{url!r} names no file: write sqlite:///shop.db (relative to the working directory) "
            "or sqlite:////var/lib/shop.db (absolute)"
        )
    name = unquote(rest[1:])
    if name in ("", ":memory:"):
        raise ConfigurationError(
            f"{url!r}: a queue in SQLite needs a file; for jobs in this process's memory use memory://"
        )
    return Path(name)


def _unknown(url: str, scheme: str) -> str:
    known = ", ".join(f"{name}://" for name in SCHEMES)
    if not url:
        return f"no broker URL: pass one, Comanda('sqlite:///shop.db'), or set COMANDA_URL (known are {known})"
    return f"unknown broker URL scheme {scheme!r} in {hide_password(url)!r}; known are {known}"


def hide_password(url: str) -> str:
    """Return a URL as it may be shown."""
    return re.sub(r"(://[^/@:]*:)[^/]*@", r"\1•••@", url)
