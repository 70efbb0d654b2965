"""Who works, who is dead, and what becomes of a dead worker's jobs (guarantees 4 and 5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ...clock import Clock, Micros
from .. import codes
from ..base import CRASH_LIMIT, StartedOf
from ..records import Beat, Rescued, WorkerInfo, WorkerRecord
from ..rules import worker_lost
from ..silence import Silence
from .connection import Row
from .counts import Moves
from .exchange import batch_of
from .names import Names
from .session import Session
from .store import Store

STEP = 1_000
"""Jobs that one transaction parks, unparks or expires at most."""

_encode = msgspec.json.Encoder().encode
_names = msgspec.json.Decoder(tuple[str, ...]).decode

_REGISTER = """
INSERT INTO {ns}_workers (host, pid, version, kind, queues, tasks, started, beat_at) VALUES (?,?,?,?,?,?,?,?)
RETURNING n
"""
_UNPARK = f"""
UPDATE {{ns}}_jobs SET state = 1, version = version + 1
WHERE n IN (SELECT n FROM {{ns}}_jobs WHERE state = 7 AND task IN (SELECT value FROM json_each(?)) LIMIT {STEP})
RETURNING queue
"""
_BEAT = "UPDATE {ns}_workers SET beat = beat + 1, beat_at = ? WHERE n = ? AND ended IS NULL"
_STOPS = "SELECT n, fence FROM {ns}_jobs WHERE state = 2 AND owner = ? AND stop"
_LIVING = "SELECT n, beat FROM {ns}_workers WHERE ended IS NULL"
_STILL_SILENT = "SELECT 1 FROM {ns}_workers WHERE n = ? AND beat = ? AND ended IS NULL"
_END = "UPDATE {ns}_workers SET ended = ? WHERE n = ? AND ended IS NULL"
_HELD = "SELECT n, fence, attempt, crashes, queue, started, stop FROM {ns}_jobs WHERE state = 2 AND owner = ?"
_HAND_BACK = """
UPDATE {ns}_jobs SET state = ?, version = version + 1, attempt = attempt - 1, owner = NULL, started = NULL, finished = ?
WHERE n = ?
"""
_CHARGE = """
UPDATE {ns}_jobs SET state = ?, version = version + 1, crashes = crashes + 1, owner = NULL, started = ?, finished = ?
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
_UNKNOWN_JOBS = f"""
SELECT n, queue FROM {{ns}}_jobs WHERE state = 1 AND task IN (SELECT value FROM json_each(?)) LIMIT {STEP}
"""
_PARK = "UPDATE {ns}_jobs SET state = 7, version = version + 1 WHERE n = ? AND state = 1"
_OVERDUE = f"""
SELECT n, queue, state FROM {{ns}}_jobs
WHERE expires IS NOT NULL AND expires <= ? AND state NOT BETWEEN 2 AND 6 LIMIT {STEP}
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
        self._silence = Silence()

    def register(self, worker: WorkerInfo) -> int:
        """Add an owner; then, that nobody parks them again, take the mark off the jobs of its tasks."""
        now = self._clock.now()
        queues = None if worker.queues is None else batch_of(worker.queues)
        with self._store.write() as session:
            known = [self._names.task_id(session, task) for task in worker.tasks]
            who = (worker.host, worker.pid, worker.version, worker.kind)
            owner = session.run(_REGISTER, (*who, queues, batch_of(worker.tasks), now, now))[0][0]
        while self._unpark(known) == STEP:
            pass
        return int(owner)

    def _unpark(self, tasks: list[int]) -> int:
        with self._store.write() as session:
            moves = Moves(session)
            queues = session.run(_UNPARK, (batch_of(tasks),))
            for (queue,) in queues:
                moves.move(queue, codes.PARKED, codes.READY)
            moves.write(session)
        return len(queues)

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

    def end(self, owner: int, started: Collection[int] | None, *, silent_at: int | None = None) -> int | None:
        """Bury an owner and hand its jobs back; return how many.

        With `silent_at` only if its beat still stands there: else None.
        """
        now = self._clock.now()
        with self._store.write() as session:
            if silent_at is not None and not session.run(_STILL_SILENT, (owner, silent_at)):
                return None
            session.run(_END, (now, owner))
            return _hand_back(session, owner, started, now)

    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        """Bury the silent, park what nobody knows, expire what is overdue."""
        done = Rescued([])
        for owner, beat in self._silent(lease):
            jobs = self.end(owner, started(owner), silent_at=beat)
            if jobs is not None:
                done.jobs += jobs
                done.owners.append(owner)
        done.parked = self._park()
        done.expired = self._expire()
        return done

    def _silent(self, lease: float) -> list[tuple[int, int]]:
        began = self._clock.monotonic()
        with self._store.read() as session:
            beats: dict[int, int] = dict(session.run(_LIVING))
        return self._silence.judge(beats, began, self._clock.monotonic(), lease)

    def _park(self) -> int:
        """Hold back jobs that nobody can run, so that claims need not step over them (guarantee 7)."""
        with self._store.read() as session:
            unknown = [n for (n,) in session.run(_UNKNOWN_TASKS)]
            jobs = session.run(_UNKNOWN_JOBS, (batch_of(unknown),)) if unknown else []
        if not jobs:
            return 0
        parked = 0
        with self._store.write() as session:
            if not {n for (n,) in session.run(_UNKNOWN_TASKS)}.issuperset(unknown):
                return 0  # a worker has come that knows one of them: look again the next time
            moves = Moves(session)
            for n, queue in jobs:
                changed = session.many(_PARK, ((n,),))
                moves.move(queue, codes.READY, codes.PARKED, changed)
                parked += changed
            moves.write(session)
        return parked

    def _expire(self) -> int:
        now = self._clock.now()
        expired, found = 0, STEP
        while found == STEP:
            with self._store.read() as session:
                jobs = session.run(_OVERDUE, (now,))
            found = len(jobs)
            expired += self._end_overdue(jobs, now) if jobs else 0
        return expired

    def _end_overdue(self, jobs: list[Row], now: Micros) -> int:
        expired = 0
        with self._store.write() as session:
            moves = Moves(session)
            for n, queue, state in jobs:
                changed = session.many(_EXPIRE, ((now, n, state),))
                moves.move(queue, state, codes.EXPIRED, changed)
                expired += changed
            moves.write(session)
        return expired

    def workers(self) -> list[WorkerRecord]:
        with self._store.read() as session:
            return [_worker(row) for row in session.run(_WORKERS)]


def _hand_back(session: Session, owner: int, started: Collection[int] | None, now: Micros) -> int:
    """Put back what an owner holds; what was asked to stop does not come back to run again: it is cancelled."""
    moves = Moves(session)
    held = session.run(_HELD, (owner,))
    for n, fence, attempt, crashes, queue, began, stop in held:
        after = codes.CANCELLED if stop else codes.READY
        if started is not None and n not in started:
            session.run(_HAND_BACK, (after, now if stop else None, n))
        else:
            if crashes + 1 >= CRASH_LIMIT and not stop:
                after = codes.FAILED
            session.run(_LOST, (n, fence, attempt, began, now, owner, _encode(worker_lost(crashes + 1))))
            ended = after != codes.READY
            session.run(_CHARGE, (after, began if ended else None, now if ended else None, n))
        moves.move(queue, codes.RUNNING, after)
    moves.write(session)
    return len(held)


def _worker(row: Row) -> WorkerRecord:
    names = ("owner", "host", "pid", "version", "kind", "started_at", "beat_at", "ended_at")
    queues, tasks = row[len(names) :]
    return WorkerRecord(
        **dict(zip(names, row[: len(names)], strict=True)),
        queues=None if queues is None else _names(queues),
        tasks=_names(tasks),
    )
