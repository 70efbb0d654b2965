"""The PostgreSQL broker: the contract's verbs, each handed to the module that knows it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ...clock import SECOND, Clock
from .. import doorbell
from ..base import Broker, Capability, StartedOf
from ..completion import AsyncCompletion, Completion
from ..factory import hide_password
from ..records import (
    Beat,
    Demand,
    Enqueued,
    Exchanged,
    JobFilter,
    JobRecord,
    NewJob,
    Outcome,
    QueueRecord,
    Rescued,
    State,
    WorkerInfo,
    WorkerRecord,
)
from ..statements import Statement
from . import describe, enqueue, load, schema
from .completion import PostgresAsyncCompletion, PostgresCompletion
from .exchange import Exchange
from .housekeeping import Housekeeper
from .liveness import Liveness
from .names import Names
from .operate import Operator
from .place import Place
from .read import Reader
from .retention import Pruner
from .ringer import Ringer
from .store import Store
from .waiting import Waiting

_NEXT_DUE = """
SELECT (extract(epoch FROM due - {now}) * 1000000)::bigint FROM {ns}.scheduled ORDER BY due LIMIT 1
"""

DEADLINE = 5.0
"""Seconds until a use that gets no answer gives up, unless the opener says otherwise (R24)."""


class PostgresBroker(Broker):
    """Jobs in a schema of a PostgreSQL database, beside the application's own tables or alone.

    `deadline`: seconds after which a verb that gets no answer raises BrokerTimeout or BrokerUnavailable.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.DURABLE,
            Capability.CROSS_PROCESS,
            Capability.TRANSACTIONAL_ENQUEUE,
            Capability.TRANSACTIONAL_COMPLETION,
            Capability.ASYNC_COMPLETION,
        }
    )

    def __init__(
        self, url: str, *, namespace: str = "comanda", clock: Clock | None = None, deadline: float = DEADLINE
    ) -> None:
        self.address = hide_password(url)
        self.namespace = namespace
        self._clock = clock
        self._store = Store(url, self.address, namespace, clock, deadline)
        self._reset()

    def _reset(self) -> None:
        self.place = Place(self._store, "the queue")
        self._names = Names(self._store)
        self._exchange = Exchange(self._store, self._names)
        self._liveness = Liveness(self._store, self._names, self._clock)
        self._operator = Operator(self._store, self._names)
        self._reader = Reader(self._store, self._names)
        self._pruner = Pruner(self._store)
        self._housekeeper = Housekeeper(self._store)
        self._ringer = Ringer(self._store)
        self._waits: Waiting | None = None
        self._waits_lock = threading.Lock()

    # -- connection ---------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True while this process has seen the database with this version's schema."""
        return self._store.is_open

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._ringer.close()
        with self._waits_lock:
            waits, self._waits = self._waits, None
        if waits is not None:
            waits.close()
        self._store.close()

    def forget(self) -> None:
        if self._waits is not None:
            self._waits.abandon()
        self._store.forget()
        self._reset()

    def schema_status(self) -> tuple[int, int]:
        """Return the version of the database's tables, 0 without any, and the one this comanda wants."""
        return self._store.beside_schema(lambda connection: schema.status(connection, self.namespace))

    def migrate(self) -> list[int]:
        """Bring the tables up to date; return the numbers of the steps taken. Raises SchemaMismatch for newer ones."""
        return self._store.beside_schema(lambda connection: schema.migrate(connection, self.namespace, self.address))

    # -- producing ----------------------------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        answers = enqueue.store(self._store, self._names, jobs)
        if any(answer.created for answer in answers):
            self._ring("work")
        return answers

    def load(self, jobs: Sequence[JobRecord]) -> list[bool]:
        """Store jobs of another store as they are; say for each whether it is new here."""
        answers = load.load(self._store, self._names, jobs, self._store.micros()) if jobs else []
        self._ring_all()
        return answers

    def enqueue_statements(self, job: NewJob) -> list[Statement]:
        now = None if self._clock is None else self._clock.now()
        return enqueue.foreign_statements(self._store, self._names, job, now)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self._store.lend() as connection:
            yield connection
        self._ring("work")

    # -- working ------------------------------------------------------------------------------------------------

    def register(self, worker: WorkerInfo) -> int:
        self._waiting().prepare()
        return self._liveness.register(worker)

    def deregister(self, owner: int) -> None:
        self._liveness.end(owner, ())
        self._ring("work")

    def exchange(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        if not outcomes and not demand.limit:
            return Exchanged([], [])
        answer = self._exchange.run(owner, outcomes, demand)
        if outcomes:
            self._ring("change")
        return answer

    def completion(self) -> Completion:
        return PostgresCompletion(self._store, self._ring_all)  # the task may have enqueued on its connection

    def acompletion(self) -> AsyncCompletion:
        return PostgresAsyncCompletion(self._store, self._ring_all)

    def heartbeat(self, owners: Sequence[int]) -> Beat:
        return self._liveness.beat(owners)

    def release(self, owner: int, started: Collection[int] | None) -> int:
        jobs = self._liveness.end(owner, started)
        self._ring_all()
        return jobs or 0

    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        done = self._liveness.rescue(lease, started)
        if done.jobs or done.expired:
            self._ring_all()
        return done

    # -- operating ----------------------------------------------------------------------------------------------

    def cancel(self, which: JobFilter) -> list[bytes]:
        done = self._operator.cancel(which)
        self._ring_all()
        return done

    def retry(self, which: JobFilter) -> list[bytes]:
        done = self._operator.retry(which)
        self._ring_all()
        return done

    def reschedule(self, which: JobFilter, due: int) -> list[bytes]:
        done = self._operator.reschedule(which, due)
        self._ring_all()
        return done

    def delete(self, which: JobFilter) -> int:
        deleted = self._operator.delete(which)
        self._ring_all()
        return deleted

    def pause(self, queue: str) -> None:
        self._operator.pause(queue, paused=True)

    def resume(self, queue: str) -> None:
        self._operator.pause(queue, paused=False)
        self._ring("work")

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, ids: Sequence[bytes], *, attempts: bool = False) -> list[JobRecord | None]:
        return self._reader.get(ids, attempts=attempts)

    def find(
        self, which: JobFilter, *, limit: int = 100, after: bytes | None = None, oldest_first: bool = False
    ) -> list[JobRecord]:
        return self._reader.find(which, limit, after, oldest_first=oldest_first)

    def counts(self) -> dict[tuple[str, State], int]:
        return self._reader.counts()

    def queues(self) -> list[QueueRecord]:
        return self._reader.queues()

    def workers(self) -> list[WorkerRecord]:
        return self._liveness.workers()

    def states(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        return self._reader.states(ids)

    def existing(self, ids: Sequence[bytes]) -> list[bytes]:
        return self._reader.existing(ids)

    # -- keeping ------------------------------------------------------------------------------------------------

    def prune(self, *, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        return self._pruner.step(successful_before, ended_before, keep_at_most)

    def maintain(self) -> None:
        self._housekeeper.run()

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait_for_work(self, timeout: float) -> None:
        rows = self._store.look(_NEXT_DUE)
        if rows:
            timeout = min(timeout, max(0.0, rows[0][0] / SECOND))
        self._waiting().wait("work", timeout)

    def wait_for_change(self, timeout: float) -> None:
        self._waiting().wait("change", timeout)

    def wake(self) -> None:
        waits = self._waits
        if waits is not None:
            waits.wake()

    def ring(self) -> None:
        self._ring("work")

    def _ring_all(self) -> None:
        self._ring("work")
        self._ring("change")

    def _ring(self, topic: str) -> None:
        waits = self._waits
        if waits is not None:
            waits.heard(topic)
        self._ringer.ring(topic)

    def _waiting(self) -> Waiting:
        with self._waits_lock:
            if self._waits is None:
                self._waits = Waiting(self._store, self._own_number)
            return self._waits

    def _own_number(self) -> int | None:
        connection = self._store.aside.connection
        return None if connection is None else connection.backend_pid

    # -- about itself -------------------------------------------------------------------------------------------

    def runtime_directory(self) -> Path | None:
        name = hashlib.sha256(f"{self._store.identity()}/{self.namespace}".encode()).hexdigest()[:16]
        place = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return doorbell.make_private(Path(place) / f"comanda-{os.getuid()}-{name}")

    def describe(self) -> dict[str, str]:
        return {"store": self.address, **describe.describe(self._store)}
