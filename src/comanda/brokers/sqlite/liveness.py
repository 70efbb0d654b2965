"""Who works, who is dead, and what becomes of a dead worker's jobs (guarantees 4 and 5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ...clock import Clock, Micros
from ..base import CRASH_LIMIT, StartedOf
from ..records import MESSAGE, Beat, Failure, Rescued, WorkerInfo, WorkerRecord
from . import codes
from .counts import Moves
from .exchange import batch_of
from .names import Names
from .store import Session, Store

_encode = msgspec.json.Encoder().encode

_REGISTER = """
INSERT INTO {ns}_workers (host, pid, version, kind, queues, tasks, started, beat_at) VALUES (?,?,?,?,?,?,?,?)
RETURNING n
"""
_UNPARK = """
UPDATE {ns}_jobs SET state = 1, version = version + 1
WHERE state = 7 AND task IN (SELECT value FROM json_each(?)) RETURNING queue
"""
_BEAT = "UPDATE {ns}_workers SET beat = beat + 1, beat_at = ? WHERE n = ? AND ended IS NULL"
_STOPS = "SELECT n, fence FROM {ns}_jobs WHERE state = 2 AND owner = ? AND stop"
_LIVING = "SELECT n, beat FROM {ns}_workers WHERE ended IS NULL"
_STILL_SILENT = "SELECT 1 FROM {ns}_workers WHERE n = ? AND beat = ? AND ended IS NULL"
_END = "UPDATE {ns}_workers SET ended = ? WHERE n = ? AND ended IS NULL"
_HELD = "SELECT n, fence, attempt, crashes, queue, started, due FROM {ns}_jobs WHERE state = 2 AND owner = ?"
_HAND_BACK = """
UPDATE {ns}_jobs SET state = 1, version = version + 1, attempt = attempt - 1, owner = NULL, started = NULL, stop = 0
WHERE state = 2 AND owner = ? AND n IN (SELECT value FROM json_each(?))
"""
_CHARGE = """
UPDATE {ns}_jobs SET state = ?, version = version + 1, crashes = crashes + 1, finished = ?, owner = NULL, stop = 0
WHERE n = ?
"""
_LOST = """
INSERT INTO {ns}_attempts (job, fence, number, outcome, started, finished, owner, failure)
VALUES (?, ?, ?, 'lost', ?, ?, ?, ?)
"""
_UNKNOWN_TASKS = """
SELECT n FROM {ns}_tasks WHERE name <> '' AND name NOT IN (
    SELECT value FROM {ns}_workers, json_each({ns}_workers.tasks) WHERE ended IS NULL)
