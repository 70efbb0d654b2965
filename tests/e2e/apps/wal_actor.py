"""One process on a SQLite file whose every step is commanded: `python -m tests.e2e.apps.wal_actor ROLE FILE`.

A line on standard input is a step, the line on standard output its outcome. Writer and reader use comanda's own
connections through the interpreter's `sqlite3`, told to be of a version with the WAL-reset race. The checkpointer uses
apsw and stops wherever a process can be stopped from outside while it checkpoints: before it makes the log durable,
before the first page goes into the database, and before it makes that durable and tells the log.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from comanda.brokers.sqlite import SQLiteBroker, library
from comanda.brokers.sqlite.connection import connect
from comanda.errors import BrokerTimeout

VULNERABLE = "3.40.1"
PAYLOAD = "x" * 6_000
"""More than a page: a write touches several."""


def say(words: str) -> None:
    """Answer."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


class Actor:
    """Writes or reads through a broker, one step at a time. What cannot be done now is answered with `busy`."""

    def __init__(self, path: Path) -> None:
        sqlite3.sqlite_version = VULNERABLE
        self._broker = SQLiteBroker(path, deadline=0.0)
        self._open = contextlib.ExitStack()
        with self._broker.transaction() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS ledger (number INTEGER PRIMARY KEY, payload TEXT)")

    def begin(self, number: str, rows: str = "1") -> str:
        """Begin a transaction and write rows in it, from this number on."""
        try:
            connection = self._open.enter_context(self._broker.transaction())
        except BrokerTimeout:
            return "busy"
        numbers = range(int(number), int(number) + int(rows))
        connection.executemany("INSERT INTO ledger VALUES (?, ?)", ((number, PAYLOAD) for number in numbers))
        return "begun"

    def commit(self) -> str:
        """Commit it."""
        self._open.close()
        return "committed"

    def read(self) -> str:
        """Open a read transaction and count the rows; it stays open."""
        try:
            session = self._open.enter_context(self._broker._store.read())
            return str(session.run("SELECT count(*) FROM ledger")[0][0])
        except BrokerTimeout:
            self._open.close()
            return "busy"

    def leave(self) -> str:
        """End the read transaction, if one is open."""
        self._open.close()
        return "left"

    def close(self) -> str:
        """Close the file while others have it open; the next step opens it again."""
        self._broker.close()
        return "closed"


class StoppingDatabase(apsw.VFSFile):
    """The database as the checkpointer writes it."""

    stop: Callable[[str], None]

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name; a Buffer from Python 3.12
        """Stop before a page goes in."""
        self.stop("page")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Stop when all pages are in, before the log is told so."""
        self.stop("sync")
        super().xSync(flags)


class StoppingLog(apsw.VFSFile):
    """The log as the checkpointer reads it."""

    stop: Callable[[str], None]

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Stop once it is decided which pages are to be copied."""
        self.stop("log")
        super().xSync(flags)


class StoppingFiles(apsw.VFS):
    """Opens files that call `stop` with the name of the place."""

    def __init__(self, stop: Callable[[str], None]) -> None:
        super().__init__("stopping", base="unix", makedefault=True)
        self._stop = stop

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        """Open a file."""
        kind = StoppingDatabase if flags[0] & apsw.SQLITE_OPEN_MAIN_DB else StoppingLog
        file = kind("unix", name, flags)
        file.stop = self._stop
        return file


class Checkpointer:
    """Checkpoints with apsw, stopping once at each place."""

    def __init__(self, path: Path) -> None:
        self._passed = {"log", "page", "sync"}
        self._files = StoppingFiles(self._stop)
        self._connection = connect(path, library.APSW, 0.0)

    def checkpoint(self, mode: str) -> str:
        """Run it, commanded on at each stop; answers `ended`, with (busy, frames in the log, frames copied)."""
        self._passed.clear()
        (row,) = self._connection.execute(f"PRAGMA wal_checkpoint({mode})")
        return "ended " + " ".join(map(str, row))

    def _stop(self, place: str) -> None:
        if place not in self._passed:
            self._passed.add(place)
            say(place)
            sys.stdin.readline()


def main(role: str, path: Path) -> None:
    """Obey until there is nothing more to read."""
    actor: Any = Checkpointer(path) if role == "checkpointer" else Actor(path)
    say("here")
    while words := sys.stdin.readline().split():
        say(getattr(actor, words[0])(*words[1:]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
