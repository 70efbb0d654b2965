"""From a URL to an outbox."""

from __future__ import annotations

import importlib
from typing import cast

from ..brokers.factory import Opening, hide_password
from ..errors import ConfigurationError, MissingExtra
from .base import Outbox

_MODULES = {"sqlite": "sqlite", "sqlite+apsw": "sqlite", "postgresql": "postgres", "postgres": "postgres"}
"""URL scheme to the module that serves it: the databases in which an application's transaction can hold a job."""


def check_url(url: str) -> str:
    """Return the module of an outbox's URL; raise ConfigurationError when no outbox can be there."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _MODULES:
        raise ConfigurationError(
            f"outbox={hide_password(url)!r}: an outbox is a table in the application's database, so that its "
            "transactions can hold jobs: sqlite:///shop.db or postgresql://…"
        )
    return _MODULES[scheme]


def open_outbox(url: str, opening: Opening) -> Outbox:
    """Return the outbox of a URL; nothing is opened yet.

    Raises ConfigurationError for a URL that names none, MissingExtra when its driver is not installed.
    """
    name = check_url(url)
    try:
        module = importlib.import_module(f"comanda.outbox.{name}")
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingExtra("postgres", f"outbox={url.partition('://')[0]}://…") from None
    return cast(Outbox, module.open_url(url, opening))
