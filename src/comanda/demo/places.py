"""Where Dev-Guro keeps its logs and its queue.

On SQLite and PostgreSQL both are in one database, and a log and its job commit together. Where the queue is in Redis,
the logs stay in a SQLite file, and an outbox in it holds the job until the worker's relay has moved it to Redis.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct
from sqlalchemy import URL, make_url

from comanda.brokers.factory import hide_password, open_broker
from comanda.brokers.sqlite import SQLiteBroker
from comanda.errors import ConfigurationError

DATA = Path(".comanda")
"""The directory of the SQLite file, unless somebody names another."""


class Places(Struct, frozen=True):
    """The URL of the queue, and the SQLite file of the logs, if they are in one."""

    queue: str
    file: Path | None

    @property
    def logs(self) -> URL:
        """The database of the logs, as SQLAlchemy names it."""
        if self.file is not None:
            return URL.create("sqlite", database=str(self.file))
        return make_url(self.queue).set(drivername="postgresql+psycopg")

    @property
    def outbox(self) -> str | None:
        """The outbox's URL where the logs' database cannot hold the queue."""
        return None if self.file is None or self.queue == sqlite_url(self.file) else sqlite_url(self.file)

    def described(self) -> str:
        """Return what a person may see of it."""
        if self.file is None:
            return hide_password(self.queue)
        return str(self.file) if self.outbox is None else f"{hide_password(self.queue)}, logs in {self.file}"

    def announce(self) -> None:
        """Put them into the environment, which carries them to the worker's children; they import this package too."""
        os.environ["DEV_GURO_QUEUE"] = self.queue
        os.environ.pop("DEV_GURO_DATABASE", None)
        if self.file is not None:
            os.environ["DEV_GURO_DATABASE"] = str(self.file)


def choose(url: str | None, data: Path | None = None) -> Places:
    """Return the places for a queue at `url`, by default in a file in the directory `data`.

    Raises ConfigurationError for a store that Dev-Guro cannot use.
    """
    file = ((data or DATA) / "dev-guro.db").absolute()
    if url is None:
        return Places(sqlite_url(file), file)
    broker = open_broker(url)
    scheme = url.partition("://")[0]
    if isinstance(broker, SQLiteBroker) and scheme == "sqlite":
        return Places(sqlite_url(broker.path), broker.path)
    if scheme in ("postgresql", "postgres"):
        return Places(url, None)
    if scheme in ("memory", "sqlite+apsw"):
        raise ConfigurationError(
            f"Dev-Guro saves a log and its job in one transaction, which {hide_password(url)} does not offer: "
            "name a file, sqlite:///dev-guro.db, or a server, postgresql://… or redis://…"
        )
    return Places(url, file)


def from_environment() -> Places:
    """Return the places that `announce` left, or the usual ones."""
    file = os.environ.get("DEV_GURO_DATABASE")
    queue = os.environ.get("DEV_GURO_QUEUE")
    if queue is None:
        return choose(None) if file is None else choose(sqlite_url(Path(file).absolute()))
    return Places(queue, None if file is None else Path(file).absolute())


def sqlite_url(file: Path) -> str:
    """Return the URL of a file."""
    return f"sqlite:///{quote(str(file))}"
