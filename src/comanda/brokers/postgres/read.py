"""Reading jobs, queues and counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from ..codes import PARKED, TO_STATE
from ..records import AttemptRecord, Failure, JobFilter, JobRecord, OperationRecord, QueueRecord, State
from . import counts as counted
from .connection import Row
from .names import Names
from .selection import SHOWN, STATE, Condition
from .statements import query
from .store import Session, Store
from .wire import EPOCH, int4, int8, int8s, uuids

_failure = msgspec.json.Decoder(Failure)


def _thin(column: str) -> str:
    return f"coalesce({', '.join(f'{table}.{column}' for table in 'dcspr')})"


_JOB = f"""
SELECT j.n, j.id, j.task, j.queue, {STATE}, -j.rank::integer, {_thin("due")}, j.enqueued,
       coalesce(d.started, c.started), d.finished, {_thin("attempt")}, {_thin("crashes")}::integer, {_thin("fence")},
       {_thin("version")}, j.payload, d.result, j.options, j.unique_key, {_thin("expires")},
       coalesce(d.stop, c.stop, false), coalesce(d.owner, c.owner),
       (SELECT failure FROM {{ns}}.attempts a WHERE a.n = j.n ORDER BY a.fence DESC LIMIT 1)
{SHOWN}"""
_GET = query(f"{_JOB} WHERE j.id = ANY ({{ids}}::uuid[])", "ids")
_STATES = query(f"SELECT j.id, {STATE}, {_thin('version')} {SHOWN} WHERE j.id = ANY ({{ids}}::uuid[])", "ids")
_ATTEMPTS = query(
    """
SELECT a.n, number, outcome, a.started, finished, coalesce(host, '?'), coalesce(pid, 0), coalesce(version, '?'), failure
FROM {ns}.attempts a LEFT JOIN {ns}.workers w ON w.n = a.owner WHERE a.n = ANY ({numbers}::bigint[]) ORDER BY a.n, fence
""",
    "numbers",
)
_WORKERS = query(
    "SELECT n, host, pid, version FROM {ns}.workers WHERE n = ANY ({owners}::bigint[])",
    "owners",
)
_OPERATIONS = query(
    "SELECT n, verb, at, actor FROM {ns}.operations WHERE n = ANY ({numbers}::bigint[]) ORDER BY n, place",
    "numbers",
)
_QUEUES = 'SELECT n, name, messages, paused, shown FROM {ns}.queues ORDER BY name COLLATE "C"'
# Jumps from priority to priority along the index `ready_line` instead of walking all its rows.
_OLDEST = query(
    """
WITH RECURSIVE ranks (rank) AS (
    (SELECT rank FROM {ns}.ready WHERE queue = {queue}::integer ORDER BY rank LIMIT 1)
    UNION ALL
    SELECT (SELECT r.rank FROM {ns}.ready r WHERE r.queue = {queue}::integer AND r.rank > ranks.rank
            ORDER BY r.rank LIMIT 1)
    FROM ranks WHERE ranks.rank IS NOT NULL
)
SELECT min((SELECT r.due FROM {ns}.ready r WHERE r.queue = {queue}::integer AND r.rank = ranks.rank
            ORDER BY r.due LIMIT 1))
