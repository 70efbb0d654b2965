"""How many jobs a second one process enqueues: python -m benchmarks.enqueue --library apsw --runs 10

Each call returns after its job is durable. In one process and one round after the other, each for half a second: the
bare loop that commits each row, one caller, 8 threads, 100 coroutines; the order turns by one each round. The ratios
are those of the medians. `share` is the slowest thread's jobs by the fastest one's, in the worst round. At the end
every job enqueued must be in the store, exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.bare.sqlite_enqueue import Producer as BareProducer
from benchmarks.store import SCHEMES, fresh
from benchmarks.tasks import Tasks
from comanda.brokers.records import State

THREADS = 8
COROUTINES = 100
SECONDS = 0.5
"""Length of one slice: short, so that a slow minute of the machine meets all of them."""


class Callers:
    """The ways to enqueue. Each enqueues for some seconds and returns jobs per second."""

    def __init__(self, tasks: Tasks) -> None:
        self._noop = tasks.noop
        self.stored = 0
        self.shares: list[float] = []

    def one(self, seconds: float) -> float:
        """One thread, one call after the other."""
        begin = time.perf_counter()
        jobs = self._call_until(begin + seconds)
        self.stored += jobs
        return jobs / (time.perf_counter() - begin)

    def threads(self, seconds: float) -> float:
        """8 threads at the same time; notes the share of the slowest."""
        jobs = [0] * THREADS
        begin = time.perf_counter()

        def work(index: int) -> None:
            jobs[index] = self._call_until(begin + seconds)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - begin
        self.stored += sum(jobs)
        self.shares.append(min(jobs) / max(jobs))
        return sum(jobs) / took

    def coroutines(self, seconds: float) -> float:
        """100 coroutines on one loop."""
        begin = time.perf_counter()
        jobs = asyncio.run(self._gather(begin + seconds))
        self.stored += jobs
        return jobs / (time.perf_counter() - begin)

    def _call_until(self, end: float) -> int:
        enqueue, clock = self._noop.enqueue, time.perf_counter
        for jobs in itertools.count():
            if clock() >= end and jobs:
                return jobs
            enqueue(jobs)
        raise AssertionError

    async def _gather(self, end: float) -> int:
        return sum(await asyncio.gather(*[self._await_until(end) for _ in range(COROUTINES)]))

    async def _await_until(self, end: float) -> int:
        enqueue, clock = self._noop.aenqueue, time.perf_counter
        jobs = 0
        while clock() < end or not jobs:
            await enqueue(jobs)
            jobs += 1
        return jobs


def measure(library: str, runs: int, seconds: float = SECONDS, directory: Path | None = None) -> dict[str, float]:
    """Return the medians of interleaved slices, their ratios to the bare loop, and the worst share."""
    with fresh(library, directory) as tasks, tempfile.TemporaryDirectory(dir=directory) as place:
        bare = BareProducer(library, Path(place) / "bare.db")
        callers = Callers(tasks)
        ways: list[tuple[str, Callable[[float], float]]] = [
            ("bare", bare.enqueue_for),
            ("one", callers.one),
            ("threads", callers.threads),
            ("coroutines", callers.coroutines),
        ]
        rates: dict[str, list[float]] = {name: [] for name, _ in ways}
        for run in range(runs):
            turn = run % len(ways)
            for name, way in ways[turn:] + ways[:turn]:
                rates[name].append(way(seconds))
        bare.close()
        assert tasks.app.broker.counts() == {("default", State.READY): callers.stored}
    medians = {name: median(values) for name, values in rates.items()}
    ratios = {f"{name}_ratio": medians[name] / medians["bare"] for name, _ in ways[1:]}
    return medians | ratios | {"share": min(callers.shares)}


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=SCHEMES, default="sqlite3")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument(
        "--directory", type=Path, help="where the files are made (default: the system's temporary files)"
    )
    given = parser.parse_args()
    print(json.dumps(measure(given.library, given.runs, given.seconds, given.directory)))


if __name__ == "__main__":
    main()
