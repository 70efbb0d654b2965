"""Transactional completion in the queue's own file.

A connection for each transaction: what a task sets on it (a row factory, a temporary table) ends with it, and it costs
less than the commit. It takes SQLite's write lock, for which everybody else waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import ConfigurationError
from ...shield import shield
from ..completion import Completion
from ..records import Outcome
from . import exchange, library
from .connection import Connection, code_of, retry_while_busy
from .counts import Moves
from .names import Names
from .session import Session
from .store import Store, roll_back

_CONSTRAINT = 19


class SQLiteCompletion(Completion):
    """`on_commit` is called after each commit."""

    def __init__(self, store: Store, on_commit: Callable[[], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._side = store.another_side()
        self._begun = False

    @property
    def is_begun(self) -> bool:
        return self._begun

    def begin(self) -> Any:
        with shield(), self._errors():
            if not self._begun:
                if not self._store.is_open:
                    self._store.open()
                connection = self._side.open(self._store.generation)
                retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"), self._store.deadline)
                self._begun = self._side.busy = True
        return self._opened().raw

    def complete(self, owner: int, outcome: Outcome) -> bool:
        with self._errors():
            connection = self._opened()
            if not connection.raw.in_transaction:
                raise ConfigurationError(
                    f"{outcome.job.task} committed or rolled back the transaction of current_job().connection: leave "
                    "that to the worker, which does it when the function returns or raises"
                )
            if not self._write(connection, owner, outcome):
                self.roll_back()
                return False
            self._side.committing = True
            connection.execute("COMMIT")
        self._end()
        self._on_commit()
        return True

    def roll_back(self) -> None:
        connection = self._side.connection
        if connection is not None and self._begun:
            try:
                roll_back(connection)
            finally:
                self._end()

    def close(self) -> None:
        self.roll_back()
        self._end()

    def _write(self, connection: Connection, owner: int, outcome: Outcome) -> bool:
        if self._store.library == library.STANDARD:  # the task may have made anything of rows and texts
            connection.raw.row_factory, connection.raw.text_factory = None, str
        session = Session(connection, self._store.text)
        moves = Moves(session)
        if exchange.settle(session, owner, [outcome], Names(), moves, self._store.clock.now()):
            return False
        moves.write(session)
        return True

    def _opened(self) -> Connection:
        connection = self._side.connection
        if connection is None:
            raise ConfigurationError("the connection of a transactional task is gone: this process was forked in it")
        return connection

    def _end(self) -> None:
        self._begun = self._side.busy = self._side.committing = False
        self._side.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Give an error of the library comanda's name, and drop the connection on which it happened (R5)."""
        with self._side.lock:
            try:
                yield
            except Exception as error:
                if code_of(error) in (None, _CONSTRAINT) and not isinstance(error, OSError):
                    raise  # a constraint that fails at the commit is the application's own
                translated = self._store.translated(error, self._side)
                self._end()
                raise translated from error
