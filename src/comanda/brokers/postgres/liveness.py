"""Who works, who is dead, and what becomes of a dead worker's jobs (guarantees 4 and 5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ...clock import Clock, SystemClock
from ..base import CRASH_LIMIT, StartedOf
from ..records import MESSAGE, Beat, Rescued, WorkerInfo, WorkerRecord
from ..rules import worker_lost
from ..silence import Silence
from .connection import Row
from .moves import EXPIRE, PARK, UNPARK
from .names import Names
from .statements import query
from .store import Session, Store
from .wire import EPOCH, int4, int4s, int8, int8s, text, texts

STEP = 1_000
"""Jobs that one transaction parks, unparks or expires at most."""

_encode = msgspec.json.Encoder().encode

_REGISTER = query(
    """
INSERT INTO {ns}.workers (host, pid, version, kind, queues, tasks, started, beat_at)
VALUES ({host}::text, {pid}::integer, {version}::text, {kind}::text, {queues}::text[], {tasks}::integer[], {now}, {now})
RETURNING n
""",
    *("host", "pid", "version", "kind", "queues", "tasks"),
)
# A job is parked only while nobody registers, so that no worker finds its jobs parked behind its back.
_LOCK_PARKING = """
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('comanda parking {ns}', 0))
"""
_BEAT = query(
    """
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), beating AS (
    UPDATE {ns}.workers SET beat = beat + 1, beat_at = {now}
    WHERE n = ANY ({owners}::integer[]) AND ended IS NULL RETURNING n
)
SELECT n, NULL::bigint, NULL::integer FROM beating CROSS JOIN quick
UNION ALL SELECT NULL, n, fence FROM {ns}.claimed WHERE owner = ANY ({owners}::integer[]) AND stop
""",
    "owners",
)
_LIVING = "SELECT n, beat FROM {ns}.workers WHERE ended IS NULL"
# Guarantees: whoever has the row's lock sees every claim that this owner made, and it makes no other meanwhile.
_LOCK = query("SELECT beat, ended IS NULL FROM {ns}.workers WHERE n = {owner}::integer FOR UPDATE", "owner")
_END = query("UPDATE {ns}.workers SET ended = {now} WHERE n = {owner}::integer AND ended IS NULL", "owner")
# All jobs of an owner, wherever they stand: there are as many as it has slots, and this is asked once in its life.
_HAND_BACK = query(
    f"""
WITH gone AS (
    DELETE FROM {{ns}}.claimed WHERE owner = {{owner}}::integer
    RETURNING *, {{started}}::bigint[] IS NULL OR n = ANY ({{started}}::bigint[]) AS charged
), judged AS (
    SELECT *, CASE WHEN stop THEN 5 WHEN charged AND crashes + 1 >= {CRASH_LIMIT} THEN 4 ELSE 1 END AS state,
           crashes + charged::integer AS died, attempt - (NOT charged)::integer AS attempts
    FROM gone
), kept AS (
    INSERT INTO {{ns}}.done (n, due, expires, started, finished, fence, version, attempt, state, crashes, stop)
    SELECT n, due, expires, CASE WHEN charged THEN started END, {{now}}, fence, version + 1, attempts, state, died,
           stop
    FROM judged WHERE state > 1
), back AS (
    INSERT INTO {{ns}}.ready (n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed)
    SELECT n, due, expires, task, queue, fence, version + 1, attempts, rank, died, keyed FROM judged WHERE state = 1
), recorded AS (
    INSERT INTO {{ns}}.attempts (n, fence, number, owner, started, finished, outcome, failure)
    SELECT n, fence, attempt, owner, started, {{now}}, 'lost',
           CASE WHEN died >= {CRASH_LIMIT} THEN {{quarantined}}::bytea ELSE {{lost}}::bytea END
    FROM judged WHERE charged
), freed AS (
    DELETE FROM {{ns}}.keys WHERE n = ANY (ARRAY(SELECT n FROM judged WHERE keyed AND state > 1))
), counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs)
    SELECT queue, 2, -count(*) FROM judged GROUP BY queue UNION ALL
    SELECT queue, state, count(*) FROM judged GROUP BY queue, state
)
SELECT count(*) FROM judged
""",
    *("owner", "started", "lost", "quarantined"),
)
_UNKNOWN_TASKS = query(
    """
