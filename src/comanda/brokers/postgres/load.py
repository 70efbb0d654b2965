"""Storing jobs of another store as they are, histories included."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...clock import Micros
from ..arrival import Arrival, arriving, who
from ..codes import codes_of
from ..records import ELSEWHERE, JobRecord
from .names import Names
from .statements import query
from .store import Session, Store
from .wire import Value, byteas, int2s, int4s, int8s, moments, texts, uuids

_encode = msgspec.json.Encoder().encode

Who = tuple[str, int, str]
"""Host, pid and version of a worker."""

# An unfinished job needs its unique key; where that is held, or the id exists, what is here stays as it is.
# Indexes: jobs_id_key, keys_pkey.
_LOAD = query(
    """
WITH given AS MATERIALIZED (
    SELECT nextval('{ns}.job_numbers') AS n, g.*
    FROM unnest({ids}::uuid[], {tasks}::integer[], {queues}::integer[], {ranks}::smallint[], {enqueued}::timestamptz[],
                {dues}::timestamptz[], {expires}::timestamptz[], {keys}::text[], {options}::bytea[],
                {payloads}::bytea[], {states}::smallint[], {attempts}::integer[], {crashes}::smallint[],
                {started}::timestamptz[], {finished}::timestamptz[], {results}::bytea[], {owners}::integer[])
         AS g(id, task, queue, rank, enqueued, due, expires, key, options, payload, state, attempt, crashes, started,
              finished, result, owner)
), held AS (
    INSERT INTO {ns}.keys (key, n)
    SELECT key, n FROM given
    WHERE key IS NOT NULL AND state < 2 AND NOT EXISTS (SELECT FROM {ns}.jobs j WHERE j.id = given.id) ORDER BY key, n
    ON CONFLICT (key) DO NOTHING RETURNING n
), stored AS (
    INSERT INTO {ns}.jobs (n, enqueued, due, expires, task, queue, id, rank, unique_key, options, payload)
    SELECT n, enqueued, nullif(due, enqueued), expires, task, queue, id, rank, key, options, payload FROM given
    WHERE key IS NULL OR state > 2 OR n IN (SELECT n FROM held)
    ON CONFLICT (id) DO NOTHING RETURNING n
), new AS MATERIALIZED (
    SELECT * FROM given WHERE n IN (SELECT n FROM stored)
), waiting AS (
    INSERT INTO {ns}.ready (n, due, expires, task, queue, attempt, rank, crashes, keyed)
    SELECT n, due, expires, task, queue, attempt, rank, crashes, key IS NOT NULL FROM new WHERE state = 1
), later AS (
    INSERT INTO {ns}.scheduled (n, due, expires, task, queue, attempt, rank, crashes, keyed)
    SELECT n, due, expires, task, queue, attempt, rank, crashes, key IS NOT NULL FROM new WHERE state = 0
), over AS (
    INSERT INTO {ns}.done (n, due, expires, started, finished, owner, fence, version, attempt, state, crashes, result)
    SELECT n, due, expires, started, coalesce(finished, enqueued), owner, 0, 0, attempt, state, crashes, result
    FROM new WHERE state > 2
), counted AS (
    INSERT INTO {ns}.counts (queue, state, jobs) SELECT queue, state, count(*) FROM new GROUP BY queue, state
)
SELECT n, id FROM new UNION ALL SELECT n, NULL FROM held WHERE n NOT IN (SELECT n FROM stored)
""",
    *("ids", "tasks", "queues", "ranks", "enqueued", "dues", "expires", "keys", "options", "payloads", "states"),
    *("attempts", "crashes", "started", "finished", "results", "owners"),
)
_FREE = query("DELETE FROM {ns}.keys WHERE n = ANY ({numbers}::bigint[])", "numbers")
# Workers that this store never had, so that attempts can name them.
_ADD_WORKERS = query(
    f"""
INSERT INTO {{ns}}.workers (host, pid, version, kind, tasks, started, beat_at, ended)
SELECT host, pid, version, '{ELSEWHERE}', ARRAY[]::integer[], {{now}}, {{now}}, {{now}}
FROM unnest({{hosts}}::text[], {{pids}}::integer[], {{versions}}::text[]) AS g(host, pid, version) RETURNING n
""",
    *("hosts", "pids", "versions"),
)
_ADD_ATTEMPTS = query(
    """
INSERT INTO {ns}.attempts (n, fence, number, owner, started, finished, outcome, failure)
SELECT * FROM unnest({numbers}::bigint[], {fences}::integer[], {attempts}::integer[], {owners}::integer[],
                     {started}::timestamptz[], {finished}::timestamptz[], {outcomes}::text[], {failures}::bytea[])
