"""The SQLite broker: the contract's verbs, each handed to the module that knows it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from ...clock import SECOND, Clock, SystemClock
from ...errors import BrokerError
from .. import doorbell
from ..base import Broker, Capability, StartedOf
from ..completion import Completion
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
from ..rotation import Rotation
from ..statements import Statement
from . import backup, enqueue, exchange, library, load, operate, read, schema, space
from .backup import Numbers
from .checkpoint import Checkpointer, Helper
from .completion import SQLiteCompletion
from .connection import DEADLINE
from .counts import TAIL, Moves, catch_up
from .liveness import Liveness
from .names import Names
from .retention import Pruner
from .session import Session
from .store import Store
from .waiting import Waiting

_NEXT_DUE = "SELECT min(due) FROM {ns}_jobs WHERE state = 0"

_HELPER_EVERY = 1_000
"""Durable writes between two looks at the log's size."""


class SQLiteBroker(Broker):
    """Jobs in a SQLite file, alone or beside the application's own tables.

    `deadline`: seconds after which a verb that cannot get the file raises BrokerTimeout.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.DURABLE,
            Capability.CROSS_PROCESS,
            Capability.TRANSACTIONAL_ENQUEUE,
            Capability.TRANSACTIONAL_COMPLETION,
            Capability.BACKUP,
        }
    )

    def __init__(
        self,
        path: str | Path,
        *,
        library_name: str = library.STANDARD,
        namespace: str = "comanda",
        clock: Clock | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self.path = Path(path).absolute()
        self.library = library_name
        self.namespace = namespace
        self._clock = clock or SystemClock()
        self._store = Store(self.path, library_name, namespace, self._clock, deadline=deadline)
        self._directory = self.path.with_name(self.path.name + "-comanda")
        self._reset()

    def _reset(self) -> None:
        self._names = Names()
        self._rotation = Rotation()
        self._liveness = Liveness(self._store, self._names, self._clock)
        self._pruner = Pruner(self._store)
        self._checkpointer = Checkpointer(self.path, self.library)
        self._helper = Helper(self.path) if library.must_not_checkpoint(self.library) else None
        self._writes = 0
        self._uncounted = 0
        self._ringer = doorbell.Ringer(self._directory)
        self._waits: dict[str, Waiting] = {}
        self._waits_lock = threading.Lock()

    # -- connection ---------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True while this process has seen the file with this version's schema. Takes no lock."""
        return self._store.is_open

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        with self._waits_lock:
            while self._waits:
                self._waits.popitem()[1].close()
        self._ringer.close()
        if self._helper is not None:
            self._helper.close()
        self._store.close()

    def forget(self) -> None:
        for waits in self._waits.values():
            waits.abandon()
        self._ringer.close()
        self._store.forget()
        self._reset()

    @contextmanager
    def _write(self, *, durable: bool = True) -> Iterator[Session]:
        try:
            with self._store.write(durable=durable) as session:
                yield session
        except BaseException:
            self._names.forget()
            raise
        self._look_after_log()

    def _look_after_log(self) -> None:
        self._writes += 1
        if self._helper is not None and self._writes % _HELPER_EVERY == 0:
            self._helper.run()

    # -- producing ----------------------------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        now = self._clock.now()
        answers = None
        if 0 < len(jobs) <= enqueue.FEW and self._uncounted < TAIL:
            answers = self._store.alone(enqueue.store_few, self._store.text, self._names, jobs, now)
        if answers is not None:
            self._uncounted += len(jobs)
            self._look_after_log()
        else:  # they need a transaction, or it is time to count
            with self._write() as session:
                answers = enqueue.store(session, self._names, jobs, now)
            self._uncounted = 0
        self._ringer.ring("work")
        return answers

    def enqueue_statements(self, job: NewJob) -> list[Statement]:
        return enqueue.foreign_statements(self._store.text, job, self._clock.now())

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        raised: Exception | None = None
        with self._write() as session:
            try:
                yield session.raw
            except Exception as error:  # noqa: BLE001 - the application's own: it passes as it is, untranslated
                session.abandon()
                raised = error
        if raised is not None:
            raise raised
        self._ringer.ring("work")

    # -- working ------------------------------------------------------------------------------------------------

    def register(self, worker: WorkerInfo) -> int:
        self._waiting("work")
        return self._liveness.register(worker)

    def deregister(self, owner: int) -> None:
        self._liveness.end(owner, ())
        self._ringer.ring("work")

    def exchange(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        now = self._clock.now()
        if not outcomes:
            with self._store.peek() as session:
                if not demand.limit or not exchange.has_work(session, now):
                    return Exchanged([], [])
        with self._write(durable=bool(outcomes)) as session:
            moves = Moves(session)
            refused = exchange.settle(session, owner, outcomes, self._names, moves, now)
            claimed = []
            if demand.limit:
                exchange.promote(session, moves, now)
                claimed = exchange.Claim(session, owner, self._names, moves, now).take(demand, self._rotation)
            moves.write(session)
        if outcomes:
            self._ringer.ring("change")
        return Exchanged(refused, claimed)

    def completion(self) -> Completion:
        return SQLiteCompletion(self._store, self._after_completion)

    def _after_completion(self) -> None:
        self._look_after_log()
        self._ring_all()  # the task may have enqueued on its connection

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
        done = operate.cancel(self._store, which)
        self._ring_all()
        return done

    def retry(self, which: JobFilter) -> list[bytes]:
        done = operate.retry(self._store, which)
        self._ring_all()
        return done

    def reschedule(self, which: JobFilter, due: int) -> list[bytes]:
        done = operate.reschedule(self._store, which, due)
        self._ring_all()
        return done

    def delete(self, which: JobFilter) -> int:
        deleted = operate.delete(self._store, which)
        self._ring_all()
        return deleted

    def pause(self, queue: str) -> None:
        operate.pause(self._store, queue, paused=True)

    def resume(self, queue: str) -> None:
        operate.pause(self._store, queue, paused=False)
        self._ringer.ring("work")

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, ids: Sequence[bytes], *, attempts: bool = False) -> list[JobRecord | None]:
        with self._store.read() as session:
            return read.get(session, self._names, ids, attempts=attempts)

    def find(
        self, which: JobFilter, *, limit: int = 100, after: bytes | None = None, oldest_first: bool = False
    ) -> list[JobRecord]:
        with self._store.read() as session:
            return read.find(session, self._names, which, limit, after, oldest_first=oldest_first)

    def counts(self) -> dict[tuple[str, State], int]:
        with self._store.read() as session:
            return read.counts(session)

    def queues(self) -> list[QueueRecord]:
        with self._store.read() as session:
            return read.queues(session)

    def workers(self) -> list[WorkerRecord]:
        return self._liveness.workers()

    def states(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        with self._store.read() as session:
            return read.states(session, ids)

    # -- keeping ------------------------------------------------------------------------------------------------

    def prune(self, *, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        return self._pruner.step(successful_before, ended_before, keep_at_most)

    def maintain(self) -> None:
        if self._helper is None:
            given = space.give_back(self._store)
            self._checkpointer.run(at_once=given > 0)  # only this cuts the file
        else:
            self._helper.run()

    # -- moving -------------------------------------------------------------------------------------------------

    def load(self, jobs: Sequence[JobRecord]) -> list[bool]:
        with self._write() as session:
            stored = load.load(session, self._names, jobs, self._clock.now())
        self._ring_all()
        return stored

    def backup(self, path: Path) -> None:
        self.open()
        backup.write(self._store, path)

    def restore(self, path: Path) -> None:
        self.close()
        backup.put_back(self._store, path, self._end_the_past)
        self._reset()  # what this process remembered of names and workers was the old contents'

    def _end_the_past(self, copy: Path, given: Numbers) -> None:
        """Bring a copy up to date and end the workers that lived when it was made; their jobs go back uncharged."""
        past = SQLiteBroker(copy, library_name=self.library, namespace=self.namespace, clock=self._clock)
        try:
            for worker in past.workers():
                if worker.ended_at is None:
                    past.deregister(worker.owner)
            with past._write() as session:
                backup.never_give_again(session, given)
        finally:
            past.close()

    # -- schema -------------------------------------------------------------------------------------------------

    def schema_status(self) -> tuple[int, int]:
        return self._store.versions()[0], schema.SCHEMA_VERSION

    def oldest_client(self) -> int | None:
        return self._store.versions()[1] or None

    def migrate(self) -> list[int]:
        found, wanted = self.schema_status()
        self.open()
        return list(range(found + 1, wanted + 1))

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait_for_work(self, timeout: float) -> None:
        with self._store.peek() as session:
            due = session.run(_NEXT_DUE)[0][0]
        if due is not None:
            timeout = min(timeout, max(0.0, (due - self._clock.now()) / SECOND))
        self._waiting("work").wait("work", timeout)

    def wait_for_change(self, timeout: float) -> None:
        self._waiting("change").wait("change", timeout)

    def wake(self) -> None:
        for waits in list(self._waits.values()):
            waits.wake()

    def ring(self) -> None:
        self._ringer.ring("work")
        self._uncounted += 1
        if self._uncounted >= TAIL:
            with suppress(BrokerError), self._write(durable=False) as session:  # else the next one counts them
                catch_up(session)
                self._uncounted = 0

    def _ring_all(self) -> None:
        self._ringer.ring("work")
        self._ringer.ring("change")

    def _waiting(self, topic: str) -> Waiting:
        with self._waits_lock:
            if topic not in self._waits:
                self.open()
                self._waits[topic] = Waiting(self._directory, topic, self._data_version)
            return self._waits[topic]

    def _data_version(self) -> int:
        """Return a number that changes with every commit; asked on the reader, which sees those of our writer too."""
        with self._store.read() as session:
            return int(session.run("PRAGMA data_version")[0][0])

    # -- about itself -------------------------------------------------------------------------------------------

    def runtime_directory(self) -> Path | None:
        return doorbell.make_private(self._directory)

    def describe(self) -> dict[str, str]:
        version = ".".join(map(str, library.version(self.library)))
        advice = library.advice(self.library, self.path)
        return {
            "store": f"{'sqlite' if self.library == library.STANDARD else 'sqlite+apsw'}:///{self.path}",
            "library": f"{self.library} with SQLite {version}",
            "durability": "WAL, synchronous=FULL",
            **({} if advice is None else {"warning": advice}),
        }