"""
_UNKNOWN_JOBS = """
SELECT n, queue FROM {ns}_jobs WHERE state = 1 AND task IN (SELECT value FROM json_each(?)) LIMIT 1000
"""
_PARK = "UPDATE {ns}_jobs SET state = 7, version = version + 1 WHERE n = ? AND state = 1"
_OVERDUE = """
SELECT n, queue, state FROM {ns}_jobs
WHERE expires IS NOT NULL AND expires <= ? AND state IN (0, 1, 7) LIMIT 1000
"""
_EXPIRE = """
UPDATE {ns}_jobs SET state = 6, version = version + 1, finished = ? WHERE n = ? AND state = ?
"""
_WORKERS = """
SELECT n, host, pid, version, kind, started, beat_at, ended, queues, tasks FROM {ns}_workers
ORDER BY ended IS NOT NULL, n DESC LIMIT 1000
"""


class Liveness:
    """Registers, renews and buries owners on one store."""

    def __init__(self, store: Store, names: Names, clock: Clock) -> None:
        self._store = store
        self._names = names
        self._clock = clock
        self._seen: dict[int, tuple[int, float]] = {}
        """Owner to the last beat seen and when, on this process's monotonic clock (R45)."""

    def register(self, worker: WorkerInfo) -> int:
        now = self._clock.now()
        queues = None if worker.queues is None else batch_of(worker.queues)
        with self._store.write() as session:
            known = [self._names.task_id(session, task) for task in worker.tasks]
            moves = Moves()
            if MESSAGE not in worker.tasks:
                for (queue,) in session.run(_UNPARK, (batch_of(known),)):
                    moves.move(queue, codes.PARKED, codes.READY)
            moves.write(session)
            who = (worker.host, worker.pid, worker.version, worker.kind)
            return int(session.run(_REGISTER, (*who, queues, batch_of(worker.tasks), now, now))[0][0])

    def beat(self, owners: Sequence[int]) -> Beat:
        now = self._clock.now()
        answer = Beat([], [])
        with self._store.write(durable=False) as session:
            for owner in owners:
                session.run(_BEAT, (now, owner))
                if not session.changed():
                    answer.lost.append(owner)
                answer.stop += session.run(_STOPS, (owner,))
        return answer

    def end(self, owner: int, started: Collection[int] | None, *, silent_at: int | None = None) -> int:
        """Bury an owner and hand its jobs back; with `silent_at`, only if its beat still stands there."""
        now = self._clock.now()
        with self._store.write() as session:
            if silent_at is not None and not session.run(_STILL_SILENT, (owner, silent_at)):
                return 0
            session.run(_END, (now, owner))
            return _hand_back(session, owner, started, now)

    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        done = Rescued([])
        for owner, beat in self._silent(lease):
            done.jobs += self.end(owner, started(owner), silent_at=beat)
            done.owners.append(owner)
        done.parked = self._park()
        done.expired = self._expire()
        return done

    def _silent(self, lease: float) -> list[tuple[int, int]]:
        now = self._clock.monotonic()
        with self._store.read() as session:
            living: dict[int, int] = dict(session.run(_LIVING))
        self._seen = {
            owner: self._seen[owner] if self._seen.get(owner, (-1, 0.0))[0] == beat else (beat, now)
            for owner, beat in living.items()
        }
        return [(owner, beat) for owner, (beat, since) in self._seen.items() if now - since >= lease]

    def _park(self) -> int:
        """Hold back jobs that nobody can run, so that claims need not step over them (guarantee 7)."""
        with self._store.read() as session:
            unknown = [n for (n,) in session.run(_UNKNOWN_TASKS)]
            jobs = session.run(_UNKNOWN_JOBS, (batch_of(unknown),)) if unknown else []
        if not jobs:
            return 0
        moves = Moves()
        with self._store.write() as session:
            still = {n for (n,) in session.run(_UNKNOWN_TASKS)}
            if still != set(unknown):
                return 0
            for n, queue in jobs:
                moves.move(queue, codes.READY, codes.PARKED, session.many(_PARK, ((n,),)))
            moves.write(session)
        return len(jobs)

    def _expire(self) -> int:
        now = self._clock.now()
        with self._store.read() as session:
            jobs = session.run(_OVERDUE, (now,))
        if jobs:
            moves = Moves()
            with self._store.write() as session:
                for n, queue, state in jobs:
                    moves.move(queue, state, codes.EXPIRED, session.many(_EXPIRE, ((now, n, state),)))
                moves.write(session)
        return len(jobs)

    def workers(self) -> list[WorkerRecord]:
        with self._store.read() as session:
            return [_worker(row) for row in session.run(_WORKERS)]


def _hand_back(session: Session, owner: int, started: Collection[int] | None, now: Micros) -> int:
    moves = Moves()
    held = session.run(_HELD, (owner,))
    unstarted = [] if started is None else [row[0] for row in held if row[0] not in started]
    if unstarted:
        session.run(_HAND_BACK, (owner, batch_of(unstarted)))
    spared = set(unstarted)
    for n, fence, attempt, crashes, queue, began, _ in held:
        after = codes.READY
        if n not in spared:
            after = codes.FAILED if crashes + 1 >= CRASH_LIMIT else codes.READY
            session.run(_LOST, (n, fence, attempt, began, now, owner, _encode(_lost(crashes + 1))))
            session.run(_CHARGE, (after, now if after == codes.FAILED else None, n))
        moves.move(queue, codes.RUNNING, after)
    moves.write(session)
    return len(held)


def _lost(crashes: int) -> Failure:
    if crashes >= CRASH_LIMIT:
        message = f"its worker died {crashes} times while running it; it is kept apart until somebody retries it"
        return Failure("WorkerLost", message, reason="quarantined")
    return Failure("WorkerLost", "the worker died while running it; it runs again", reason="lost")


def _worker(row: tuple[object, ...]) -> WorkerRecord:
    names = ("owner", "host", "pid", "version", "kind", "started_at", "beat_at", "ended_at", "queues", "tasks")
    fields = dict(zip(names, row, strict=True))
    for name in ("queues", "tasks"):
        fields[name] = None if fields[name] is None else msgspec.json.decode(str(fields[name]))
    return msgspec.convert(fields, WorkerRecord)
