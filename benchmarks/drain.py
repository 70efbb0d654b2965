"""How many jobs a second one worker drains: python -m benchmarks.drain --library apsw --runs 5

One worker with one child and default settings, no-op synchronous tasks, results and history on, everything durable
(synchronous=FULL on SQLite, synchronous_commit and fsync on PostgreSQL, appendfsync=always on Redis). All jobs are
enqueued before the worker starts. Counted from the end of execution 5,000 to the end of execution 100,000, by the times
that the store keeps of each job, so that measuring costs the worker nothing.
Each run ends with the exact-delivery check: N in, N done, none twice, none left. A bare loop runs before each run of
the worker, and the ratio is that of the medians.

`--backlog 1000000` measures the same 95,000 executions at the head of a deep backlog.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.servers import SERVERS
from benchmarks.store import STORES, fresh, worker
from benchmarks.tasks import Tasks
from comanda.brokers.records import JobFilter, State

JOBS = 100_000
_CHUNK = 10_000


def drain(library: str, jobs: int = JOBS, backlog: int | None = None, directory: Path | None = None) -> float:
    """Return jobs per second from execution 5 % to execution 100 % of `jobs`, out of `backlog` (10 % more)."""
    backlog = backlog or jobs + jobs // 10
    with fresh(library, directory) as tasks:
        for start in range(0, backlog, _CHUNK):
            tasks.app.enqueue_many(tasks.noop.call(n) for n in range(start, min(start + _CHUNK, backlog)))
        with worker(tasks):
            ended = _ends(tasks, backlog)
            executions = tasks.executed.enqueue().result(timeout=60)
    assert executions == (backlog, backlog), f"executions, different jobs: {executions}, expected {backlog} of each"
    first = jobs // 20
    return (jobs - first) / (ended[jobs - 1] - ended[first - 1]) * 1e6


def bare(library: str, jobs: int = JOBS, directory: Path | None = None) -> float:
    """Return the jobs per second of the bare loop, in a process of its own."""
    if library in SERVERS:
        with SERVERS[library]() as url:
            return _run_bare(f"{library}_drain", "--url", url, "--jobs", str(jobs))
    place = [] if directory is None else ["--directory", str(directory)]
    return _run_bare("sqlite_drain", "--library", library, "--jobs", str(jobs), *place)


def _run_bare(loop: str, *arguments: str) -> float:
    command = [sys.executable, "-m", f"benchmarks.bare.{loop}", *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(json.loads(answer.stdout)["jobs_per_second"])


def _ends(tasks: Tasks, jobs: int) -> list[int]:
    """Wait until all jobs have ended well; return when each did (µs), in order."""
    broker = tasks.app.broker
    while (counts := broker.counts()) != {("default", State.SUCCESSFUL): jobs}:
        wrong = [key for key in counts if key[1] in (State.FAILED, State.CANCELLED, State.EXPIRED)]
        assert not wrong, f"jobs ended as {wrong}"
        time.sleep(0.2)
    ended: list[int] = []
    last = None
    while page := broker.find(JobFilter(), limit=_CHUNK, after=last, oldest_first=True):
        assert all(record.attempt == 1 and record.fence == 1 for record in page), "a job was claimed twice"
        ended += [record.finished_at or 0 for record in page]
        last = page[-1].id
    assert len(ended) == jobs
    return sorted(ended)


def measure(
    library: str, runs: int, jobs: int = JOBS, backlog: int | None = None, directory: Path | None = None
) -> dict[str, float]:
    """Return the medians of interleaved runs, and their ratio."""
    loops, workers = [], []
    for _ in range(runs):
        loops.append(bare(library, jobs, directory))
        workers.append(drain(library, jobs, backlog, directory))
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
    parser.add_argument("--library", choices=STORES, default="sqlite3")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--backlog", type=int, help="jobs enqueued before the worker starts (default: 10 %% more)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--directory", type=Path, help="where the files are made (default: the system's temporary files)"
    )
    given = parser.parse_args()
    print(json.dumps(measure(given.library, given.runs, given.jobs, given.backlog, given.directory)))


if __name__ == "__main__":
    main()
