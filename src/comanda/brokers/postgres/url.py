"""postgresql://user:password@host:port/database?option=value, as libpq takes it; postgres:// is the same."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ...errors import ConfigurationError
from ..factory import Opening, hide_password
from .broker import PostgresBroker


def open_url(url: str, opening: Opening) -> PostgresBroker:
    """Return the broker of a database. Every option is libpq's own: sslmode, target_session_attrs and so on.

    Raises ConfigurationError for a URL that libpq does not understand.
    """
    address = hide_password(url)
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"{address!r} is no URL of a PostgreSQL database: {_reason(error, url)}") from None
    return PostgresBroker(url, namespace=opening.namespace, clock=opening.clock, deadline=opening.deadline)


def _reason(error: psycopg.Error, url: str) -> str:
    """Return what libpq says, unless it quotes the URL with its password."""
    said = str(error).strip()
    return "check its form" if url in said else said
