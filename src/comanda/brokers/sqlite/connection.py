"""One face for the two SQLite libraries, and their errors in comanda's words (design section 6, SQ6, R40)."""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...errors import BrokerError, BrokerTimeout, BrokerUnavailable
from . import library

Row = tuple[Any, ...]
T = TypeVar("T")

DEADLINE = 5.0
"""Seconds until a use that cannot get the lock gives up, unless the store says otherwise (R24)."""

_BUSY, _LOCKED, _READONLY, IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26

_SENTENCES = {
    _READONLY: "is read-only for this process: check the permissions of the file, of its -wal and -shm, and of its "
    "directory",
    IOERR: "could not be read or written (disk I/O error): check the disk",
    _CORRUPT: "is damaged: stop all processes, keep a copy of the file with its -wal, and restore a backup",
    _FULL: "could not grow: the disk is full",
    _CANTOPEN: "cannot be opened: check that the directory exists and may be written",
    _NOTADB: "is not a SQLite database (or is encrypted): check the path in the URL",
}


class Connection(Protocol):
    """What comanda needs of a SQLite connection."""

    raw: Any

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return all its rows."""
        ...

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each row and return how many rows it changed in all."""
        ...

    def changes(self) -> int:
        """Return how many rows the last statement changed."""
        ...

    def copy_to(self, target: Connection) -> None:
        """Write all that this connection sees at one moment over the database of `target`, of the same library."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class StandardConnection:
    """The interpreter's `sqlite3`: the library that SQLAlchemy and Django use."""

    def __init__(self, path: Path) -> None:
        self.raw = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        if sys.version_info >= (3, 12):
            self.raw.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self.raw.execute(sql, parameters).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        return self.raw.executemany(sql, rows).rowcount

    def changes(self) -> int:
        return int(self.raw.execute("SELECT changes()").fetchone()[0])

    def copy_to(self, target: Connection) -> None:
        self.raw.backup(target.raw)

    def close(self) -> None:
        self.raw.close()


class ApswConnection:
    """`apsw` with its own current SQLite: for a file that belongs to the queue alone."""

    def __init__(self, path: Path) -> None:
        import apsw

        self.raw = apsw.Connection(str(path), statementcachesize=256)
        self.raw.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self.raw.execute(sql, parameters).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        before = self.raw.total_changes()
        self.raw.executemany(sql, rows)
        return int(self.raw.total_changes() - before)

    def changes(self) -> int:
        return int(self.raw.changes())

    def copy_to(self, target: Connection) -> None:
        with target.raw.backup("main", self.raw, "main") as copying:
            copying.step(-1)

    def close(self) -> None:
        self.raw.close()


def connect(path: Path, library_name: str, deadline: float = DEADLINE, *, read_only: bool = False) -> Connection:
    """Open `path` with every setting made and read back; raise BrokerUnavailable when one does not hold.

    Connections on a library with the WAL-reset race never checkpoint (design section 6).
    """
    connection = plain(path, library_name)
    try:
        _configure(connection, library.must_not_checkpoint(library_name), deadline, read_only)
    except BaseException:
        connection.close()
        raise
    return connection


def plain(path: Path, library_name: str) -> Connection:
    """Open `path` as it is, without any setting."""
    return ApswConnection(path) if library_name == library.APSW else StandardConnection(path)


def _configure(connection: Connection, never_checkpoint: bool, deadline: float, read_only: bool) -> None:
    def run(sql: str) -> list[Row]:
        """Any of them may meet another process that is just making the file."""
        return retry_while_busy(lambda: connection.execute(sql), deadline)

    mode = run("PRAGMA journal_mode")[0][0]
    if mode != "wal":
        if run("PRAGMA page_count") == [(0,)]:
            run("PRAGMA auto_vacuum = INCREMENTAL")  # later it would take a VACUUM; see space.py
        mode = run("PRAGMA journal_mode = wal")[0][0]
    if mode != "wal":
        raise BrokerUnavailable(f"SQLite stayed in journal mode {mode!r}; comanda needs WAL")
    wanted = {
        "synchronous": 2,
        # A short log is written in place again and again; a long one would first be appended to (see checkpoint.py).
        "wal_autocheckpoint": 0 if never_checkpoint else 1_000,
        "mmap_size": 0,
        "foreign_keys": 0,
        "trusted_schema": 0,
        "temp_store": 2,
        "cache_size": -32_000,
        "fullfsync": 1,
        "query_only": int(read_only),
        # A reader may wait for another process's recovery of the WAL; a writer retries by itself (SQ8).
        "busy_timeout": int(deadline * 1000) if read_only else 0,
    }
    for name, value in wanted.items():
        run(f"PRAGMA {name} = {value}")
        found = run(f"PRAGMA {name}")
        if found and found[0][0] != value:
            raise BrokerUnavailable(f"SQLite did not take PRAGMA {name} = {value}: it says {found[0][0]}")
    run("PRAGMA journal_size_limit = 67108864")


def retry_while_busy(step: Callable[[], T], deadline: float) -> T:
    """Run `step` until the lock is free, at most `deadline` seconds; then let the busy error through.

    A jittered 0.5 to 1.5 ms keeps eight writers within a factor of two of each other; SQLite's own busy_timeout
    let one of them commit once in four seconds (SQ8).
    """
    until = time.monotonic() + deadline
    while True:
        try:
            return step()
        except Exception as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
        time.sleep(random.uniform(0.0005, 0.0015))  # noqa: S311 - jitter, no secret


def code_of(error: BaseException) -> int | None:
    """Return SQLite's primary result code of an error of either library, None when it is not one."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        code = getattr(error, "result", None) if type(error).__module__.startswith("apsw") else None
    return None if code is None else int(code) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Return whether another connection held the lock."""
    return code_of(error) in (_BUSY, _LOCKED)


def translate(error: BaseException, path: Path, deadline: float) -> BrokerError:
    """Return a library's error as comanda's, with what to do about it."""
    code = code_of(error)
    if code in (_BUSY, _LOCKED):
        return BrokerTimeout(
            f"the database {path} stayed locked by another connection for {deadline:g} s; nothing was written. "
            "If this thread has an open transaction on that file, hand it in: using(connection=…)"
        )
    if code in _SENTENCES:
        return BrokerUnavailable(f"the database {path} {_SENTENCES[code]}")
    return BrokerUnavailable(f"the database {path}: {error}")
