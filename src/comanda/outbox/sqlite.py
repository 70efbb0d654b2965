"""An outbox in a SQLite file: the table `<namespace>_outbox` beside the application's own."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..brokers import doorbell
from ..brokers.factory import Opening
from ..brokers.options import options
from ..brokers.records import NewJob
from ..brokers.sqlite import library
from ..brokers.sqlite.checkpoint import Checkpointer, Helper
from ..brokers.sqlite.connection import Connection, retry_while_busy
from ..brokers.sqlite.store import Store
from ..brokers.sqlite.url import path_of
from ..brokers.sqlite.waiting import Waiting
from ..brokers.statements import Statement
from ..clock import Clock, SystemClock
from .base import Outbox, Refusal, Row, Status, encode

# `error`: why the broker refused the job; such a row is passed over until somebody makes it NULL or deletes it.
_TABLE = """
CREATE TABLE IF NOT EXISTS {ns}_outbox (
    n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, job BLOB NOT NULL, error TEXT
)"""
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE name = '{ns}_outbox'"
_INSERT = "INSERT INTO {ns}_outbox (id, at, job) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_STORED = "SELECT ?, changes()"
_TAKE = "SELECT id, job, ? - at FROM {ns}_outbox WHERE error IS NULL ORDER BY n LIMIT ?"
_SOUGHT = "SELECT 1 FROM {ns}_outbox WHERE id = ?"
_MOVED = "DELETE FROM {ns}_outbox WHERE id = ?"
_REFUSED = "UPDATE {ns}_outbox SET error = ? WHERE id = ?"
_WAITING = "SELECT count(*), coalesce(? - min(at), 0) FROM {ns}_outbox WHERE error IS NULL"
_ASIDE = "SELECT count(*) FROM {ns}_outbox WHERE error IS NOT NULL"
_REFUSALS = "SELECT id, error FROM {ns}_outbox WHERE error IS NOT NULL ORDER BY n LIMIT 5"

_TOPIC = "outbox"


def open_url(url: str, opening: Opening) -> SQLiteOutbox:
    """Return the outbox of a file; a supervisor uses apsw on it, as on any other (design section 6)."""
    options(url)
    scheme = url.partition("://")[0]
    name = library.APSW if opening.supervisor or scheme == "sqlite+apsw" else library.STANDARD
    return SQLiteOutbox(path_of(url), name, opening)


class SQLiteOutbox(Outbox):
    """One table of one file."""

    def __init__(self, path: Path, library_name: str, opening: Opening) -> None:
        self.path = path.absolute()
        self.library = library_name
        self.namespace = opening.namespace
        self.name = f"{opening.namespace}_outbox"
        self.address = f"sqlite:///{self.path}"
        self._clock: Clock = opening.clock or SystemClock()
        self._store = _OutboxStore(self.path, library_name, opening.namespace, self._clock, deadline=opening.deadline)
        self._directory = self.path.with_name(self.path.name + "-comanda")
        self._reset()

    def _reset(self) -> None:
        self._ringer = doorbell.Ringer(self._directory)
        self._waiting: Waiting | None = None
        self._checkpointer = Checkpointer(self.path, self.library)
        self._helper = Helper(self.path) if library.must_not_checkpoint(self.library) else None

    @property
    def is_open(self) -> bool:
        """True while this process has seen the file with the table. Takes no lock."""
        return self._store.is_open

    @property
    def tables(self) -> list[str]:
        """The statements that make the table where it does not exist."""
        return [self._store.text(_TABLE)]

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()
        self._ringer.close()
        if self._helper is not None:
            self._helper.close()
        self._store.close()

    def forget(self) -> None:
        if self._waiting is not None:
            self._waiting.abandon()
        self._ringer.close()
        self._store.forget()
        self._reset()

    def enqueue_statements(self, job: NewJob) -> list[Statement]:
        return [
            Statement(self._store.text(_INSERT), (job.id, self._clock.now(), encode(job))),
            Statement(_STORED, (job.id,)),
        ]

    def existing(self, ids: Sequence[bytes]) -> Collection[bytes]:
        with self._store.read() as session:
            return [id_ for id_ in ids if session.run(_SOUGHT, (id_,))]

    def ring(self) -> None:
        self._ringer.ring(_TOPIC)

    # -- relaying -----------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """All relays of a file are on one host, so a lock of the kernel's decides; it goes with its holder."""
        path = doorbell.make_private(self._directory) / f"{self.name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _is_locked(descriptor)
        finally:
            os.close(descriptor)

    def take(self, limit: int) -> list[Row]:
        with self._store.read() as session:
            return [Row(*row) for row in session.run(_TAKE, (self._clock.now(), limit))]

    def settle(self, moved: Collection[bytes], refused: Sequence[Refusal]) -> None:
        # Not durable: what a power cut brings back is moved again, which makes no second job.
        with self._store.write(durable=False) as session:
            session.many(_MOVED, [(id_,) for id_ in moved])
            session.many(_REFUSED, [(refusal.sentence, refusal.id) for refusal in refused])

    def wait(self, timeout: float) -> None:
        waiting = self._waiting
        if waiting is None:
            self.open()
            waiting = self._waiting = Waiting(self._directory, _TOPIC, self._data_version)
        waiting.wait(_TOPIC, timeout)

    def wake(self) -> None:
        if (waiting := self._waiting) is not None:
            waiting.wake()

    def maintain(self) -> None:
        if self._helper is None:
            self._checkpointer.run()
        else:
            self._helper.run()

    def status(self) -> Status:
        with self._store.read() as session:
            ((waiting, oldest),) = session.run(_WAITING, (self._clock.now(),))
            ((aside,),) = session.run(_ASIDE)
            return Status(waiting, oldest, aside, [Refusal(*row) for row in session.run(_REFUSALS)])

    def _data_version(self) -> int:
        with self._store.read() as session:
            return int(session.run("PRAGMA data_version")[0][0])


class _OutboxStore(Store):
    """A file that holds an outbox and, unless the application's queue is in it too, no other table of comanda's."""

    def _check_schema(self, connection: Connection) -> None:
        if not retry_while_busy(lambda: connection.execute(self.text(_HAS_TABLE)), self.deadline):
            retry_while_busy(lambda: connection.execute(self.text(_TABLE)), self.deadline)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
