"""Storing new jobs: one statement for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from psycopg.errors import UniqueViolation

from ...errors import BrokerUnavailable, ConfigurationError
from ..records import Enqueued, NewJob
from ..statements import Statement
from .names import Names
from .store import Session, Store
from .wire import Value, byteas, int2s, int4s, int8s, moments, texts, uuids

Item = tuple[NewJob, int, int]
"""A job with the numbers of its task and its queue."""

_GIVEN = """
WITH given AS MATERIALIZED (
    SELECT nextval('{ns}.job_numbers') AS n, g.id, g.task, g.queue, g.rank, g.expires, g.key, g.options, g.payload,
           coalesce(g.due, {now} + g.delay * interval '1 microsecond') AS due
    FROM unnest($2::uuid[], $3::integer[], $4::integer[], $5::smallint[], $6::timestamptz[], $7::bigint[],
                $8::timestamptz[], $9::text[], $10::bytea[], $11::bytea[])
         AS g(id, task, queue, rank, due, delay, expires, key, options, payload)
)"""
_INSERT = """
INSERT INTO {ns}.jobs (n, enqueued, due, expires, task, queue, id, rank, unique_key, options, payload)
"""
_STORED = "RETURNING n, enqueued, coalesce(due, enqueued) AS due, expires, task, queue, id, rank, unique_key"
# What follows a job into the other tables. It is ready, or due later, by the clock of this statement.
_FOLLOW = """
), waiting AS (
    INSERT INTO {ns}.ready (n, due, expires, task, queue, rank, keyed)
    SELECT n, due, expires, task, queue, rank, unique_key IS NOT NULL FROM stored WHERE due <= enqueued
), later AS (
    INSERT INTO {ns}.scheduled (n, due, expires, task, queue, rank, keyed)
    SELECT n, due, expires, task, queue, rank, unique_key IS NOT NULL FROM stored WHERE due > enqueued
), counted AS (
    INSERT INTO {ns}.counts (queue, state, jobs)
    SELECT queue, (due <= enqueued)::integer, count(*) FROM stored GROUP BY 1, 2
)"""

# Guarantees: the jobs of the batch, in its order, or none. Index: jobs_id_key.
_STORE = f"""{_GIVEN}, stored AS (
    {_INSERT}
    SELECT n, {{now}}, nullif(due, {{now}}), expires, task, queue, id, rank, NULL, options, payload FROM given
    %s {_STORED}
{_FOLLOW}
SELECT %s FROM stored
"""
_STORE_NEW = _STORE % ("", "count(*)")
"""Fails where an id exists: ON CONFLICT would log 48 bytes more for each job."""
_STORE_ANY = _STORE % ("ON CONFLICT (id) DO NOTHING", "id")
"""Stores what is new; returns the ids of that."""

# The same with unique keys. A job is stored if it has none or its key was free: then the key is its. Keys are taken in
# their order, so that no two batches wait for each other; a key that an open transaction holds is waited for.
_STORE_KEYED = f"""{_GIVEN}, held AS (
    INSERT INTO {{ns}}.keys (key, n)
    SELECT key, n FROM given
    WHERE key IS NOT NULL AND NOT EXISTS (SELECT FROM {{ns}}.jobs j WHERE j.id = given.id) ORDER BY key, n
    ON CONFLICT (key) DO NOTHING RETURNING n
), stored AS (
    {_INSERT}
    SELECT n, {{now}}, nullif(due, {{now}}), expires, task, queue, id, rank, key, options, payload FROM given
    WHERE key IS NULL OR n IN (SELECT n FROM held)
    ON CONFLICT (id) DO NOTHING {_STORED}
{_FOLLOW}
SELECT n, id FROM stored UNION ALL SELECT n, NULL FROM held
"""
# An id came twice at once: the key that was taken for the second one is free again.
_FREE = "DELETE FROM {ns}.keys WHERE n = ANY ($1::bigint[])"
_EXISTING = "SELECT id FROM {ns}.jobs WHERE id = ANY ($1::uuid[])"
_HOLDERS = "SELECT k.key, j.id FROM {ns}.keys k JOIN {ns}.jobs j ON j.n = k.n WHERE k.key = ANY ($1::text[])"


def store(store: Store, names: Names, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """Store a batch in one durable transaction; answer for each job in order. One item's error is its own (R47)."""
    errors: dict[int, Exception] = {}
    items: list[Item] = []
    for place, job in enumerate(jobs):
        try:
            items.append((job, names.task_id(job.task), names.queue_id(job.queue, job.task)))
        except ConfigurationError as error:
            errors[place] = error
    answers = iter(_store(store, items) if items else ())
    return [
        Enqueued(job.id, created=False, error=errors[place]) if place in errors else next(answers)
        for place, job in enumerate(jobs)
    ]


def _store(store: Store, items: list[Item]) -> list[Enqueued]:
    if any(job.unique_key is not None for job, _, _ in items):
        return store.transact(lambda session: _store_keyed(session, items))
    parameters = _parameters(items)
    try:
        store.run(_STORE_NEW, *parameters)
    except BrokerUnavailable as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        return _answers(items, {id_ for (id_,) in store.run(_STORE_ANY, *parameters)}, {})
    return [Enqueued(job.id) for job, _, _ in items]


def _store_keyed(session: Session, items: list[Item]) -> list[Enqueued]:
    """Store a batch with unique keys."""
    created: set[bytes] = set()
    holders: dict[bytes, bytes] = {}
    left = items
    while left:
        created |= _insert_keyed(session, left)
        refused = [item for item in left if item[0].id not in created]
        left = _find_holders(session, refused, holders)
    return _answers(items, created, holders)


def _insert_keyed(session: Session, items: list[Item]) -> set[bytes]:
    """Insert what can be; return the ids that are new."""
    rows = session.run(_STORE_KEYED, *_parameters(items))
    stored = {n: id_ for n, id_ in rows if id_ is not None}
    orphans = [n for n, id_ in rows if id_ is None and n not in stored]
    if orphans:
        session.run(_FREE, int8s(orphans))
    return set(stored.values())


def _find_holders(session: Session, refused: list[Item], holders: dict[bytes, bytes]) -> list[Item]:
    """Note whose key stands in the way of which id; return what can be tried again, since its holder has ended."""
    if not refused:
        return []
    existing = {id_ for (id_,) in session.run(_EXISTING, uuids([job.id for job, _, _ in refused]))}
    others = [item for item in refused if item[0].id not in existing]
    keys = [job.unique_key for job, _, _ in others]
    found: dict[Any, bytes] = dict(session.run(_HOLDERS, texts(keys))) if keys else {}
    holders |= {job.id: found[job.unique_key] for job, _, _ in others if job.unique_key in found}
    return [item for item in others if item[0].unique_key not in found]


def _answers(items: list[Item], created: set[bytes], holders: dict[bytes, bytes]) -> list[Enqueued]:
    """Return an answer for each item; of two with one id the first one made the job."""
    answers = []
    for job, _, _ in items:
        if job.id in created:
            created.remove(job.id)
            answers.append(Enqueued(job.id))
        else:
            answers.append(Enqueued(holders.get(job.id, job.id), created=False))
    return answers


def _parameters(items: list[Item]) -> tuple[Value, ...]:
    """Return the columns of a batch as arrays."""
    jobs = [job for job, _, _ in items]
    return (
        uuids([job.id for job in jobs]),
        int4s([task for _, task, _ in items]),
        int4s([queue for _, _, queue in items]),
        int2s([-job.priority for job in jobs]),
        moments([job.due for job in jobs]),
        int8s([job.delay for job in jobs]),
        moments([job.expires for job in jobs]),
        texts([job.unique_key for job in jobs]),
        byteas([job.options for job in jobs]),
        byteas([job.payload for job in jobs]),
    )


# -- in the caller's own transaction ------------------------------------------------------------------------------

# The names stand in it as numbers: they were committed before, and a caller that reads at an older snapshot need not
# see them. All values are cast, and the answer is of plain types, whatever the caller's connection makes of others.
_MICROS = "(timestamptz 'epoch' + %s::bigint * interval '1 microsecond')"
_FOREIGN_GIVEN = f"""
WITH moment AS MATERIALIZED (SELECT coalesce({_MICROS}, clock_timestamp()) AS now), given AS MATERIALIZED (
    SELECT nextval('{{ns}}.job_numbers') AS n, now, encode(%s::bytea, 'hex')::uuid AS id, %s::integer AS task,
           %s::integer AS queue, %s::smallint AS rank, coalesce({_MICROS}, now + %s::bigint * interval '1 microsecond')
           AS due, {_MICROS} AS expires, %s::text AS key, %s::bytea AS options, %s::bytea AS payload
    FROM moment
)"""
# Guarantees: the job and its count, exactly if the caller commits. Index: jobs_id_key.
_FOREIGN_STORE = f"""{_FOREIGN_GIVEN}, stored AS (
    {_INSERT}
    SELECT n, now, nullif(due, now), expires, task, queue, id, rank, key, options, payload FROM given
    ON CONFLICT (id) DO NOTHING {_STORED}
{_FOLLOW}
SELECT decode(replace(id::text, '-', ''), 'hex') AS id, EXISTS (SELECT FROM stored) AS created FROM given
"""
# The same for a job that is ready at once and for good, which most are: half the time to plan, 0.7 to execute. Numbers
# are written into the text: a driver takes about as long for a parameter as the server for a row.
# Guarantees and index as above.
_FOREIGN_STORE_READY = """
WITH stored AS (
    INSERT INTO {ns}.jobs (n, enqueued, task, queue, id, rank, options, payload)
    VALUES (nextval('{ns}.job_numbers'), clock_timestamp(), [task], [queue], encode(%s::bytea, 'hex')::uuid, [rank],
            %s::bytea, %s::bytea)
    ON CONFLICT (id) DO NOTHING RETURNING n, enqueued
), waiting AS (
    INSERT INTO {ns}.ready (n, due, task, queue, rank, keyed)
    SELECT n, enqueued, [task], [queue], [rank], false FROM stored
), counted AS (
    INSERT INTO {ns}.counts (queue, state, jobs) SELECT [queue], 1, 1 FROM stored
)
SELECT %s::bytea AS id, EXISTS (SELECT FROM stored) AS created
"""
# With a unique key. An open transaction that holds the key is waited for, so the answer needs a statement of its own,
# which sees what was committed meanwhile. currval is the number that the first one drew in this session.
_FOREIGN_STORE_KEYED = f"""{_FOREIGN_GIVEN}, held AS (
    INSERT INTO {{ns}}.keys (key, n)
    SELECT key, n FROM given WHERE NOT EXISTS (SELECT FROM {{ns}}.jobs j WHERE j.id = given.id)
    ON CONFLICT (key) DO NOTHING RETURNING n
), stored AS (
    {_INSERT}
    SELECT n, now, nullif(due, now), expires, task, queue, id, rank, key, options, payload FROM given
    WHERE EXISTS (SELECT FROM held)
    ON CONFLICT (id) DO NOTHING {_STORED}
{_FOLLOW}
SELECT n FROM stored
"""
_FOREIGN_ANSWER = """
SELECT decode(replace(j.id::text, '-', ''), 'hex') AS id, j.n = currval('{ns}.job_numbers') AS created
FROM {ns}.jobs j
WHERE j.id = encode(%s::bytea, 'hex')::uuid OR j.n = (SELECT n FROM {ns}.keys WHERE key = %s::text)
ORDER BY j.id <> encode(%s::bytea, 'hex')::uuid LIMIT 1
"""


def foreign_statements(store: Store, names: Names, job: NewJob, now: int | None) -> list[Statement]:
    """Return the enqueue of one job for a psycopg-like connection that is not ours.

    Raises ConfigurationError for a queue of the other kind.
    """
    queue, task = names.queue_id(job.queue, job.task, shown=False), names.task_id(job.task)
    if now is job.due is job.expires is None and job.unique_key is None and not job.delay:
        text = _with_numbers(store.text(_FOREIGN_STORE_READY)[0], task, queue, -job.priority)
        return [Statement(text, (job.id, job.options, job.payload, job.id))]
    values = (
        *(now, job.id, task, queue, -job.priority, job.due, job.delay, job.expires),
        *(job.unique_key, job.options, job.payload),
    )
    if job.unique_key is None:
        return [Statement(store.text(_FOREIGN_STORE)[0], values)]
    return [
        Statement(store.text(_FOREIGN_STORE_KEYED)[0], values),
        Statement(store.text(_FOREIGN_ANSWER)[0], (job.id, job.unique_key, job.id)),
    ]


@lru_cache(maxsize=256)
def _with_numbers(text: str, task: int, queue: int, rank: int) -> str:
    for name, number in (("[task]", task), ("[queue]", queue), ("[rank]", rank)):
        text = text.replace(name, str(int(number)))
    return text
