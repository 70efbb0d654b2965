"""The schema in numbered steps, `migrations/0001.sql` and so on.

A database without comanda's tables gets them at the first open. A later step is taken by `comanda db migrate` or
`comanda dev` only: a table of millions of rows is not changed because some process restarted (design section 5).
"""

from __future__ import annotations

from importlib.resources import files

from ...errors import SchemaMismatch
from .connection import Connection, Row
from .wire import text

SCHEMA_VERSION = 1
OLDEST_CLIENT = 1

_VERSIONS = "SELECT key, value FROM {ns}.meta WHERE key IN ('schema', 'oldest_client')"
_HAS_META = """
SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
WHERE s.nspname = $1::text AND c.relname = 'meta'
"""
# Only one process at a time makes or changes tables; whoever comes second finds them made.
_LOCK = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('comanda schema ' || $1::text, 0))"
_HAS_SCHEMA = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text"


def check(connection: Connection, namespace: str, address: str) -> None:
    """Make the tables where there are none; raise SchemaMismatch unless they are this version's."""
    version, oldest = _versions(connection, namespace)
    if version == 0:
        migrate(connection, namespace, address)
    elif oldest > SCHEMA_VERSION:
        raise SchemaMismatch(_too_new(version, oldest, namespace, address))
    elif version < SCHEMA_VERSION:
        raise SchemaMismatch(
            f"schema {namespace!r} in {address} has version {version} and this comanda needs {SCHEMA_VERSION}: "
            "run `comanda db migrate`"
        )


def status(connection: Connection, namespace: str) -> tuple[int, int]:
    """Return the version of the tables, 0 without any, and the version this comanda wants."""
    return _versions(connection, namespace)[0], SCHEMA_VERSION


def migrate(connection: Connection, namespace: str, address: str) -> list[int]:
    """Take the steps that are missing, all or none; return their numbers.

    Raises SchemaMismatch when the tables are made for a newer comanda only.
    """
    connection.script("BEGIN")
    try:
        connection.run(_LOCK, (text(namespace),))
        steps = _missing(_versions(connection, namespace), namespace, address)
        if steps:
            _take(connection, namespace, steps)
        connection.script("COMMIT")
    except BaseException:
        connection.close()  # whatever it had begun is undone
        raise
    return steps


def _missing(versions: tuple[int, int], namespace: str, address: str) -> list[int]:
    version, oldest = versions
    if oldest > SCHEMA_VERSION:
        raise SchemaMismatch(_too_new(version, oldest, namespace, address))
    return list(range(version + 1, SCHEMA_VERSION + 1))


def _take(connection: Connection, namespace: str, steps: list[int]) -> None:
    connection.script("SET LOCAL statement_timeout = 0")
    if not connection.run(_HAS_SCHEMA, (text(namespace),)):
        connection.script(_named("CREATE SCHEMA {ns}", namespace))
    for step in steps:
        connection.script(_named((files(__package__) / "migrations" / f"{step:04}.sql").read_text(), namespace))
    connection.script(
        _named(
            f"UPDATE {{ns}}.meta SET value = {SCHEMA_VERSION} WHERE key = 'schema';"
            f"UPDATE {{ns}}.meta SET value = {OLDEST_CLIENT} WHERE key = 'oldest_client'",
            namespace,
        )
    )


def _versions(connection: Connection, namespace: str) -> tuple[int, int]:
    """Return the version of the tables and the oldest client they allow; (0, 0) where there are none."""
    if not connection.run(_HAS_META, (text(namespace),)):
        return 0, 0
    rows: list[Row] = connection.run(_named(_VERSIONS, namespace))
    found: dict[str, int] = dict(rows)
    return found["schema"], found["oldest_client"]


def _named(template: str, namespace: str) -> str:
    return template.replace("{ns}", f'"{namespace}"')


def _too_new(version: int, oldest: int, namespace: str, address: str) -> str:
    return (
        f"schema {namespace!r} in {address} has version {version} and asks for a comanda that knows {oldest} or newer; "
        f"this one knows {SCHEMA_VERSION}: upgrade comanda"
    )