SELECT n FROM {ns}.tasks t
WHERE name <> {message}::text
  AND NOT EXISTS (SELECT FROM {ns}.workers w WHERE w.ended IS NULL AND t.n = ANY (w.tasks))
""",
    "message",
)
_WORKERS = """
SELECT n, host, pid, version, kind, started, beat_at, ended, queues, tasks FROM {ns}.workers
ORDER BY ended IS NOT NULL, n DESC LIMIT 1000
"""
_LOST, _QUARANTINED = (_encode(worker_lost(crashes)) for crashes in (1, CRASH_LIMIT))


class Liveness:
    """Registers, renews and buries owners on one store."""

    def __init__(self, store: Store, names: Names, clock: Clock | None) -> None:
        self._store = store
        self._names = names
        self._clock = clock or SystemClock()
        self._silence = Silence()

    def register(self, worker: WorkerInfo) -> int:
        """Add an owner; then, that nobody parks them again, take the mark off the jobs of its tasks."""
        tasks = int4s(self._names.add_tasks(worker.tasks))
        who = (text(worker.host), int4(worker.pid), text(worker.version), text(worker.kind))
        queues = None if worker.queues is None else texts(worker.queues)

        def body(session: Session) -> int:
            session.run(_LOCK_PARKING)
            return int(session.run(_REGISTER, *who, queues, tasks)[0][0])

        owner = self._store.transact(body)
        while self._store.run(UNPARK, tasks, int8(STEP))[0][0] == STEP:
            pass
        return owner

    def beat(self, owners: Sequence[int]) -> Beat:
        """Renew; say who is dead and which jobs shall stop."""
        rows = self._store.run(_BEAT, int4s(owners))
        alive = {owner for owner, _, _ in rows if owner is not None}
        return Beat([owner for owner in owners if owner not in alive], [(n, f) for _, n, f in rows if n is not None])

    def end(self, owner: int, started: Collection[int] | None, *, silent_at: int | None = None) -> int | None:
        """Bury an owner and hand its jobs back; return how many.

        With `silent_at` only if its beat still stands there: else None.
        """
        known = None if started is None else int8s(sorted(started))

        def body(session: Session) -> int | None:
            found = session.run(_LOCK, int4(owner))
            if silent_at is not None and found != [(silent_at, True)]:
                return None
            session.run(_END, int4(owner))
            return int(session.run(_HAND_BACK, int4(owner), known, _LOST, _QUARANTINED)[0][0])

        return self._store.transact(body)

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
        beats: dict[int, int] = dict(self._store.look(_LIVING))
        return self._silence.judge(beats, began, self._clock.monotonic(), lease)

    def _park(self) -> int:
        """Hold back jobs that nobody can run, so that claims need not step over them (guarantee 7)."""
        if not self._store.look(_UNKNOWN_TASKS, text(MESSAGE)):
            return 0

        def body(session: Session) -> int:
            session.run(_LOCK_PARKING)
            unknown = [n for (n,) in session.run(_UNKNOWN_TASKS, text(MESSAGE))]
            return int(session.run(PARK, int4s(unknown), int8(STEP))[0][0])

        return self._store.transact(body)

    def _expire(self) -> int:
        expired: int = 0
        while True:
            ((largest, ended),) = self._store.run(EXPIRE, int8(STEP))
            expired += ended
            if largest < STEP:
                return expired

    def workers(self) -> list[WorkerRecord]:
        """Return the latest owners."""
        return [self._worker(row) for row in self._store.look(_WORKERS)]

    def _worker(self, row: Row) -> WorkerRecord:
        owner, host, pid, version, kind, started, beat_at, ended, queues, tasks = row
        return WorkerRecord(
            owner=owner,
            host=host,
            pid=pid,
            version=version,
            kind=kind,
            started_at=started + EPOCH,
            beat_at=beat_at + EPOCH,
            ended_at=None if ended is None else ended + EPOCH,
            queues=None if queues is None else tuple(queues),
            tasks=tuple(self._names.task_name(task) for task in tasks),
        )
