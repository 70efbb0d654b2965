"""The bare drain loop on SQLite: python -m benchmarks.bare.sqlite_drain --library apsw

One process, one thread, one connection. A transaction settles the last batch and claims the next one (fused: +41 % at a
batch of 100), so there is one durable commit for 500 jobs. Each job is decoded, handed to a no-op function, and its
result encoded; the clock is read once a job, since the end of one is the beginning of the next.

What was tried and is not faster: settling by one UPDATE from json_each (a fifth slower with apsw, equal with sqlite3)
and switching the garbage collector off (equal). No fence and no owner is checked: nobody else works on the file.

Counted as every drain here: from the end of execution 5,000 to the end of execution 100,000 of a longer backlog. The
last line is JSON; the loop fails if not every job is done exactly once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.bare.sqlite_store import INSERT, LIBRARIES, create, new_ids

BATCH = 500
_WORKER = 1

_CLAIM = """
UPDATE jobs SET state = 2, worker = ?, started = ?
WHERE n IN (SELECT n FROM jobs WHERE state = 1 ORDER BY n LIMIT ?)
RETURNING n, payload
"""
_SETTLE = "UPDATE jobs SET state = 3, started = ?, finished = ?, result = ? WHERE n = ?"

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode

executed: list[int] = []


def noop(n: int) -> None:
    """The task: notes its argument, so that every execution is counted."""
    executed.append(n)


task: Callable[..., object] = noop


def fill(connection: Any, jobs: int) -> None:
    """Store `jobs` jobs, a batch in a transaction."""
    for start in range(0, jobs, BATCH):
        size = min(BATCH, jobs - start)
        moment = time.time_ns() // 1000
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            INSERT, [(id_, moment, encode({"n": start + index})) for index, id_ in enumerate(new_ids(size))]
        )
        connection.execute("COMMIT")


def run(connection: Any) -> list[int]:
    """Work until nothing is ready; return when each execution ended, in microseconds."""
    ended: list[int] = []
    done: list[tuple[int, int, bytes, int]] = []
    while True:
        started = time.time_ns() // 1000
        connection.execute("BEGIN IMMEDIATE")
        if done:
            connection.executemany(_SETTLE, done)
            ended += [row[1] for row in done]
        rows = connection.execute(_CLAIM, (_WORKER, started, BATCH)).fetchall()
        connection.execute("COMMIT")
        done = []
        if not rows:
            return ended
        for n, payload in rows:
            result = task(**decode(payload))
            finished = time.time_ns() // 1000
            done.append((started, finished, encode(result), n))
            started = finished


def measure(library: str, jobs: int, directory: Path | None = None) -> float:
    """Return jobs per second from execution 5 % to execution 100 % of `jobs`, out of a backlog that is 10 % longer."""
    executed.clear()
    backlog = jobs + jobs // 10
    with tempfile.TemporaryDirectory(dir=directory) as place:
        connection = create(library, Path(place) / "bare.db")
        fill(connection, backlog)
        ended = run(connection)
        states = connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        connection.close()
    assert states == [(3, backlog)], states
    assert executed == list(range(backlog)), "not every job was executed exactly once, in order"
    first = jobs // 20
    return (jobs - first) / (ended[jobs - 1] - ended[first - 1]) * 1e6


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=LIBRARIES, default="sqlite3")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="where the file is made (default: the system's temporary files)")
    given = parser.parse_args()
    rate = measure(given.library, given.jobs, given.directory)
    print(json.dumps({"loop": "sqlite_drain", "library": given.library, "jobs_per_second": round(rate)}))


if __name__ == "__main__":
    main()
