"""The Redis broker: the contract's verbs, each handed to the module that knows it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from ...clock import SECOND
from ..base import Broker, Capability, StartedOf
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
from . import enqueue, load, operate, places, read
from .exchange import Exchange
from .liveness import Liveness
from .retention import Pruner
from .store import SCHEMA_VERSION, Store
from .waiting import Waiting


class RedisBroker(Broker):
    """Jobs in one namespace of a Redis or Valkey server."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.DURABLE, Capability.CROSS_PROCESS})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reset()

    def _reset(self) -> None:
        self._exchange = Exchange(self._store)
        self._liveness = Liveness(self._store)
        self._pruner = Pruner(self._store)
        self._waits: dict[str, Waiting] = {}
        self._waits_lock = threading.Lock()

    # -- connection ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        with self._waits_lock:
            while self._waits:
                self._waits.popitem()[1].close()
        self._store.close()

    def forget(self) -> None:
        for waits in self._waits.values():
            waits.abandon()
        self._store.forget()
        self._reset()

    def schema_status(self) -> tuple[int, int]:
        return self._store.schema()[0], SCHEMA_VERSION

    def oldest_client(self) -> int | None:
        return self._store.schema()[1]

    def migrate(self) -> list[int]:
        found, _ = self._store.schema()
        self.open()
        return [*range(found + 1, SCHEMA_VERSION + 1)]

    # -- producing ----------------------------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        return enqueue.store(self._store, jobs)

    def load(self, jobs: Sequence[JobRecord]) -> list[bool]:
        """Store jobs of another store as they are, in one durable transaction; say for each whether it is new here."""
        return load.load(self._store, jobs, self._store.micros())

    # -- working ------------------------------------------------------------------------------------------------

    def register(self, worker: WorkerInfo) -> int:
        self._waiting("work").subscribe()
        return self._liveness.register(worker)

    def deregister(self, owner: int) -> None:
        self._liveness.end(owner, ())

    def exchange(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        if not outcomes and not demand.limit:
            return Exchanged([], [])
        return self._exchange.run(owner, outcomes, demand)

    def heartbeat(self, owners: Sequence[int]) -> Beat:
        return self._liveness.beat(owners)

    def release(self, owner: int, started: Collection[int] | None) -> int:
        return self._liveness.end(owner, started) or 0

    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        return self._liveness.rescue(lease, started)

    # -- operating ----------------------------------------------------------------------------------------------

    def cancel(self, which: JobFilter) -> list[bytes]:
        return operate.cancel(self._store, which)

    def retry(self, which: JobFilter) -> list[bytes]:
        return operate.retry(self._store, which)

    def reschedule(self, which: JobFilter, due: int) -> list[bytes]:
        return operate.reschedule(self._store, which, due)

    def delete(self, which: JobFilter) -> int:
        return operate.delete(self._store, which)

    def pause(self, queue: str) -> None:
        operate.pause(self._store, queue, paused=True)

    def resume(self, queue: str) -> None:
        operate.pause(self._store, queue, paused=False)

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, ids: Sequence[bytes], *, attempts: bool = False) -> list[JobRecord | None]:
        return read.get(self._store, ids, attempts=attempts)

    def find(
        self, which: JobFilter, *, limit: int = 100, after: bytes | None = None, oldest_first: bool = False
    ) -> list[JobRecord]:
        return read.find(self._store, which, limit, after, oldest_first=oldest_first)

    def counts(self) -> dict[tuple[str, State], int]:
        return read.counts(self._store)

    def queues(self) -> list[QueueRecord]:
        return read.queues(self._store)

    def workers(self) -> list[WorkerRecord]:
        return self._liveness.workers()

    def states(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        return read.states(self._store, ids)

    # -- keeping ------------------------------------------------------------------------------------------------

    def prune(self, *, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        return self._pruner.step(successful_before, ended_before, keep_at_most)

    def maintain(self) -> None:
        """The server keeps itself: it rewrites its log by its own rules."""

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait_for_work(self, timeout: float) -> None:
        due = self._store.read("next_due", [self._store.now()])
        if not isinstance(due, bytes):
            timeout = min(timeout, max(0.0, due / SECOND))
        self._waiting("work").wait("work", timeout)

    def wait_for_change(self, timeout: float) -> None:
        self._waiting("change").wait("change", timeout)

    def wake(self) -> None:
        for waits in list(self._waits.values()):
            waits.wake()

    def ring(self) -> None:
        self._store.write("ring", [])

    def _waiting(self, topic: str) -> Waiting:
        with self._waits_lock:
            if topic not in self._waits:
                self._waits[topic] = Waiting(self._store, topic)
            return self._waits[topic]

    # -- about itself -------------------------------------------------------------------------------------------

    def runtime_directory(self) -> Path | None:
        return places.runtime_directory(self._store.id)

    def describe(self) -> dict[str, str]:
        server = self._store.server
        warning = "; ".join(server.missing)
        return {
            "store": self._store.where,
            "server": f"{server.name} {server.version}",
            "namespace": self._store.namespace,
            "durability": server.durability,
            **({"warning": warning} if warning else {}),
        }
