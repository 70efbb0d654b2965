"""The owners of one process's jobs."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy

from msgspec import Struct

from ...clock import Micros
from .. import rules
from ..arrival import UNKNOWN, who
from ..base import CRASH_LIMIT
from ..records import ELSEWHERE, AttemptRecord, State, WorkerInfo, WorkerRecord
from .table import Row, Table


class Worker(Struct, eq=False):
    """An owner: what is shown of it, and its heartbeat counter."""

    record: WorkerRecord
    beat: int = 0

    @property
    def is_alive(self) -> bool:
        """True until it leaves or is declared dead."""
        return self.record.ended_at is None


class Workers:
    """Registers, renews and buries owners. Not thread-safe: the broker holds its lock."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._elsewhere: dict[tuple[str, int, str], int] = {}
        self._last = 0

    def add(self, info: WorkerInfo, now: Micros) -> int:
        """Make a new owner id."""
        self._last += 1
        self._workers[self._last] = Worker(
            WorkerRecord(
                owner=self._last,
                host=info.host,
                pid=info.pid,
                version=info.version,
                kind=info.kind,
                started_at=now,
                beat_at=now,
                ended_at=None,
                queues=info.queues,
                tasks=info.tasks,
            )
        )
        return self._last

    def elsewhere(self, attempt: AttemptRecord) -> int:
        """Return the owner that stands for the worker of another store that ran `attempt`: it has ended."""
        key = who(attempt)
        owner = self._elsewhere.get(key)
        if owner is None or owner not in self._workers:
            host, pid, version = key
            info = WorkerInfo(host=host, pid=pid, version=version, kind=ELSEWHERE, tasks=())
            owner = self._elsewhere[key] = self.add(info, attempt.started_at)
        record = self._workers[owner].record
        record.beat_at = record.ended_at = max(record.ended_at or 0, attempt.finished_at or attempt.started_at)
        return owner

    def living(self, owner: int) -> Worker | None:
        """Return an owner unless it is unknown or dead."""
        worker = self._workers.get(owner)
        return worker if worker is not None and worker.is_alive else None

    def who(self, owner: int | None) -> tuple[str, int, str]:
        """Return host, pid and version of an owner, as far as still known."""
        worker = None if owner is None else self._workers.get(owner)
        return UNKNOWN if worker is None else (worker.record.host, worker.record.pid, worker.record.version)

    def beats(self) -> dict[int, int]:
        """Return the heartbeat counters of the living."""
        return {owner: worker.beat for owner, worker in self._workers.items() if worker.is_alive}

    def known_tasks(self) -> set[str]:
        """Return the tasks that some living owner can run."""
        return {task for worker in self._workers.values() if worker.is_alive for task in worker.record.tasks}

    def records(self) -> list[WorkerRecord]:
        """Return all owners, living ones first, newest first."""
        records = [copy(worker.record) for worker in self._workers.values()]
        return sorted(records, key=lambda record: (record.ended_at is not None, -record.owner))

    def forget(self, before: Micros) -> None:
        """Drop owners that ended before `before`."""
        for owner, worker in list(self._workers.items()):
            if worker.record.ended_at is not None and worker.record.ended_at < before:
                del self._workers[owner]

    def bury(self, table: Table, owner: int, started: Collection[int] | None, now: Micros) -> int:
        """End an owner and hand its jobs back; return how many."""
        worker = self.living(owner)
        if worker is not None:
            worker.record.ended_at = now
        held = table.held_by(owner)
        for row in held:
            if started is None or row.n in started:
                self._charge(table, row, now)
            else:
                row.attempt -= 1
                _end_or_return(table, row, State.READY, now)
        return len(held)

    def _charge(self, table: Table, row: Row, now: Micros) -> None:
        row.crashes += 1
        host, pid, version = self.who(row.owner)
        row.attempts.append(
            AttemptRecord(
                number=row.attempt,
                outcome="lost",
                started_at=row.started_at or 0,
                finished_at=now,
                host=host,
                pid=pid,
                version=version,
                failure=rules.worker_lost(row.crashes),
            )
        )
        _end_or_return(table, row, State.FAILED if row.crashes >= CRASH_LIMIT else State.READY, now, charged=True)


def _end_or_return(table: Table, row: Row, after: State, now: Micros, *, charged: bool = False) -> None:
    """Bring a dead owner's job to `after`; what was asked to stop is cancelled instead."""
    after = State.CANCELLED if row.stop else after
    row.finished_at = now if after.is_terminal else None
    if not (charged and after.is_terminal):
        row.started_at = None
    table.move(row, after)