FROM ranks
""",
    "queue",
)


class Reader:
    """What is asked of one store."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def get(self, ids: Sequence[bytes], *, attempts: bool) -> list[JobRecord | None]:
        """Return the jobs in the order of `ids`."""
        if not attempts:
            rows = self._store.look(_GET, uuids(ids))
            found = {row[1]: self._record(row) for row in rows}
        else:
            with self._store.read() as session:
                rows = session.run(_GET, uuids(ids))
                found = {row[1]: self._record(row) for row in rows}
                self._add_histories(session, rows, found)
        return [found.get(job_id) for job_id in ids]

    def find(self, which: JobFilter, limit: int, after: bytes | None, *, oldest_first: bool) -> list[JobRecord]:
        """Return one page by id."""
        condition = Condition(self._names, which)
        comparison, order = (">", "ASC") if oldest_first else ("<", "DESC")
        if after is not None:
            condition.add(f"j.id {comparison} {{}}::uuid", after)
        text = f"{_JOB} WHERE {condition.text} ORDER BY j.id {order} LIMIT ${len(condition.values) + 1}::bigint"
        with self._store.read() as session:
            rows = session.run(text, *condition.values, int8(limit))
        return [self._record(row) for row in rows]

    def states(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        """Return state and version of the jobs that exist."""
        rows = self._store.look(_STATES, uuids(ids))
        return {job_id: (TO_STATE[state], version) for job_id, state, version in rows}

    def counts(self) -> dict[tuple[str, State], int]:
        """Return the jobs by queue and state."""
        with self._store.read() as session:
            sums = counted.sums(session)
        return {(self._names.queue_name(queue), TO_STATE[code]): jobs for (queue, code), jobs in sums.items() if jobs}

    def queues(self) -> list[QueueRecord]:
        """Return every queue by name."""
        with self._store.read() as session:
            sums = counted.sums(session)
            rows = session.run(_QUEUES)
            oldest = {row[0]: session.run(_OLDEST, int4(row[0]))[0][0] for row in rows}
        used = {queue for queue, _ in sums}
        by_state = {(queue, TO_STATE[code]): jobs for (queue, code), jobs in sums.items()}
        return [
            QueueRecord(
                name=name,
                kind="messages" if messages else "jobs",
                paused=paused,
                counts={state: by_state.get((n, state), 0) for state in State},
                oldest_ready_at=_micros(oldest[n]),
            )
            for n, name, messages, paused, shown in rows
            if shown or n in used
        ]

    def _add_histories(self, session: Session, rows: list[Row], found: dict[bytes, JobRecord]) -> None:
        """Add the stored attempts and, from the job's own row, the one that runs or succeeded."""
        numbers = int8s([row[0] for row in rows])
        attempts: defaultdict[int, list[AttemptRecord]] = defaultdict(list)
        for n, *attempt in session.run(_ATTEMPTS, numbers):
            attempts[n].append(_attempt(*attempt))
        operations: defaultdict[int, list[OperationRecord]] = defaultdict(list)
        for n, verb, at, who in session.run(_OPERATIONS, numbers):
            operations[n].append(OperationRecord(verb, at + EPOCH, who))
        owners = [row[20] for row in rows if row[20] is not None]
        workers = {n: worker for n, *worker in session.run(_WORKERS, int8s(owners))} if owners else {}
        for row in rows:
            job, owner = found[row[1]], row[20]
            job.attempts, job.operations = attempts[row[0]], operations[row[0]]
            if owner is not None and job.state in (State.RUNNING, State.SUCCESSFUL):
                worker = workers.get(owner, ("?", 0, "?"))
                job.attempts.append(_attempt(job.attempt, job.state.value, row[8], row[9], *worker, None))

    def _record(self, row: Row) -> JobRecord:
        code, failure = row[4], row[21]
        state = TO_STATE[code]
        return JobRecord(
            id=row[1],
            task=self._names.task_name(row[2]),
            queue=self._names.queue_name(row[3]),
            state=state,
            priority=row[5],
            due=row[6] + EPOCH,
            enqueued_at=row[7] + EPOCH,
            started_at=_micros(row[8]),
            finished_at=_micros(row[9]),
            attempt=row[10],
            crashes=row[11],
            fence=row[12],
            version=row[13],
            parked=code == PARKED,
            payload=row[14],
            result=row[15],
            failure=None if failure is None or state is State.SUCCESSFUL else _failure.decode(failure),
            options=row[16],
            unique_key=row[17],
            expires=_micros(row[18]),
            stop_requested=row[19],
        )


def _attempt(number: int, outcome: str, started: int, finished: int | None, *rest: object) -> AttemptRecord:
    host, pid, version, failure = rest
    return AttemptRecord(
        number=number,
        outcome=outcome,
        started_at=started + EPOCH,
        finished_at=_micros(finished),
        host=str(host),
        pid=int(pid),  # type: ignore[call-overload] # a column of integers
        version=str(version),
        failure=None if failure is None else _failure.decode(failure),  # type: ignore[arg-type] # a column of bytes
    )


def _micros(moment: int | None) -> int | None:
    return None if moment is None else moment + EPOCH
