"""A connection in use: how statements are run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .connection import Connection, Row, retry_while_busy


class Session:
    """A connection in use, with `{ns}` in each statement replaced by the namespace."""

    __slots__ = ("_connection", "_text", "is_abandoned")

    def __init__(self, connection: Connection, text: Callable[[str], str]) -> None:
        self._connection = connection
        self._text = text
        self.is_abandoned = False

    @property
    def raw(self) -> Any:
        """The library's own connection."""
        return self._connection.raw

    def run(self, template: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return its rows."""
        return self._connection.execute(self._text(template), parameters)

    def many(self, template: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each of `rows`; return how many rows changed."""
        return self._connection.many(self._text(template), rows)

    def changed(self) -> int:
        """Return how many rows the last statement changed."""
        return self._connection.changes()

    def abandon(self) -> None:
        """Undo everything at the end of the transaction instead of committing it."""
        self.is_abandoned = True


class PatientSession(Session):
    """Outside a write transaction: waits while another process recovers the log after a crash."""

    __slots__ = ("_deadline",)

    def __init__(self, connection: Connection, text: Callable[[str], str], deadline: float) -> None:
        super().__init__(connection, text)
        self._deadline = deadline

    def run(self, template: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return retry_while_busy(lambda: Session.run(self, template, parameters), self._deadline)
