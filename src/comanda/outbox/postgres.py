"""An outbox in a PostgreSQL database: the table `<namespace>.outbox`, in the schema that is the namespace."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..brokers.factory import Opening, hide_password
from ..brokers.postgres.connection import Connection
from ..brokers.postgres.place import Place
from ..brokers.postgres.ringer import Ringer
from ..brokers.postgres.side import Side
from ..brokers.postgres.store import Session, Store
from ..brokers.postgres.waiting import Waiting
from ..brokers.postgres.wire import int8, text, texts, uuids
from ..brokers.records import NewJob
from ..brokers.statements import Statement
from ..errors import ConfigurationError
from .base import Outbox, Refusal, Row, Status, encode

# `error`: why the broker refused the job; such a row is passed over until somebody makes it NULL or deletes it.
_TABLE = """
CREATE TABLE {ns}.outbox (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    id uuid NOT NULL UNIQUE,
    job bytea NOT NULL,
    error text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
"""
_HAS_SCHEMA = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text"
_HAS_TABLE = """
SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
WHERE s.nspname = $1::text AND c.relname = 'outbox'
"""
# The same lock as for the tables of a queue in this schema.
_LOCK = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('comanda schema ' || $1::text, 0))"
_TURN = "SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('comanda outbox ' || $1::text, 0))"

_INSERT = """
WITH stored AS (
    INSERT INTO {ns}.outbox (id, job) VALUES (encode(%s::bytea, 'hex')::uuid, %s::bytea)
    ON CONFLICT (id) DO NOTHING RETURNING 1
)
SELECT %s::bytea AS id, EXISTS (SELECT FROM stored) AS created
"""
_TAKE = """
SELECT id, job, (extract(epoch FROM clock_timestamp() - at) * 1000000)::bigint
FROM {ns}.outbox WHERE error IS NULL ORDER BY n LIMIT $1::bigint
"""
_SOUGHT = "SELECT id FROM {ns}.outbox WHERE id = ANY ($1::uuid[])"
_MOVED = "DELETE FROM {ns}.outbox WHERE id = ANY ($1::uuid[])"
_REFUSED = """
UPDATE {ns}.outbox o SET error = g.error FROM unnest($1::uuid[], $2::text[]) AS g(id, error) WHERE o.id = g.id
"""
_STATUS = """
SELECT count(*) FILTER (WHERE error IS NULL), count(*) FILTER (WHERE error IS NOT NULL),
       coalesce((extract(epoch FROM clock_timestamp() - min(at) FILTER (WHERE error IS NULL)) * 1000000)::bigint, 0)
FROM {ns}.outbox
"""
_REFUSALS = "SELECT id, error FROM {ns}.outbox WHERE error IS NOT NULL ORDER BY n LIMIT 5"

_TOPIC = "work"
"""The wake-up of relays: where the outbox is, there is usually no queue whose workers it could disturb."""


def open_url(url: str, opening: Opening) -> PostgresOutbox:
    """Return the outbox of a database; raise ConfigurationError for a URL that libpq does not understand."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigurationError(f"outbox={hide_password(url)!r} is no URL of a PostgreSQL database") from None
    return PostgresOutbox(url, opening)


class PostgresOutbox(Outbox):
    """One table of one database."""

    def __init__(self, url: str, opening: Opening) -> None:
        self.address = hide_password(url)
        self.name = f"{opening.namespace}.outbox"
        self._store = _OutboxStore(url, self.address, opening.namespace, None, opening.deadline)
        self._reset()

    def _reset(self) -> None:
        self.place = Place(self._store, "the outbox")
        self._ringer = Ringer(self._store)
        self._waits: Waiting | None = None

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._ringer.close()
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.close()
        self._store.close()

    def forget(self) -> None:
        if self._waits is not None:
            self._waits.abandon()
        self._store.forget()
        self._reset()

    def enqueue_statements(self, job: NewJob) -> list[Statement]:
        if not self._store.is_open:
            self._store.open()
        return [Statement(self._store.text(_INSERT)[0], (job.id, encode(job), job.id))]

    def existing(self, ids: Sequence[bytes]) -> Collection[bytes]:
        return [id_ for (id_,) in self._store.look(_SOUGHT, uuids(ids))]

    def ring(self) -> None:
        if (waits := self._waits) is not None:
            waits.heard(_TOPIC)
        self._ringer.ring(_TOPIC)

    # -- relaying -----------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """A lock of the transaction's decides, so that it works behind a pooler too.

        The server ends one that is idle for longer than the deadline: a frozen relay holds up the others no longer.
        """
        with self._store.turn() as mine:
            yield mine

    def take(self, limit: int) -> list[Row]:
        return [Row(*row) for row in self._store.look(_TAKE, int8(limit))]

    def settle(self, moved: Collection[bytes], refused: Sequence[Refusal]) -> None:
        def body(session: Session) -> None:
            if moved:
                session.run(_MOVED, uuids(list(moved)))
            if refused:
                # PostgreSQL's text takes no NUL.
                sentences = texts([refusal.sentence.replace("\0", "") for refusal in refused])
                session.run(_REFUSED, uuids([refusal.id for refusal in refused]), sentences)

        # Not durable: what a crash of the server brings back is moved again, which makes no second job.
        self._store.transact(body, durable=False)

    def wait(self, timeout: float) -> None:
        waits = self._waits
        if waits is None:
            waits = self._waits = Waiting(self._store, self._own_number)
        waits.wait(_TOPIC, timeout)

    def wake(self) -> None:
        if (waits := self._waits) is not None:
            waits.wake()

    def maintain(self) -> None:
        """Nothing: the server vacuums by itself."""

    def status(self) -> Status:
        with self._store.read() as session:
            ((waiting, aside, oldest),) = session.run(_STATUS)
            return Status(waiting, oldest, aside, [Refusal(*row) for row in session.run(_REFUSALS)])

    def _own_number(self) -> int | None:
        connection = self._store.aside.connection
        return None if connection is None else connection.backend_pid


class _OutboxStore(Store):
    """A database with an outbox, and a connection more for the turns of a relay."""

    def _reset(self) -> None:
        super()._reset()
        self._turning = Side(self._conninfo, self.deadline)

    @property
    def sides(self) -> tuple[Side, ...]:
        return (*super().sides, self._turning)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yield whether no other process has the turn; the lock is held during the body."""
        with self._use(self._turning):
            connection = self._connect(self._turning)
            connection.script("BEGIN")
            ((mine,),) = connection.run(_TURN, (text(self.namespace),))
        try:
            yield bool(mine)
        finally:
            with self._turning.lock:
                connection = self._turning.connection or connection
                try:
                    connection.script("ROLLBACK")
                except Exception:  # noqa: BLE001 - the server has ended it: the next turn connects again
                    self._turning.close()

    def _connect(self, side: Side) -> Connection:
        connection = side.open(self.generation)
        if not self._is_current:
            if not connection.run(_HAS_TABLE, (text(self.namespace),)):
                self._make_table(connection)
            self._is_current = True
        return connection

    def _make_table(self, connection: Connection) -> None:
        connection.script("BEGIN")
        try:
            connection.run(_LOCK, (text(self.namespace),))
            if not connection.run(_HAS_SCHEMA, (text(self.namespace),)):
                connection.script(f'CREATE SCHEMA "{self.namespace}"')
            if not connection.run(_HAS_TABLE, (text(self.namespace),)):
                connection.script(self.text(_TABLE)[0])
            connection.script("COMMIT")
        except BaseException:
            connection.script("ROLLBACK")
            raise
