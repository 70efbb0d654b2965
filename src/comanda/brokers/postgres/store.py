"""The server as one process sees it: few connections, and the rules of using them.

writing    the hot path, one statement or transaction at a time
reading    pages, results, counts
aside      names and wake-ups, which are committed at once while a transaction() is open on the first one

An error that breaks a connection starts a new generation: each side connects again before its next use (R5).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg

from ...clock import Clock
from ...errors import BrokerTimeout, BrokerUnavailable, ComandaError, ConfigurationError
from . import schema
from .connection import FREE_PLANNER, Connection, NoAnswer, Row
from .errors import breaks_the_connection, is_worth_another_try, translate
from .side import Side
from .statements import NOW, PRESENT
from .wire import Value, moment

T = TypeVar("T")

_IDENTITY = """
SELECT m.value::text || '/' || d.oid FROM {ns}.meta m, pg_database d
WHERE m.key = 'store' AND d.datname = current_database()
"""

_TRIES = 5
"""How often a transaction begins again that the server gave up for another one."""


class Session:
    """A connection in use, with `{ns}` and `{now}` in each statement replaced."""

    __slots__ = ("_connection", "_keep", "_now", "_text")

    def __init__(
        self, connection: Connection, text: Callable[[str], tuple[str, bool]], now: Value, *, keep: bool = True
    ) -> None:
        self._connection = connection
        self._text = text
        self._now = now
        self._keep = keep

    def run(self, template: str, *parameters: Value) -> list[Row]:
        """Run one statement and return its rows."""
        text, is_timed = self._text(template)
        return self._connection.run(text, (self._now, *parameters) if is_timed else parameters, keep=self._keep)


class Store:
    """One schema of one database. Thread-safe: uses of one side take turns.

    `deadline`: seconds until a use that gets no answer, or not its turn in this process, gives up (R24).
    """

    def __init__(self, conninfo: str, address: str, namespace: str, clock: Clock | None, deadline: float) -> None:
        self.address = address
        self.namespace = namespace
        self.deadline = deadline
        self.generation = 0
        self._conninfo = conninfo
        self._clock = clock
        self._is_current = False
        self.text = lru_cache(maxsize=None)(self._text_of)
        self._reset()
        _stores.add(self)

    def _reset(self) -> None:
        self.writing = Side(self._conninfo, self.deadline)
        self.reading = Side(self._conninfo, self.deadline)
        self.aside = Side(self._conninfo, self.deadline)

    def _text_of(self, template: str) -> tuple[str, bool]:
        """Return a statement as the server takes it, and whether its first parameter is the present."""
        return template.replace("{ns}", f'"{self.namespace}"').replace(NOW, PRESENT), NOW in template

    @property
    def sides(self) -> tuple[Side, ...]:
        """All connections."""
        return self.writing, self.reading, self.aside

    @property
    def is_open(self) -> bool:
        """True while this process has seen the server with this version's schema."""
        return self._is_current and self.writing.connection is not None and self.writing.generation == self.generation

    def now(self) -> Value:
        """Return the present as a parameter: NULL where the server's clock counts."""
        return None if self._clock is None else moment(self._clock.now())

    def open(self) -> None:
        """Connect and check the schema; make it where there is none."""
        with self._use(self.writing):
            self._connect(self.writing)

    def connect(self) -> Connection:
        """Return a connection of the caller's own, with comanda's errors."""
        self.open()
        try:
            return Connection(self._conninfo, self.deadline)
        except (psycopg.Error, OSError, NoAnswer) as error:
            raise self._translated(error) from error

    def identity(self) -> str:
        """Return what tells this store from all others: a number drawn with its tables, and the database's own."""
        return str(self.look(_IDENTITY)[0][0])

    def beside_schema(self, body: Callable[[Connection], T]) -> T:
        """Run `body` on a connection whose schema is not checked."""
        with self._use(self.aside):
            return body(self.aside.open(self.generation))

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        for side in self.sides:
            with side.lock:
                side.close()

    def forget(self) -> None:
        """After a fork, in the child: leave inherited connections alone, for ever (R23)."""
        orphans.extend(side.connection for side in self.sides if side.connection is not None)
        self._reset()

    # -- using --------------------------------------------------------------------------------------------------

    def run(self, template: str, *parameters: Value) -> list[Row]:
        """Run one writing statement, which is a transaction of its own."""
        return self._again(lambda: self._single(self.writing, template, parameters))

    def run_aside(self, template: str, *parameters: Value) -> list[Row]:
        """The same beside a transaction that may be open on the first connection."""
        return self._again(lambda: self._single(self.aside, template, parameters))

    def script(self, template: str) -> None:
        """Run a statement that must stand outside a transaction and answers nothing."""
        with self._use(self.aside):
            self._connect(self.aside).script(self.text(template)[0])

    def look(self, template: str, *parameters: Value) -> list[Row]:
        """Run one reading statement."""
        with self._use(self.reading):
            connection = self._connect(self.reading)
            return Session(connection, self.text, self.now()).run(template, *parameters)

    def transact(self, body: Callable[[Session], T], *, durable: bool = True) -> T:
        """Run `body` in a transaction and commit it. `body` may run several times, when the server gives it up.

        Not `durable`: the commit does not wait for the disk (claims and heartbeats only).
        """
        return self._again(lambda: self._transact(body, durable))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read transaction: all its statements see one moment, and are planned freely, each for this once."""
        with self._use(self.reading):
            connection = self._connect(self.reading)
            connection.script(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {FREE_PLANNER}")
            try:
                yield Session(connection, self.text, self.now(), keep=False)
            finally:
                _roll_back(connection)

    @contextmanager
    def lend(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the driver's connection inside a transaction, for the application's own data."""
        with self._use(self.writing):
            raw = self._connect(self.writing).raw
            self.writing.busy = True
            raised: Exception | None = None
            try:
                with raw.transaction():
                    raw.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
                    try:
                        yield raw
                    except Exception as error:  # noqa: BLE001 - the application's own: it passes untranslated
                        raised = error
                        raise psycopg.Rollback from None
                    self.writing.committing = True
            finally:
                self.writing.busy = False
        if raised is not None:
            raise raised

    def _single(self, side: Side, template: str, parameters: Sequence[Value]) -> list[Row]:
        with self._use(side):
            self._refuse_nesting(side)
            connection = self._connect(side)
            side.committing = True
            return Session(connection, self.text, self.now()).run(template, *parameters)

    def _transact(self, body: Callable[[Session], T], durable: bool) -> T:
        side = self.writing
        with self._use(side):
            self._refuse_nesting(side)
            connection = self._connect(side)
            connection.script("BEGIN" if durable else "BEGIN; SET LOCAL synchronous_commit = off")
            try:
                answer = body(Session(connection, self.text, self.now()))
                side.committing = True
                connection.script("COMMIT")
            except BaseException as error:
                if not side.committing and (isinstance(error, ComandaError) or not breaks_the_connection(error)):
                    _roll_back(connection)
                raise
            return answer

    def _again(self, step: Callable[[], T]) -> T:
        for _ in range(_TRIES - 1):
            try:
                return step()
            except BrokerTimeout as error:
                if error.__cause__ is None or not is_worth_another_try(error.__cause__):
                    raise
        return step()

    def _connect(self, side: Side) -> Connection:
        connection = side.open(self.generation)
        if not self._is_current:
            schema.check(connection, self.namespace, self.address)
            self._is_current = True
        return connection

    def _refuse_nesting(self, side: Side) -> None:
        if side.busy:
            raise ConfigurationError(
                f"this thread has an open transaction() on {self.address}: hand its connection in, "
                "using(connection=…), or call after it has ended"
            )

    @contextmanager
    def _use(self, side: Side) -> Iterator[None]:
        """Wait for the turn of this thread, and give the driver's errors comanda's names."""
        if not side.lock.acquire(timeout=self.deadline):
            raise BrokerTimeout(
                f"the connection to {self.address} was in use by another thread of this process for "
                f"{self.deadline:g} s; nothing was written. Keep the body of transaction() short"
            )
        try:
            yield
        except ComandaError:
            raise
        except (psycopg.Error, OSError, NoAnswer) as error:
            raise self._translated(error, side) from error
        except BaseException:
            side.close()  # interrupted between a question and its answer: nobody knows which answer comes next
            raise
        finally:
            side.committing = False
            side.lock.release()

    def _translated(self, error: BaseException, side: Side | None = None) -> ComandaError:
        translated = translate(error, self.address, self.deadline)
        if breaks_the_connection(error):
            self.generation += 1
            if isinstance(error, NoAnswer):
                translated = BrokerUnavailable(f"PostgreSQL at {self.address} did not answer for {self.deadline:g} s")
            if isinstance(translated, BrokerUnavailable) and side is not None:
                translated.may_have_written = side.committing
        if not isinstance(translated, BrokerTimeout | BrokerUnavailable):
            self._is_current = False
        return translated


orphans: list[object] = []
"""Connections inherited through a fork, kept alive so that nothing closes them: that would end the parent's."""

_stores: WeakSet[Store] = WeakSet()


def _roll_back(connection: Connection) -> None:
    try:
        connection.script("ROLLBACK")
    except (psycopg.Error, OSError, NoAnswer):
        connection.close()  # the next use opens another one


def _after_in_child() -> None:
    for store in list(_stores):
        store.forget()


os.register_at_fork(after_in_child=_after_in_child)
