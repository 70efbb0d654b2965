"""Checkpoints: moving the write-ahead log into the database.

Libraries with the WAL-reset race never do it (design section 6). The supervisor does, through apsw; where only
producers run, a short-lived process of its own does, started when the log has grown large:
`python -m comanda.brokers.sqlite.checkpoint FILE`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LARGE = 32 * 1024 * 1024
"""Bytes of log at which writers are held up for a moment so that it can start over."""

_SMALL = 4 * 1024 * 1024


def log_size(path: Path) -> int:
    """Return the bytes of the write-ahead log; `stat` does not disturb SQLite's locks (R43)."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


class Checkpointer:
    """Keeps the log of one file short, from a process without user code."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self) -> None:
        """Copy the log into the database; a large one is also cut to nothing, with writers waiting meanwhile."""
        size = log_size(self._path)
        if size < _SMALL:
            return
        import apsw

        connection = apsw.Connection(str(self._path))
        try:
            connection.set_busy_timeout(2_000)
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if size >= LARGE:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            pass  # a long reader pins the log; the next second tries again
        finally:
            connection.close()


class Helper:
    """Starts the checkpoint process from a producer whose own library must not do it; one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def run_if_needed(self) -> None:
        """Start the process when the log is large and none is under way."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = None
        if log_size(self._path) >= LARGE:
            command = [sys.executable, "-m", __name__, str(self._path)]
            self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own module

    def close(self) -> None:
        """Wait for a process under way."""
        if self._process is not None:
            self._process.wait()
            self._process = None


if __name__ == "__main__":
    Checkpointer(Path(sys.argv[1])).run()
