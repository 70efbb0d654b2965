"""Checkpoints: moving the write-ahead log into the database, so that the log can start over.

Libraries with the WAL-reset race never do it (design section 6). The supervisor does, through apsw; where only
producers run, a process of its own does, for as long as the log keeps growing: `python -m comanda.brokers.sqlite FILE`.

The file of the log is kept when it starts over: writing in place makes a durable commit half as dear as appending to
the file (a sync of 4 kB takes 90 µs against 190).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from .connection import Connection
from .side import Side

LARGE = 32 * 1024 * 1024
"""Bytes of log at which writers are held up for a moment so that it starts over."""

_LONGEST_WAIT = 0.5
"""Seconds that writers then wait for readers at most. Short readers that overlap never leave the log alone: two of
0.2 s each beside eight writers let it grow to 140 MB in 20 s. If they stay, the next one is 2, 4, 8 … 30 s later."""

_SMALL = 4 * 1024 * 1024
_PATIENCE = 0.1
"""Seconds to find a moment without a reader in the log, before the next round tries again."""

_HEADER, _FRAME_HEADER = 32, 24
"""Bytes at the head of the log and of each page in it (sqlite.org/fileformat2, section 4)."""


def log_size(path: Path) -> int:
    """Return the bytes written to the log of database `path` since it last started over.

    The file is longer: behind them lies what is left of earlier rounds, known by another salt. No lock of SQLite's is
    disturbed, since it locks other files only (R43).
    """
    try:
        log = os.open(path.with_name(path.name + "-wal"), os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        header = os.pread(log, _HEADER, 0)
        frame = _FRAME_HEADER + int.from_bytes(header[8:12], "big")
        low, high = 0, (os.fstat(log).st_size - _HEADER) // frame
        while low < high:
            middle = (low + high) // 2
            if os.pread(log, 8, _HEADER + middle * frame + 8) == header[16:24]:
                low = middle + 1
            else:
                high = middle
        return _HEADER + low * frame if low else 0
    finally:
        os.close(log)


class Checkpointer:
    """Keeps the log of one file short, with a library that may: from a process without user code."""

    def __init__(self, path: Path, library_name: str) -> None:
        self._path = path
        self._library = library_name
        self._pause = 0.0
        self._not_before = 0.0

    def run(self, *, at_once: bool = False) -> bool:
        """Copy the log into the database, and make a large one start over; return whether there was enough to do.

        A short log is left alone, unless `at_once`.
        """
        size = log_size(self._path)
        if size < _SMALL and not at_once:
            return False
        side = Side(self._path, self._library, _PATIENCE, read_only=False)
        connection = side.open(0)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if size >= LARGE and not _start_over(connection):
                self._insist(connection)
        finally:
            side.close()
        return True

    def _insist(self, connection: Connection) -> None:
        """Start the log over behind readers that leave soon: new ones read past the log while no writer is in."""
        if time.monotonic() < self._not_before:
            return
        connection.execute(f"PRAGMA busy_timeout = {_LONGEST_WAIT * 1000:.0f}")
        if connection.execute("PRAGMA wal_checkpoint(RESTART)")[0][0]:
            self._pause = min(max(2.0, 2 * self._pause), 30.0)
            self._not_before = time.monotonic() + self._pause
        else:
            self._pause = 0.0


def _start_over(connection: Connection) -> bool:
    """Copy the rest while no writer is in. It answers (busy, …) at once, so no long reader makes the writers wait.

    Return whether the log starts over with the next write.
    """
    until = time.monotonic() + _PATIENCE
    while connection.execute("PRAGMA wal_checkpoint(RESTART)")[0][0]:
        if time.monotonic() >= until:
            return False
        time.sleep(random.uniform(0.0005, 0.0015))  # noqa: S311 - jitter, no secret
    return True


class Helper:
    """Checkpoints for a process whose own library must not: in a process of its own, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start the process when the log is large and none is under way."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        if log_size(self._path) >= LARGE:
            command = [sys.executable, "-m", __package__, str(self._path)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def close(self) -> None:
        """End a process under way, and wait for it."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()
