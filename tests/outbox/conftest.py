"""An application with its own SQLite file, whose jobs live elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from comanda import Comanda
from comanda.outbox.base import Outbox
from comanda.outbox.relay import Relay
from comanda.task import SyncTask


@dataclass
class Shop:
    """The application: its file, its connection, its app with one task, and what that task was called with."""

    path: Path
    connection: sqlite3.Connection
    app: Comanda
    task: SyncTask[[int], int]
    called: list[int] = field(default_factory=list)

    @property
    def outbox(self) -> Outbox:
        """The app's outbox."""
        found = self.app.runtime.outbox
        assert found is not None
        return found

    @property
    def relay(self) -> Relay:
        """A new relay from the outbox to the app's store."""
        return Relay(self.outbox, self.app.broker)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return id and error of what stands in the outbox, in order."""
        return self.connection.execute("SELECT id, error FROM comanda_outbox ORDER BY n").fetchall()

    def stored(self) -> list[str]:
        """Return the ids of the store's jobs, the first one first."""
        return [job.id for job in reversed(self.app.find_jobs())]


def open_application(path: Path) -> sqlite3.Connection:
    """Open the application's file with settings that comanda has nothing to say about."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose jobs live in memory."""
    path = tmp_path / "shop.db"
    with closing(open_application(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        app = Comanda("memory://", outbox=f"sqlite:///{path}")
        called: list[int] = []

        @app.task(name="confirm")
        def confirm(order: int) -> int:
            called.append(order)
            return order

        yield Shop(path, connection, app, confirm, called)
        app.close()
