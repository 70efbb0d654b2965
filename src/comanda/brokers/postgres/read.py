"""Reading jobs, queues and counts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..codes import PARKED, TO_STATE
from ..records import AttemptRecord, Failure, JobFilter, JobRecord, OperationRecord, QueueRecord, State
from . import counts as counted
from .connection import Row
from .names import Names
from .selection import SHOWN, STATE, Condition
from .statements import query
from .store import Store
from .wire import EPOCH, int4, int8, uuids

_failure = msgspec.json.Decoder(Failure)


def _thin(column: str) -> str:
    return f"coalesce({', '.join(f'{table}.{column}' for table in 'dcspr')})"


def _micros_of(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


_COLUMNS = f"""
SELECT j.n, j.id, j.task, j.queue, {STATE}, -j.rank::integer,
       coalesce(d.due, c.due, s.due, p.due, r.due, j.due, j.enqueued), j.enqueued,
       coalesce(d.started, c.started), d.finished, {_thin("attempt")}, {_thin("crashes")}::integer, {_thin("fence")},
       {_thin("version")}, j.payload, d.result, j.options, j.unique_key, {_thin("expires")},
       coalesce(d.stop, c.stop, false), coalesce(d.owner, c.owner),
       (SELECT failure FROM {{ns}}.attempts a WHERE a.n = j.n ORDER BY a.fence DESC LIMIT 1)"""
_JOB = f"{_COLUMNS}{SHOWN}"
_GET = query(f"{_JOB} WHERE j.id = ANY ({{ids}}::uuid[])", "ids")
# With its history in the same row: one round trip and one moment. `json`, since `jsonb` refuses NUL in a message.
# Indexes: attempts_pkey, operations_pkey, workers_pkey.
_GET_WITH_HISTORY = query(
    f"""
{_COLUMNS}, (
    SELECT json_agg(json_build_array(
        number, outcome, {_micros_of("a.started")}, {_micros_of("finished")}, coalesce(host, '?'), coalesce(pid, 0),
        coalesce(version, '?'), convert_from(failure, 'UTF8')::json) ORDER BY fence)::text
    FROM {{ns}}.attempts a LEFT JOIN {{ns}}.workers w ON w.n = a.owner WHERE a.n = j.n
), (
    SELECT json_agg(json_build_array(verb, {_micros_of("at")}, actor) ORDER BY place)::text
    FROM {{ns}}.operations o WHERE o.n = j.n
), w.host, w.pid, w.version
{SHOWN} LEFT JOIN {{ns}}.workers w ON w.n = coalesce(d.owner, c.owner)
WHERE j.id = ANY ({{ids}}::uuid[])
""",
    "ids",
)
_STATES = query(f"SELECT j.id, {STATE}, {_thin('version')} {SHOWN} WHERE j.id = ANY ({{ids}}::uuid[])", "ids")
# Index: jobs_id_key. A quarter of the time that the states of 20 jobs take.
_EXISTING = query("SELECT id FROM {ns}.jobs WHERE id = ANY ({ids}::uuid[])", "ids")
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
        rows = self._store.look(_GET_WITH_HISTORY if attempts else _GET, uuids(ids))
        found = {row[1]: self._record(row) for row in rows}
        if attempts:
            for row in rows:
                _add_history(found[row[1]], row)
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

    def existing(self, ids: Sequence[bytes]) -> list[bytes]:
        """Return the ids of jobs that exist."""
        return [job_id for (job_id,) in self._store.look(_EXISTING, uuids(ids))]

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


class _Attempt(msgspec.Struct, array_like=True, gc=False):
    """A stored attempt, in the order of AttemptRecord."""

    number: int
    outcome: str
    started_at: int
    finished_at: int | None
    host: str
    pid: int
    version: str
    failure: Failure | None


_attempts = msgspec.json.Decoder(list[_Attempt])
_operations = msgspec.json.Decoder(list[tuple[str, int, str]])


def _add_history(job: JobRecord, row: Row) -> None:
    """Add the stored attempts and, from the job's own row, the one that runs or succeeded."""
    owner, attempts, operations = row[20], row[22], row[23]
    host, pid, version = row[24:27]
    stored = [] if attempts is None else _attempts.decode(attempts)
    if owner is not None and job.state in (State.RUNNING, State.SUCCESSFUL):
        if host is None:  # the worker is gone and forgotten
            host, pid, version = "?", 0, "?"
        times = (job.started_at or 0, job.finished_at)
        stored.append(_Attempt(job.attempt, job.state.value, *times, host, pid, version, None))
    job.attempts = [AttemptRecord(**msgspec.structs.asdict(attempt)) for attempt in stored]
    done = [] if operations is None else _operations.decode(operations)
    job.operations = [OperationRecord(*operation) for operation in done]


def _micros(moment: int | None) -> int | None:
    return None if moment is None else moment + EPOCH
