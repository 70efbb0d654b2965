"""The bare drain loop on PostgreSQL: python -m benchmarks.bare.postgres_drain --url postgresql://…

One process, one thread, one connection, `synchronous_commit` as the server has it (on). One statement settles the last
batch and claims the next one, so there is one durable commit for 500 jobs. Each job is decoded, handed to a no-op
function, and its result encoded; the clock is read once a job, since the end of one is the beginning of the next.

- Payloads are written once; a thin row stands in `ready`, moves to `claimed` and ends in `done`, which is the history:
  times, worker and result. That writes less log than updating one wide row (452 bytes a job against 735 to 2,193), and
  is faster with history kept.
- Public ids are UUIDv7 under a unique index; ordered by time, they are the cheapest ids that can be given out.
- The index over ready rows holds the row number only: first in, first out. A claim cannot cost less.
- Batches travel as binary arrays, packed by hand: psycopg's own dumper of lists takes 1 µs an element.
- The ready table is vacuumed every 50 batches, as autovacuum would with a nap of a second: without it the claims walk
  over what earlier ones left.

Left out, and therefore what a real queue adds: priorities, due times, several queues and tasks, attempts and retries,
fences and owners, counts, unique keys, options, a schema version, waking anybody.

Counted as every drain here: from the end of execution 5,000 to the end of execution 100,000 of a longer backlog. The
last line is JSON; the loop fails if not every job is done exactly once.
"""

from __future__ import annotations

import argparse
import json
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg.types.string import BytesBinaryDumper

from benchmarks.bare.sqlite_store import new_ids

BATCH = 500
VACUUM_EVERY = 50
_WORKER = 1
_EPOCH = 946_684_800_000_000

_SCHEMA: tuple[LiteralString, ...] = (
    """
    CREATE TABLE jobs (
        n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        enqueued timestamptz NOT NULL,
        id uuid NOT NULL UNIQUE,
        payload bytea NOT NULL
    )
    """,
    "CREATE TABLE ready (n bigint PRIMARY KEY) WITH (autovacuum_enabled = off)",
    "CREATE TABLE claimed (n bigint PRIMARY KEY, worker integer NOT NULL) WITH (autovacuum_enabled = off)",
    """
    CREATE TABLE done (
        n bigint PRIMARY KEY,
        started timestamptz NOT NULL,
        finished timestamptz NOT NULL,
        worker integer NOT NULL,
        result bytea
    )
    """,
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET plan_cache_mode = force_generic_plan",
)
_FILL: LiteralString = """
WITH stored AS (
    INSERT INTO jobs (enqueued, id, payload)
    SELECT now(), id, payload FROM unnest(%s::uuid[], %s::bytea[]) g(id, payload)
    RETURNING n
)
INSERT INTO ready SELECT n FROM stored
"""
_EXCHANGE: LiteralString = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%b::bigint[], %b::timestamptz[], %b::timestamptz[], %b::bytea[])
                  AS g(n, started, finished, result)
), settled AS (
    DELETE FROM claimed c USING given g WHERE c.n = g.n RETURNING c.n, c.worker, g.started, g.finished, g.result
), kept AS (
    INSERT INTO done SELECT n, started, finished, worker, result FROM settled
), locked AS MATERIALIZED (
    SELECT ctid AS place FROM ready ORDER BY n LIMIT %s FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM ready WHERE ctid = ANY (ARRAY(SELECT place FROM locked)) RETURNING n
), held AS (
    INSERT INTO claimed SELECT n, %s FROM taken
)
SELECT t.n, j.payload FROM taken t CROSS JOIN LATERAL (SELECT payload FROM jobs WHERE n = t.n OFFSET 0) j ORDER BY t.n
"""

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode

executed: list[int] = []


def noop(n: int) -> None:
    """The task: notes its argument, so that every execution is counted."""
    executed.append(n)


task: Callable[..., object] = noop


class Packed(bytes):
    """A binary array."""


class _PackedDumper(BytesBinaryDumper):
    oid = 0  # the statement's cast says what it is


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect and make the tables in an empty database."""
    connection = psycopg.connect(url, autocommit=True)
    connection.adapters.register_dumper(Packed, _PackedDumper)
    for statement in _SCHEMA:
        connection.execute(statement)
    return connection


def numbers(oid: int, values: Sequence[int]) -> Packed:
    """Return a bigint[] or a timestamptz[]."""
    flat = [8] * (2 * len(values))
    flat[1::2] = values
    head = struct.pack(">iiiii", 1, 0, oid, len(values), 1) if values else struct.pack(">iii", 0, 0, oid)
    return Packed(head + struct.pack(">" + "iq" * len(values), *flat))


def blobs(values: Sequence[bytes]) -> Packed:
    """Return a bytea[]."""
    parts = [struct.pack(">iiiii", 1, 0, 17, len(values), 1) if values else struct.pack(">iii", 0, 0, 17)]
    for value in values:
        parts += (struct.pack(">i", len(value)), value)
    return Packed(b"".join(parts))


def fill(connection: psycopg.Connection[Any], jobs: int) -> None:
    """Store `jobs` jobs, a batch in a transaction."""
    for start in range(0, jobs, BATCH):
        size = min(BATCH, jobs - start)
        ids = [id_.hex() for id_ in new_ids(size)]
        connection.execute(_FILL, (ids, [encode({"n": start + index}) for index in range(size)]))


def run(connection: psycopg.Connection[Any]) -> list[int]:
    """Work until nothing is ready; return when each execution ended, in microseconds."""
    ended: list[int] = []
    done: list[tuple[int, int, int, bytes]] = []
    cursor = connection.cursor(binary=True)
    for batch in range(1_000_000):
        n, started_at, finished_at, results = zip(*done, strict=True) if done else ((), (), (), ())
        values = (numbers(20, n), numbers(1184, started_at), numbers(1184, finished_at), blobs(results), BATCH, _WORKER)
        rows = cursor.execute(_EXCHANGE, values, prepare=True).fetchall()
        ended += [moment + _EPOCH for moment in finished_at]
        done = []
        if not rows:
            break
        if batch % VACUUM_EVERY == VACUUM_EVERY - 1:
            connection.execute("VACUUM (TRUNCATE off) ready, claimed")
        started = time.time_ns() // 1000 - _EPOCH
        for number, payload in rows:
            result = task(**decode(payload))
            finished = time.time_ns() // 1000 - _EPOCH
            done.append((number, started, finished, encode(result)))
            started = finished
    return ended


def measure(url: str, jobs: int) -> float:
    """Return jobs per second from execution 5 % to execution 100 % of `jobs`, out of a backlog that is 10 % longer."""
    executed.clear()
    backlog = jobs + jobs // 10
    with connect(url) as connection:
        fill(connection, backlog)
        ended = run(connection)
        found = connection.execute("SELECT count(*), count(DISTINCT n) FROM done").fetchall()
    assert found == [(backlog, backlog)], found
    assert executed == list(range(backlog)), "not every job was executed exactly once, in order"
    first = jobs // 20
    return (jobs - first) / (ended[jobs - 1] - ended[first - 1]) * 1e6


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="an empty database")
    parser.add_argument("--jobs", type=int, default=100_000)
    given = parser.parse_args()
    print(json.dumps({"loop": "postgres_drain", "jobs_per_second": round(measure(given.url, given.jobs))}))


if __name__ == "__main__":
    main()
