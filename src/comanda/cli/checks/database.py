"""The SQLite file: where it lies, who may use it, which library opens it, whether it is sound."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...brokers.sqlite import SQLiteBroker, filesystem, library
from ...brokers.sqlite.checkpoint import LARGE, log_size
from ...brokers.sqlite.connection import DEADLINE, Connection, code_of, connect, translate
from ...errors import BrokerError, ComandaError
from .finding import Finding, hint, ok, problem

CHECKED_AT_MOST = 1 << 30
"""Bytes of a file that is read whole: about a second a gigabyte, with the log pinned meanwhile."""

LONG_LOG = 2 * LARGE
"""Bytes at which the supervisor's cutting does not seem to work."""


def place(path: Path) -> Iterator[Finding]:
    """Look at the file from outside, before it is opened: this may be why it cannot be."""
    try:
        filesystem.check(path)
    except ComandaError as error:
        yield problem("file system", str(error), "move the file, or make the directory as the sentence says")
    else:
        yield ok("file system", f"{filesystem.type_of(path.parent) or 'local'}, {path.parent}")
    if path.exists():
        yield _permissions(path)


def _permissions(path: Path) -> Finding:
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return problem(
            "permissions",
            f"this user may not write in {path.parent}, where SQLite keeps its log",
            f"run as the owner of {path.parent}, or give this user the right to write there",
        )
    files = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]
    for file in files:
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            return problem("permissions", f"this user may not read and write {file}", f"run as the owner of {file}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return hint(
            "permissions",
            f"{path} has mode {mode:04o}: other users of this host may read jobs' arguments or change jobs",
            f"chmod 600 {path}, unless other users are meant to",
        )
    return ok("permissions", f"mode {mode:04o}, for its owner alone")


def contents(broker: SQLiteBroker) -> Iterator[Finding]:
    """Look at the library, the contents and the log of an opened file."""
    yield _library(broker)
    yield _soundness(broker)
    yield _log(broker.path)


def _library(broker: SQLiteBroker) -> Finding:
    if library.advice(broker.library, broker.path) is None:
        return ok("library", broker.describe()["library"])
    return hint("library", library.danger(broker.library), library.remedy(broker.path))


def _soundness(broker: SQLiteBroker) -> Finding:
    path = broker.path
    size = path.stat().st_size
    if size > CHECKED_AT_MOST:
        return hint(
            "contents",
            f"not checked: {size / 1e9:.1f} GB would take long and hold up the log",
            f"at a quiet hour: sqlite3 {path} 'PRAGMA quick_check'",
        )
    repair = f"stop all processes, keep a copy of {path} with its -wal, and restore a backup"
    try:
        complaints = _quick_check(broker)
    except BrokerError as error:
        return problem("contents", str(error), repair)
    if complaints:
        return problem("contents", f"{path} is damaged: {complaints[0]}", repair)
    return ok("contents", f"quick_check found nothing, {size / 1e6:.1f} MB")


def _quick_check(broker: SQLiteBroker) -> list[str]:
    """Return what SQLite complains about, through a connection that only reads."""
    try:
        connection: Connection = connect(broker.path, broker.library, read_only=True)
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
        finally:
            connection.close()
    except Exception as error:
        if code_of(error) is None:
            raise
        raise translate(error, broker.path, DEADLINE) from error
    return [complaint for complaint in found if complaint != "ok"]


def _log(path: Path) -> Finding:
    size = log_size(path)
    if size > LONG_LOG:
        return hint(
            "log",
            f"the write-ahead log has grown to {size / 1e6:,.0f} MB",
            "look for a process that keeps a read transaction open, and see that a worker runs: it shortens the log",
        )
    return ok("log", f"the write-ahead log has {size / 1e6:.1f} MB")
