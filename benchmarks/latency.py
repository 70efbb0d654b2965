"""How long one job takes while nothing else happens: python -m benchmarks.latency --library apsw

A worker with default settings waits in another process. Before each job the caller sleeps a few milliseconds, so that
the worker is asleep when the job comes. Measured on the monotonic clock, which a host's processes share:

start    from before `enqueue()` (its durable commit is part of it) to the first line of the task
result   from before `enqueue()` to the return of `job.result()`
idle     the processor time that all processes of the worker take while nothing happens, in percent of one core
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from benchmarks.store import STORES, fresh, worker

PROC = Path("/proc")


def measure(
    library: str, jobs: int = 500, idle: float = 10.0, pause: float = 0.01, directory: Path | None = None
) -> dict[str, float]:
    """Return milliseconds to the start and to the result, and the idle worker's share of a core in percent.

    `idle` is how many seconds the worker is watched doing nothing; `pause` the mean sleep before each job.
    """
    with fresh(library, directory) as tasks, worker(tasks) as pid:
        tasks.started.enqueue().result(timeout=60)
        starts, results = [], []
        for _ in range(jobs):
            time.sleep(random.uniform(0.5, 1.5) * pause)  # noqa: S311 - no secret
            begin = time.monotonic_ns()
            started = tasks.started.enqueue().result(timeout=60)
            results.append((time.monotonic_ns() - begin) / 1e6)
            starts.append((started - begin) / 1e6)
        busy = cpu_seconds(pid)
        time.sleep(idle)
        busy = cpu_seconds(pid) - busy
    return {
        "start_p50_ms": median(starts),
        "start_p99_ms": quantiles(starts, n=100)[98],
        "result_p50_ms": median(results),
        "result_p99_ms": quantiles(results, n=100)[98],
        "idle_percent": 100 * busy / idle,
    }


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants so far; not a number where there is no /proc."""
    if not PROC.is_dir():
        return float("nan")
    return sum(_own_seconds(process) for process in (pid, *_descendants(pid)))


def _own_seconds(pid: int) -> float:
    """Add up its threads: `schedstat` counts nanoseconds, where `stat` counts ticks of 10 ms."""
    threads = (PROC / str(pid) / "task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _descendants(pid: int) -> Iterator[int]:
    for status in PROC.glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        if int(fields[1]) == pid:
            child = int(status.parent.name)
            yield child
            yield from _descendants(child)


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=STORES, default="sqlite3")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--idle", type=float, default=10.0)
    parser.add_argument(
        "--directory", type=Path, help="where the files are made (default: the system's temporary files)"
    )
    given = parser.parse_args()
    print(json.dumps(measure(given.library, given.jobs, given.idle, directory=given.directory)))


if __name__ == "__main__":
    main()
