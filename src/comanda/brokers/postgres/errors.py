"""psycopg's errors in comanda's words."""

from __future__ import annotations

import psycopg

from ...errors import BrokerError, BrokerTimeout, BrokerUnavailable, SchemaMismatch

Address = str
"""Where the server is, as it may be shown: a URL without its password."""

_AGAIN = {"40P01", "40001"}
_TIMED_OUT = {"57014", "55P03"}
_NO_TABLES = {"42P01", "3F000", "42703"}

_SENTENCES = {
    "53100": "has no room left on its disk",
    "53200": "is out of memory",
    "53300": "has no connection to spare: raise max_connections, or put PgBouncer in front",
    "28000": "refuses this user: check the URL and pg_hba.conf",
    "28P01": "refuses this user's password",
    "3D000": "has no database of this name: create it, or check the URL",
    "42501": "does not allow this user to do that: grant it the schema and its tables, or the right to create them",
    "25006": "is read-only: it is a standby, or default_transaction_read_only is set",
    "57P03": "is starting up or shutting down",
}


def is_worth_another_try(error: BaseException) -> bool:
    """Return whether the server gave up one of two transactions that waited for each other: nothing was written."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _AGAIN


def breaks_the_connection(error: BaseException) -> bool:
    """Return whether nothing more can be asked of the connection on which this happened."""
    if not isinstance(error, psycopg.Error):
        return True
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def translate(error: BaseException, address: Address, deadline: float) -> BrokerError | SchemaMismatch:
    """Return an error of the driver as comanda's, with what to do about it. It never quotes a value."""
    state = getattr(error, "sqlstate", None)
    where = f"PostgreSQL at {address}"
    if state in _TIMED_OUT:
        return BrokerTimeout(
            f"{where} did not finish within {deadline:g} s, and nothing was written: something else holds a lock, such "
            "as an open transaction with the same unique key"
        )
    if state in _AGAIN:
        return BrokerTimeout(f"{where} gave this transaction up for another one again and again; nothing was written")
    if state in _NO_TABLES:
        return SchemaMismatch(f"{where} lacks tables of comanda: run `comanda db migrate`")
    if state in _SENTENCES:
        return BrokerUnavailable(f"{where} {_SENTENCES[state]}")
    if state is not None and isinstance(error, psycopg.Error):
        return BrokerUnavailable(f"{where}: {error.diag.message_primary} ({state})")
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return BrokerUnavailable(f"{where} cannot be reached: {first}")
