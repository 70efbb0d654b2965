"""Whether a connection that is not ours leads to the same database.

Addresses do not tell: one server is reached by a socket, by several names and through poolers. Two databases are the
same if their servers started in the same microsecond and they have the same name; any user may ask for both.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from ...errors import ConfigurationError
from .store import Store

QUESTION = """
SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text, current_database()::text,
       current_setting('synchronous_commit')
"""
"""To be asked on the connection; `Place.check` takes the first two values of its row."""


class Place:
    """The database of one store. What it knows is asked for anew when it does not fit: its server may have restarted.

    `noun` is what a message calls the store: the queue, the outbox.
    """

    def __init__(self, store: Store, noun: str) -> None:
        self._store = store
        self._noun = noun
        self._known: tuple[str, str] | None = None
        self.connections: WeakSet[Any] = WeakSet()
        """Those of the application's that are known to lead here: asked once for each, not with every job."""

    def check(self, started: str, name: str) -> None:
        """Raise ConfigurationError unless the connection that gave this answer leads here."""
        if (started, name) == self._known:
            return
        self._known = self._ask()
        if (started, name) != self._known:
            raise ConfigurationError(
                f"the connection is to the database {name!r}, but {self._noun} lives in {self._known[1]!r} at "
                f"{self._store.address}, which is another one: one transaction cannot span two databases"
            )

    def _ask(self) -> tuple[str, str]:
        started, name, _ = self._store.look(QUESTION)[0]
        return str(started), str(name)
