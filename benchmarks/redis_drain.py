"""How many jobs a second one worker drains on Redis: python -m benchmarks.redis_drain --url redis://127.0.0.1:6379/0

As `benchmarks.drain`: one worker with one child and default settings, no-op synchronous tasks, results and history on,
counted from the end of execution 5,000 to the end of execution 100,000, each run beside the bare loop, with the
exact-delivery check. Both run on the server named, one after the other, so how durable they are is the server's affair:
`--appendonly yes --appendfsync always` for what SQLite does. Keep it from rewriting its log meanwhile
(`--auto-aof-rewrite-percentage 0`): that takes the second core at some moment of some run. The database must be empty,
and is emptied after each run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import redis

from benchmarks.drain import JOBS, _ends
from benchmarks.store import worker
from benchmarks.tasks import declare

_CHUNK = 10_000


def drain(url: str, jobs: int = JOBS) -> float:
    """Return jobs per second from execution 5 % to execution 100 % of `jobs`, out of a backlog that is 10 % longer."""
    backlog = jobs + jobs // 10
    tasks = declare(url)
    try:
        for start in range(0, backlog, _CHUNK):
            tasks.app.enqueue_many(tasks.noop.call(n) for n in range(start, min(start + _CHUNK, backlog)))
        with worker(tasks):
            ended = _ends(tasks, backlog)
            executions = tasks.executed.enqueue().result(timeout=60)
    finally:
        tasks.app.close()
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    assert executions == (backlog, backlog), f"executions, different jobs: {executions}, expected {backlog} of each"
    first = jobs // 20
    return (jobs - first) / (ended[jobs - 1] - ended[first - 1]) * 1e6


def bare(url: str, jobs: int = JOBS) -> float:
    """Return the jobs per second of the bare loop, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bare.redis_drain", "--url", url, "--jobs", str(jobs)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(json.loads(answer.stdout)["jobs_per_second"])


def measure(url: str, runs: int, jobs: int = JOBS) -> dict[str, float]:
    """Return the medians of interleaved runs, and their ratio."""
    loops, workers = [], []
    for _ in range(runs):
        loops.append(bare(url, jobs))
        workers.append(drain(url, jobs))
    return {
        "jobs_per_second": median(workers),
        "slowest": min(workers),
        "fastest": max(workers),
        "bare": median(loops),
        "ratio": median(workers) / median(loops),
    }


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(measure(given.url, given.runs, given.jobs)))


if __name__ == "__main__":
    main()
