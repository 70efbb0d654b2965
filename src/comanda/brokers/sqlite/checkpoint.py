"""Checkpoints: moving the write-ahead log into the database.

Libraries with the WAL-reset race never do it (design section 6). The supervisor does, through apsw; where only
producers run, a short-lived process of its own does, started when the log has grown large:
`python -m comanda.brokers.sqlite FILE`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .side import Side

LARGE = 32 * 1024 * 1024
"""Bytes of log at which writers are held up for a moment so that it can start over."""

_SMALL = 4 * 1024 * 1024
_PATIENCE = 2.0
"""Seconds to wait for readers and writers before a large log is cut; the next second tries again."""


def log_size(path: Path) -> int:
    """Return the bytes of the write-ahead log; `stat` does not disturb SQLite's locks (R43)."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


class Checkpointer:
    """Keeps the log of one file short, with a library that may: from a process without user code."""

    def __init__(self, path: Path, library_name: str) -> None:
        self._path = path
        self._library = library_name

    def run(self) -> None:
        """Copy the log into the database; a large one is also cut to nothing, with writers waiting meanwhile."""
        size = log_size(self._path)
        if size < _SMALL:
            return
        side = Side(self._path, self._library, _PATIENCE, read_only=False)
        connection = side.open(0)
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}")
            # Both answer (busy, …) instead of raising when a long reader pins the log.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if size >= LARGE:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            side.close()


class Helper:
    """Checkpoints for a process whose own library must not: in a process of its own, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start the process when the log is large and none is under way."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = None
        if log_size(self._path) >= LARGE:
            command = [sys.executable, "-m", __package__, str(self._path)]
            self._process = subprocess.Popen(command, start_new_session=True)

    def close(self) -> None:
        """Wait for a process under way."""
        if self._process is not None:
            self._process.wait()
            self._process = None
