"""The tables, in numbered steps. `{ns}` is the namespace.

jobs      one row a job for its whole life, settled in place: 282k jobs/s against 172k when rows move to a second table
          (SQ5). `n` is never given twice, so that a stale (n, fence) can never match a later job (SQ11); that is seen
          to by enqueue.py, since AUTOINCREMENT would write and sync a fourth page with each enqueue.
attempts  one row for each attempt that did not end in success at the first try.
counts    jobs by queue and state, but for the latest enqueued (see counts.py).
workers   one row a process at each boot; `beat` is a counter, so that a stepped clock kills nobody (R45).

The index `ready` holds ready rows only, in the claim's order, and ends in the task, so that "tasks I know" is answered
inside it, and in the state, always 1, which SQLite before 3.41 would else look up in the table. State 7 is a ready job
that is held back (parked): shown as ready, outside the index.

The conditions of partial indexes are ranges, never IN lists: SQLite would build the list anew for every row whose state
changes (claim and settle: 3.6 µs a job instead of 6.5).
"""

from __future__ import annotations

from ...errors import SchemaMismatch
from .connection import Connection

SCHEMA_VERSION = 1
OLDEST_CLIENT = 1

_STEPS = {
    1: """
CREATE TABLE {ns}_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE {ns}_tasks (n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE {ns}_queues (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    messages INTEGER NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE {ns}_counts (
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) WITHOUT ROWID;
CREATE TABLE {ns}_workers (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    kind TEXT NOT NULL,
    queues TEXT,
    tasks TEXT NOT NULL,
    started INTEGER NOT NULL,
    beat INTEGER NOT NULL DEFAULT 0,
    beat_at INTEGER NOT NULL,
    ended INTEGER
);
CREATE INDEX {ns}_living ON {ns}_workers (n) WHERE ended IS NULL;
CREATE TABLE {ns}_jobs (
    n INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    due INTEGER NOT NULL,
    task INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 0,
    stop INTEGER NOT NULL DEFAULT 0,
    owner INTEGER,
    enqueued INTEGER NOT NULL,
    started INTEGER,
    finished INTEGER,
    expires INTEGER,
    id BLOB NOT NULL,
    unique_key TEXT,
    options BLOB,
    payload BLOB NOT NULL,
    result BLOB
);
CREATE UNIQUE INDEX {ns}_id ON {ns}_jobs (id);
CREATE INDEX {ns}_ready ON {ns}_jobs (queue, rank, due, n, task, state) WHERE state = 1;
CREATE INDEX {ns}_scheduled ON {ns}_jobs (due) WHERE state = 0;
CREATE INDEX {ns}_running ON {ns}_jobs (owner) WHERE state = 2;
CREATE INDEX {ns}_parked ON {ns}_jobs (task) WHERE state = 7;
CREATE INDEX {ns}_ended_badly ON {ns}_jobs (state, id) WHERE state BETWEEN 4 AND 6;
CREATE INDEX {ns}_expiring ON {ns}_jobs (expires) WHERE expires IS NOT NULL AND state NOT BETWEEN 2 AND 6;
CREATE UNIQUE INDEX {ns}_unique ON {ns}_jobs (unique_key) WHERE unique_key IS NOT NULL AND state NOT BETWEEN 3 AND 6;
CREATE TABLE {ns}_attempts (
    job INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER,
    owner INTEGER NOT NULL,
    failure BLOB,
    PRIMARY KEY (job, fence)
) WITHOUT ROWID;
CREATE TABLE {ns}_operations (
    job INTEGER NOT NULL,
    at INTEGER NOT NULL,
    verb TEXT NOT NULL,
    actor TEXT NOT NULL
);
CREATE INDEX {ns}_operations_of ON {ns}_operations (job, at);
INSERT INTO {ns}_meta VALUES ('schema', 1), ('oldest_client', 1);
INSERT INTO {ns}_counts VALUES (0, 0, 0);
""",
}


def bring_up_to_date(connection: Connection, namespace: str) -> None:
    """Create the tables or apply the missing steps, inside the caller's write transaction; raises SchemaMismatch."""
    for statement in pending(versions(connection, namespace), namespace):
        connection.execute(statement)


def pending(found: tuple[int, int], namespace: str) -> list[str]:
    """Return the statements that lead from `found` (schema, oldest client; both 0 without tables) to this one's.

    Raises SchemaMismatch when the file was made by a comanda that says this one is too old to use it.
    """
    version, oldest = found
    if oldest > SCHEMA_VERSION:
        raise SchemaMismatch(
            f"the database has schema {version} and asks for a comanda that knows schema {oldest} or newer; "
            f"this one knows {SCHEMA_VERSION}: upgrade comanda"
        )
    if version >= SCHEMA_VERSION:
        return []
    steps = "".join(_STEPS[step] for step in range(version + 1, SCHEMA_VERSION + 1)).replace("{ns}", namespace)
    return [
        *(statement for statement in steps.split(";\n") if statement.strip()),
        f"UPDATE {namespace}_meta SET value = {SCHEMA_VERSION} WHERE key = 'schema'",
        f"UPDATE {namespace}_meta SET value = {OLDEST_CLIENT} WHERE key = 'oldest_client'",
    ]


def is_current(connection: Connection, namespace: str) -> bool:
    """Return whether there is nothing to do, which a reader can find out without the write lock."""
    return versions(connection, namespace) == (SCHEMA_VERSION, OLDEST_CLIENT)


def versions(connection: Connection, namespace: str) -> tuple[int, int]:
    """Return the file's schema version and the oldest client it allows; (0, 0) for a file without our tables."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (f"{namespace}_meta",)):
        return 0, 0
    found: dict[str, int] = dict(connection.execute(f"SELECT key, value FROM {namespace}_meta"))
    return found["schema"], found["oldest_client"]