""",
    *("numbers", "fences", "attempts", "owners", "started", "finished", "outcomes", "failures"),
)
_ADD_OPERATIONS = query(
    """
INSERT INTO {ns}.operations (n, at, verb, actor)
SELECT * FROM unnest({numbers}::bigint[], {moments}::timestamptz[], {verbs}::text[], {actors}::text[])
""",
    *("numbers", "moments", "verbs", "actors"),
)


def load(store: Store, names: Names, jobs: Sequence[JobRecord], now: Micros) -> list[bool]:
    """Store jobs in one durable transaction; say for each whether it is new here.

    Raises ConfigurationError, and stores nothing, when a queue is of the other kind here.
    """
    tasks = [names.task_id(job.task) for job in jobs]
    queues = [names.queue_id(job.queue, job.task) for job in jobs]
    arrivals = [arriving(job, now) for job in jobs]

    def body(session: Session) -> list[bool]:
        workers = _add_workers(session, arrivals)
        owners = [None if arrival.success is None else workers[who(arrival.success)] for arrival in arrivals]
        stored = [arrival.job for arrival in arrivals]
        rows = session.run(_LOAD, *_values(stored, tasks, queues), int4s(owners))
        numbers = {id_: n for n, id_ in rows if id_ is not None}
        orphans = [n for n, id_ in rows if id_ is None]
        if orphans:
            session.run(_FREE, int8s(orphans))
        answers = []
        new: list[tuple[int, Arrival]] = []
        for arrival in arrivals:
            n = numbers.pop(arrival.job.id, None)  # of two with one id, the first is the one that is stored
            answers.append(n is not None)
            if n is not None:
                new.append((n, arrival))
        _add_histories(session, new, workers)
        return answers

    return store.transact(body)


def _add_workers(session: Session, arrivals: list[Arrival]) -> dict[Who, int]:
    """Return a number for each worker that ran something elsewhere."""
    ran = [attempt for arrival in arrivals for attempt in (*arrival.attempts, arrival.success) if attempt is not None]
    everybody = sorted({who(attempt) for attempt in ran})
    if not everybody:
        return {}
    hosts, pids, versions = zip(*everybody, strict=True)
    rows = session.run(_ADD_WORKERS, texts(hosts), int4s(pids), texts(versions))
    return dict(zip(everybody, (n for (n,) in rows), strict=True))


def _values(jobs: Sequence[JobRecord], tasks: list[int], queues: list[int]) -> tuple[Value, ...]:
    states = [codes_of((job.state,))[0] for job in jobs]
    ended = [job.state.is_terminal for job in jobs]
    return (
        uuids([job.id for job in jobs]),
        int4s(tasks),
        int4s(queues),
        int2s([-job.priority for job in jobs]),
        moments([job.enqueued_at for job in jobs]),
        moments([job.due for job in jobs]),
        moments([job.expires for job in jobs]),
        texts([job.unique_key for job in jobs]),
        byteas([job.options for job in jobs]),
        byteas([job.payload for job in jobs]),
        int2s(states),
        int4s([job.attempt for job in jobs]),
        int2s([job.crashes for job in jobs]),
        moments([job.started_at if over else None for job, over in zip(jobs, ended, strict=True)]),
        moments([job.finished_at if over else None for job, over in zip(jobs, ended, strict=True)]),
        byteas([job.result for job in jobs]),
    )


def _add_histories(session: Session, new: list[tuple[int, Arrival]], workers: dict[Who, int]) -> None:
    """Add attempts, with fences below those of any claim to come, and operations."""
    attempts = [
        (n, fence, attempt)
        for n, arrival in new
        for fence, attempt in enumerate(arrival.attempts, 1 - len(arrival.attempts))
    ]
    if attempts:
        session.run(
            _ADD_ATTEMPTS,
            int8s([n for n, _, _ in attempts]),
            int4s([fence for _, fence, _ in attempts]),
            int4s([attempt.number for _, _, attempt in attempts]),
            int4s([workers[who(attempt)] for _, _, attempt in attempts]),
            moments([attempt.started_at for _, _, attempt in attempts]),
            moments([attempt.finished_at for _, _, attempt in attempts]),
            texts([attempt.outcome for _, _, attempt in attempts]),
            byteas([None if attempt.failure is None else _encode(attempt.failure) for _, _, attempt in attempts]),
        )
    operations = [(n, operation) for n, arrival in new for operation in arrival.operations]
    if operations:
        session.run(
            _ADD_OPERATIONS,
            int8s([n for n, _ in operations]),
            moments([operation.at for _, operation in operations]),
            texts([operation.verb for _, operation in operations]),
            texts([operation.actor for _, operation in operations]),
        )
