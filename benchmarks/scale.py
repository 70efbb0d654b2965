"""Whether the rate holds as a store grows: python -m benchmarks.scale --library postgres --runs 3

The broker alone, without worker and tasks: batches of 500 are settled and claimed in one exchange, as a worker does.
Each figure is a ratio of medians of interleaved runs, each in a store of its own; the first two batches are left out.

statistics   200,000 jobs, loaded at once into tables that are never analysed nor vacuumed, by 10,000 such jobs
backlog      the first 95,000 jobs of 1,000,000 that wait, by those of 100,000
history      20,000 jobs beside 200,000 finished ones, by 20,000 jobs beside none

Each run ends with a count: as many jobs have ended well as were drained, in the order of their enqueue.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg

from benchmarks.store import STORES, fresh
from comanda import Comanda
from comanda.brokers.base import Broker
from comanda.brokers.records import Claimed, Demand, Kind, NewJob, Outcome, State, WorkerInfo
from comanda.ids import new_ids

BATCH = 500
LEFT_OUT = 2
"""Batches in which plans are made and files grow."""

_CHUNK = 10_000
_TASK = "benchmarks.tasks.noop"
_TABLES = ("jobs", "ready", "claimed", "done", "counts")


class Case(NamedTuple):
    """A store in a certain state, and how many of its jobs are drained."""

    backlog: int
    drained: int
    history: int = 0
    vacuumed: bool = True


CASES = {
    "statistics": (Case(200_000, 200_000, vacuumed=False), Case(10_000, 10_000, vacuumed=False)),
    "backlog": (Case(1_000_000, 95_000), Case(100_000, 95_000)),
    "history": (Case(20_000, 20_000, history=200_000), Case(20_000, 20_000)),
}
"""Figure to the large case and the small one."""


class Engine:
    """What of a worker speaks with the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        info = WorkerInfo(host="bench", pid=1, version="1", kind="child", tasks=(_TASK,))
        self._owner = broker.register(info)
        self._demand = Demand(BATCH, frozenset({_TASK}))
        self._done: list[Outcome] = []
        self.taken: list[int] = []

    def drain(self, jobs: int) -> float:
        """Drain so many jobs; return jobs a second."""
        begin = time.perf_counter()
        for batch in range(jobs // BATCH):
            if batch == LEFT_OUT:
                begin = time.perf_counter()
            self._exchange(self._demand)
            self._broker.heartbeat([self._owner])
        self._exchange(Demand(0, self._demand.tasks))
        return (jobs - LEFT_OUT * BATCH) / (time.perf_counter() - begin)

    def _exchange(self, demand: Demand) -> None:
        answer = self._broker.exchange(self._owner, self._done, demand)
        assert not answer.refused
        now = time.time_ns() // 1000
        self._done = [_succeeded(job, now) for job in answer.claimed]
        self.taken += [int(job.payload) for job in answer.claimed]


def _succeeded(job: Claimed, now: int) -> Outcome:
    return Outcome(job=job, kind=Kind.SUCCESS, started_at=now, finished_at=now, result=b"null")


def rate(library: str, case: Case, directory: Path | None = None) -> float:
    """Return the jobs a second that are drained in a store made for this case."""
    with fresh(library, directory) as tasks:
        broker = tasks.app.broker
        broker.open()
        if library == "postgres" and not case.vacuumed:
            _leave_alone(tasks.app)
        engine = Engine(broker)
        fill(broker, case.history)
        engine.drain(case.history)
        fill(broker, case.backlog)
        engine.taken.clear()
        found = engine.drain(case.drained)
        assert engine.taken == [*range(case.drained)], "not every job was claimed exactly once, in order"
        assert broker.counts()["default", State.SUCCESSFUL] == case.history + case.drained
    return found


def fill(broker: Broker, jobs: int) -> None:
    """Store jobs, as many in a transaction as `enqueue_many` does."""
    for start in range(0, jobs, _CHUNK):
        size = min(_CHUNK, jobs - start)
        ids = new_ids(size)
        broker.enqueue(
            [
                NewJob(id=job_id, task=_TASK, queue="default", payload=b"%d" % (start + index))
                for index, job_id in enumerate(ids)
            ]
        )


def _leave_alone(app: Comanda) -> None:
    """Let nobody vacuum or analyse the tables."""
    with psycopg.connect(app.url, autocommit=True) as connection:
        for table in _TABLES:
            connection.execute(f'ALTER TABLE "{app.namespace}".{table} SET (autovacuum_enabled = off)'.encode())


def measure(
    library: str, runs: int, what: Sequence[str] = tuple(CASES), directory: Path | None = None
) -> dict[str, float]:
    """Return for each figure the rate of the large case, of the small one, and their ratio."""
    figures: dict[str, float] = {}
    for name in what:
        pairs = [tuple(rate(library, case, directory) for case in CASES[name]) for _ in range(runs)]
        large, small = (median(rates) for rates in zip(*pairs, strict=True))
        figures |= {name: large, f"{name}_small": small, f"{name}_ratio": large / small}
    return figures


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=STORES, default="postgres")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--what", choices=CASES, nargs="+", default=tuple(CASES))
    parser.add_argument("--directory", type=Path, help="where files are made (default: the system's temporary files)")
    given = parser.parse_args()
    print(json.dumps(measure(given.library, given.runs, given.what, given.directory)))


if __name__ == "__main__":
    main()
