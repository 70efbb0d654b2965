"""The memory broker: the contract in one process, behind one lock."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from ...clock import SECOND, Clock, SystemClock
from ...errors import ConfigurationError
from ...shield import ShieldedLock
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
from ..rotation import Rotation
from ..rules import no_such_queue
from ..silence import Silence
from . import enqueue, exchange, load, operate, read
from .hints import Hints
from .table import Table
from .workers import Workers

_PRUNE_STEP = 1_000


class MemoryBroker(Broker):
    """Jobs in this process: nothing survives it, and no other process sees them.

    A claim costs O(log n) of the ready jobs; `find` and the verbs that take a filter look at all jobs.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._reset()

    def _reset(self) -> None:
        self._lock = ShieldedLock(threading.Lock())
        self._table = Table()
        self._workers = Workers()
        self._rotation = Rotation()
        self._silence = Silence()
        self._work = Hints()
        self._change = Hints()

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """End the waits; the jobs stay while the process does."""
        self.wake()

    def forget(self) -> None:
        self._reset()

    # -- producing ----------------------------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        now = self._clock.now()
        with self._lock:
            answers = [enqueue.store(self._table, job, now) for job in jobs]
        self._work.ring()
        return answers

    # -- working ------------------------------------------------------------------------------------------------

    def register(self, worker: WorkerInfo) -> int:
        with self._lock:
            operate.unpark(self._table, worker.tasks)
            return self._workers.add(worker, self._clock.now())

    def deregister(self, owner: int) -> None:
        self._bury(owner, ())

    def exchange(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        now = self._clock.now()
        with self._lock:
            done = Exchanged(exchange.settle(self._table, self._workers, owner, outcomes, now), [])
            if demand.limit:
                exchange.promote(self._table, now)
                if self._workers.living(owner) is not None:
                    done.claimed = exchange.claim(self._table, owner, demand, self._rotation, now)
        if outcomes:
            self._change.ring()
        return done

    def heartbeat(self, owners: Sequence[int]) -> Beat:
        now = self._clock.now()
        answer = Beat([], [])
        with self._lock:
            for owner in owners:
                worker = self._workers.living(owner)
                if worker is None:
                    answer.lost.append(owner)
                    continue
                worker.beat += 1
                worker.record.beat_at = now
                answer.stop += [(row.n, row.fence) for row in self._table.held_by(owner) if row.stop]
        return answer

    def release(self, owner: int, started: Collection[int] | None) -> int:
        return self._bury(owner, started)

    def _bury(self, owner: int, started: Collection[int] | None) -> int:
        with self._lock:
            jobs = self._workers.bury(self._table, owner, started, self._clock.now())
        self._ring_all()
        return jobs

    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        done = Rescued([])
        for owner, beat in self._silent(lease):
            suspects = started(owner)
            with self._lock:
                worker = self._workers.living(owner)
                if worker is not None and worker.beat == beat:
                    done.jobs += self._workers.bury(self._table, owner, suspects, self._clock.now())
                    done.owners.append(owner)
        with self._lock:
            done.parked = operate.park(self._table, self._workers.known_tasks())
            done.expired = operate.expire(self._table, self._clock.now())
        if done.jobs or done.expired:
            self._ring_all()
        return done

    def _silent(self, lease: float) -> list[tuple[int, int]]:
        began = self._clock.monotonic()
        with self._lock:
            return self._silence.judge(self._workers.beats(), began, self._clock.monotonic(), lease)

    # -- operating ----------------------------------------------------------------------------------------------

    def cancel(self, which: JobFilter) -> list[bytes]:
        with self._lock:
            done = operate.cancel(self._table, which, self._clock.now())
        self._ring_all()
        return done

    def retry(self, which: JobFilter) -> list[bytes]:
        with self._lock:
            done = operate.retry(self._table, which, self._clock.now())
        self._ring_all()
        return done

    def reschedule(self, which: JobFilter, due: int) -> list[bytes]:
        with self._lock:
            done = operate.reschedule(self._table, which, due, self._clock.now())
        self._ring_all()
        return done

    def delete(self, which: JobFilter) -> int:
        with self._lock:
            deleted = operate.delete(self._table, which)
        self._ring_all()
        return deleted

    def pause(self, queue: str) -> None:
        self._pause(queue, paused=True)

    def resume(self, queue: str) -> None:
        self._pause(queue, paused=False)
        self._work.ring()

    def _pause(self, queue: str, *, paused: bool) -> None:
        with self._lock:
            if queue not in self._table.queues:
                raise ConfigurationError(no_such_queue(queue))
            self._table.queues[queue].paused = paused

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, ids: Sequence[bytes], *, attempts: bool = False) -> list[JobRecord | None]:
        with self._lock:
            rows = [self._table.find(job_id) for job_id in ids]
            return [None if row is None else read.record(row, self._workers, attempts=attempts) for row in rows]

    def find(
        self, which: JobFilter, *, limit: int = 100, after: bytes | None = None, oldest_first: bool = False
    ) -> list[JobRecord]:
        with self._lock:
            return read.page(self._table, self._workers, which, limit, after, oldest_first=oldest_first)

    def counts(self) -> dict[tuple[str, State], int]:
        with self._lock:
            return {key: jobs for key, jobs in self._table.counts.items() if jobs}

    def queues(self) -> list[QueueRecord]:
        with self._lock:
            return [read.queue(self._table, found) for _, found in sorted(self._table.queues.items())]

    def workers(self) -> list[WorkerRecord]:
        with self._lock:
            return self._workers.records()

    def states(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        with self._lock:
            rows = [row for job_id in ids if (row := self._table.find(job_id)) is not None]
            return {row.id: (row.state, row.version) for row in rows}

    # -- keeping ------------------------------------------------------------------------------------------------

    def prune(self, *, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        with self._lock:
            self._workers.forget(min(successful_before, ended_before))
            return operate.prune(self._table, successful_before, ended_before, keep_at_most, _PRUNE_STEP)

    def maintain(self) -> None:
        """Memory keeps itself."""

    # -- moving -------------------------------------------------------------------------------------------------

    def load(self, jobs: Sequence[JobRecord]) -> list[bool]:
        with self._lock:
            stored = load.load(self._table, self._workers, jobs, self._clock.now())
        self._ring_all()
        return stored

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait_for_work(self, timeout: float) -> None:
        with self._lock:
            first = self._table.scheduled.first()
        if first is not None:
            timeout = min(timeout, (first[0][0] - self._clock.now()) / SECOND)
        self._work.wait(timeout)

    def wait_for_change(self, timeout: float) -> None:
        self._change.wait(timeout)

    def wake(self) -> None:
        self._ring_all()

    def ring(self) -> None:
        self._work.ring()

    def _ring_all(self) -> None:
        self._work.ring()
        self._change.ring()

    # -- about itself -------------------------------------------------------------------------------------------

    def runtime_directory(self) -> Path | None:
        return None

    def describe(self) -> dict[str, str]:
        return {"store": "memory://", "durability": "none: jobs end with this process"}
