"""The server as one process sees it: one connection that writes, one that reads, and the rules of using them.

Any error of a connection starts a new generation: each side connects anew before its next use (R5). What cannot have
reached the server is repeated within the deadline; a write whose reply is lost is reported as such, never repeated.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

from redis.exceptions import RedisError

from ...clock import Clock, Micros, SystemClock
from ...errors import BrokerTimeout, SchemaMismatch
from ...shield import ShieldedLock
from . import preflight
from .connection import Argument, Connection
from .preflight import Server
from .replies import ServerError, translate
from .scripts import Script, script

__all__ = ["Argument", "Store"]

T = TypeVar("T")

DEADLINE = 5.0
"""Seconds until a use of the server gives up, unless the store says otherwise (R24)."""

SCHEMA_VERSION = 1
OLDEST_CLIENT = 1

_REDIRECTIONS = 3
"""Times that a connection follows its slot from node to node of a cluster."""


class Side:
    """The writing or the reading connection, its lock, and the generation in which it was made."""

    def __init__(self) -> None:
        self.lock = ShieldedLock(threading.Lock())
        self.connection: Connection | None = None
        self.generation = -1

    def close(self) -> None:
        """Close the connection if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class Store:
    """One namespace of a server. Thread-safe: writes take turns, and so do reads.

    `settings` are redis-py's for a connection, `where` is the server's address as it may be shown. `clock` None: the
    server's. `deadline` in seconds. `strict`: refuse a server that may lose what it has confirmed.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        where: str,
        namespace: str,
        *,
        clock: Clock | None = None,
        deadline: float = DEADLINE,
        strict: bool = False,
    ) -> None:
        self.where = where
        self.namespace = namespace
        self.deadline = deadline
        self.prefix = f"{{{namespace}}}:"
        self._key = f"{self.prefix}meta"
        self.generation = 0
        self._settings = settings
        self._redirected: dict[str, Any] = {}
        self._clock = clock
        self._strict = strict
        self._server: Server | None = None
        self._id = ""
        self._reset()
        _stores.add(self)

    def _reset(self) -> None:
        self._writing, self._reading = Side(), Side()

    # -- time ---------------------------------------------------------------------------------------------------

    def now(self) -> Argument:
        """Return the time as the scripts take it: the clock's, or '' for the server's own (R36)."""
        return "" if self._clock is None else self._clock.now()

    def micros(self) -> Micros:
        """Return the present by this host's clock, where a microsecond more or less is nobody's business."""
        return (self._clock or SystemClock()).now()

    def monotonic(self) -> float:
        """Return seconds on a clock that nobody can step."""
        return time.monotonic() if self._clock is None else self._clock.monotonic()

    # -- use ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect and look at the server; raises ConfigurationError, SchemaMismatch or BrokerError."""
        with self._use(self._writing, time.monotonic() + self.deadline):
            pass

    def schema(self) -> tuple[int, int | None]:
        """Return the namespace's schema version, 0 without any, and the oldest client it lets in; changes nothing."""
        until = time.monotonic() + self.deadline
        command = (b"HMGET", self._key, "schema", "oldest_client")
        try:
            connection, found = self._introduced(until, lambda made: made.call(until, *command))
        except (ServerError, OSError, RedisError) as error:
            raise translate(error, self.where, self.deadline, may_have_written=False) from error
        connection.close()
        version, oldest = found
        return int(version or 0), None if oldest is None else int(oldest)

    @property
    def server(self) -> Server:
        """What the last look at the server found."""
        if self._server is None:
            self.open()
        assert self._server is not None  # noqa: S101 - open() has set it or raised
        return self._server

    @property
    def id(self) -> str:
        """The store's own name, made when the namespace was: the same however its address is spelt."""
        if not self._id:
            self.open()
        return self._id

    def close(self) -> None:
        """Close both connections; the next use connects again."""
        for side in (self._writing, self._reading):
            with side.lock:
                side.close()

    def forget(self) -> None:
        """After a fork, in the child: leave inherited connections alone, for ever (R23)."""
        sides = (self._writing, self._reading)
        _orphans.extend(side.connection for side in sides if side.connection is not None)
        self._reset()

    def write(self, verb: str, arguments: Sequence[Argument]) -> Any:
        """Run a script that writes; return its answer."""
        return self._run(self._writing, verb, arguments, writes=True)

    def read(self, verb: str, arguments: Sequence[Argument]) -> Any:
        """Run a script that only reads; return its answer."""
        return self._run(self._reading, verb, arguments, writes=False)

    def _run(self, side: Side, verb: str, arguments: Sequence[Argument], *, writes: bool) -> Any:
        until = time.monotonic() + self.deadline
        with self._use(side, until, writes=writes) as connection:
            return self._evaluate(connection, until, script(verb), arguments)

    def write_all(self, verb: str, batches: Iterable[Sequence[Argument]]) -> Iterator[tuple[int, Any]]:
        """Run a script for each batch of arguments; yield the position of a batch and its answer.

        One is prepared, and an answer is used, while the server works on another. Each batch is a write of its own.
        """
        until = time.monotonic() + self.deadline
        wanted = script(verb)
        with self._use(self._writing, until, writes=True) as connection:
            sent = []
            for arguments in batches:
                connection.send(until, b"EVALSHA", wanted.sha, 1, self._key, *arguments)
                sent.append(arguments)
            missed = []
            for index in range(len(sent)):
                try:
                    answer = connection.read(until)
                except ServerError as error:
                    if error.code != "NOSCRIPT":
                        raise
                    missed.append(index)
                else:
                    yield index, answer
            for index in missed:
                yield index, self._evaluate(connection, until, wanted, sent[index])

    def _evaluate(self, connection: Connection, until: float, wanted: Script, arguments: Sequence[Argument]) -> Any:
        try:
            return connection.call(until, b"EVALSHA", wanted.sha, 1, self._key, *arguments)
        except ServerError as error:
            if error.code != "NOSCRIPT":
                raise
        return connection.call(until, b"EVAL", wanted.text, 1, self._key, *arguments)

    # -- connections --------------------------------------------------------------------------------------------

    @contextmanager
    def _use(self, side: Side, until: float, *, writes: bool = False) -> Iterator[Connection]:
        """Wait for the turn of this thread, and give errors comanda's names. What has failed is dropped whole."""
        if not side.lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise BrokerTimeout(
                f"the connection to {self.where} was in use by other threads of this process for {self.deadline:g} s; "
                "nothing was written"
            )
        try:
            yield self._connected(side, until)
        except ServerError as error:
            if error.code in _LASTING or (side.connection is not None and side.connection.awaited):
                self._drop(side)
            raise translate(error, self.where, self.deadline, may_have_written=False) from error
        except (OSError, RedisError) as error:
            sent = side.connection is not None and side.connection.awaited > 0
            self._drop(side)
            raise translate(error, self.where, self.deadline, may_have_written=writes and sent) from error
        except BaseException:
            if side.connection is not None and side.connection.awaited:  # a reply would be taken for a later one's
                self._drop(side)
            raise
        finally:
            side.lock.release()

    def _drop(self, side: Side) -> None:
        side.close()
        self.generation += 1
        self._redirected = {}

    def _connected(self, side: Side, until: float) -> Connection:
        """Return the side's connection, made anew when it belongs to an older generation or its server has gone."""
        if side.connection is not None and side.generation == self.generation and side.connection.is_idle:
            return side.connection
        side.close()
        side.generation = self.generation
        side.connection, _ = self._introduced(until, lambda connection: self._greet(connection, until))
        return side.connection

    def _introduced(self, until: float, first: Callable[[Connection], T]) -> tuple[Connection, T]:
        """Return a new connection to the node that holds the namespace, and the answer to the first use of it."""
        for _ in range(_REDIRECTIONS):
            connection = self.connect(until)
            try:
                return connection, first(connection)
            except ServerError as error:
                connection.close()
                if error.moved_to is None:
                    raise
                self._redirected = error.moved_to
            except BaseException:
                connection.close()
                raise
        raise ServerError("TRYAGAIN")

    def connect(self, until: float) -> Connection:
        """Return a new connection of its own; raises OSError, TimeoutError, ServerError or RedisError."""
        return Connection(self._settings | self._redirected, until)

    def _greet(self, connection: Connection, until: float) -> None:
        """Look at the server and at the namespace's schema before the first use of a connection."""
        server = preflight.look(connection, until)
        preflight.check(server, self.where, strict=self._strict)
        arguments = (SCHEMA_VERSION, OLDEST_CLIENT, secrets.token_hex(8))
        schema, oldest, own_id = self._evaluate(connection, until, script("open"), arguments)
        if int(oldest) > SCHEMA_VERSION:
            raise SchemaMismatch(
                f"the namespace {self.namespace!r} on {self.where} has schema {int(schema)} and asks for a comanda "
                f"that knows schema {int(oldest)} or newer; this one knows {SCHEMA_VERSION}: upgrade comanda"
            )
        self._server, self._id = server, own_id.decode()


_LASTING = frozenset({"MOVED", "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"})
"""Refusals after which another server may be the right one: the next use connects anew."""

_stores: WeakSet[Store] = WeakSet()
_orphans: list[Connection] = []
"""Connections inherited through a fork, kept so that nothing closes them: TLS would say good-bye for the parent."""


def _after_fork() -> None:
    for store in list(_stores):
        store.forget()


os.register_at_fork(after_in_child=_after_fork)
