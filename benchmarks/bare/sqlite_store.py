"""The least table that deserves the name of a durable queue on SQLite, for both bare loops.

- WAL with `synchronous=FULL`: what a commit acknowledges survives a power failure. 64 MB of cache. A checkpoint every
  1,000 pages, SQLite's default: a short log is written in place again and again, which makes the sync of a commit half
  as dear as appending to a long one.
- One row a job for its whole life, settled in place: its times, its worker and its result stay as the history.
- Public ids are UUIDv7 under a unique index; ordered by time, they are the cheapest ids that can be given out.
- The index over ready rows holds the row number only: first in, first out. A claim cannot cost less.

Left out, and therefore what a real queue adds: priorities, due times, several queues and tasks, attempts and retries,
fences, counts, unique keys, options, a schema version, waking anybody.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

LIBRARIES = ("sqlite3", "apsw")

READY, RUNNING, DONE = 1, 2, 3

_SCHEMA = (
    """
    CREATE TABLE jobs (
        n INTEGER PRIMARY KEY,
        state INTEGER NOT NULL,
        enqueued INTEGER NOT NULL,
        worker INTEGER,
        started INTEGER,
        finished INTEGER,
        id BLOB NOT NULL,
        payload BLOB NOT NULL,
        result BLOB
    )
    """,
    "CREATE UNIQUE INDEX jobs_id ON jobs (id)",
    "CREATE INDEX jobs_ready ON jobs (n) WHERE state = 1",
)

INSERT = "INSERT INTO jobs (id, state, enqueued, payload) VALUES (?, 1, ?, ?)"


def create(library: str, path: Path) -> Any:
    """Make the file and return its connection: `sqlite3` or `apsw`, which answer to the same three methods."""
    connection = _connect(library, path)
    for pragma in ("journal_mode = wal", "synchronous = full", "cache_size = -64000"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    assert connection.execute("PRAGMA synchronous").fetchall() == [(2,)]
    for statement in _SCHEMA:
        connection.execute(statement)
    return connection


def _connect(library: str, path: Path) -> Any:
    if library == "apsw":
        import apsw

        return apsw.Connection(str(path))
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def new_ids(count: int) -> list[bytes]:
    """Return UUIDv7 in ascending order, from one read of the system's randomness."""
    head = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | 0b10 << 62
    noise = os.urandom(7 * count)
    return [
        (head | (index & 0xFFF) << 64 | int.from_bytes(noise[7 * index : 7 * index + 7], "big")).to_bytes(16, "big")
        for index in range(count)
    ]
