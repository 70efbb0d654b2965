"""Check 21 of the bar: `python -m scripts.bar.check_21_snapshot --minutes 10`.

Another session holds a snapshot (REPEATABLE READ) while jobs pass through a queue on PostgreSQL, so that no dead row
can be removed. A worker with its default settings must keep at least 70 % of its rate, and whoever looks at the store
is told of the old snapshot.

800 jobs a second come as long as the snapshot is held (`--rate 0`: the queue is never empty, which leaves more dead
rows in a minute than 800 a second leave in ten). The rate is counted by sixths of the time; the first is compared with
the last. Each sixth also shows how long a job took from its enqueue to its end, and how many dead rows there are.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

import psycopg

from comanda import Job, State
from comanda.brokers.postgres import describe
from tests.servers.postgres import PostgresServer

from .processes import postgres, worker
from .report import Report
from .shop import Shop, declare

SIXTHS = 6
TICK = 0.05
"""Seconds between two batches of jobs."""

BACKLOG = 5_000
"""Jobs that wait at most when they come as fast as they go."""

KEPT = 0.7
_DEAD = "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'ready'"


class Sixth(NamedTuple):
    """What was measured in a sixth of the time. Rates are jobs a second, `latency` is in milliseconds."""

    came: float
    rate: float
    latency: float
    dead: int


class Load:
    """The jobs that come while the snapshot is held."""

    def __init__(self, shop: Shop, rate: float) -> None:
        self._app = shop.app
        self._noop = shop.noop
        self._rate = rate
        self._last: list[Job[int]] = []
        self.came = 0

    def go_on(self, seconds: float) -> None:
        """Let jobs come for so long."""
        begin = time.monotonic()
        before = self.came
        while (passed := time.monotonic() - begin) < seconds:
            wanted = int(passed * self._rate) - (self.came - before) if self._rate else BACKLOG - self.waiting()
            if wanted > 0:
                self._last = self._app.enqueue_many(self._noop.call(self.came + index) for index in range(wanted))
                self.came += wanted
            time.sleep(TICK)

    def done(self) -> int:
        """Return how many have ended well."""
        return self._app.broker.counts().get(("default", State.SUCCESSFUL), 0)

    def waiting(self) -> int:
        """Return how many have not begun."""
        return self._app.broker.counts().get(("default", State.READY), 0)

    def latency(self) -> float:
        """Return the median time from enqueue to end of the last jobs, in milliseconds."""
        for job in self._last:
            job.result(timeout=60)
        took = [(job.finished_at - job.enqueued_at).total_seconds() for job in self._last if job.finished_at]
        return median(took) * 1e3


@contextmanager
def snapshot(url: str) -> Iterator[None]:
    """Hold a snapshot."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT pg_current_snapshot()")
        yield


def measure(server: PostgresServer, load: Load, minutes: float) -> Iterator[Sixth]:
    """Yield what happened in each sixth of the time."""
    for _ in range(SIXTHS):
        begin, came, done = time.monotonic(), load.came, load.done()
        load.go_on(minutes * 60 / SIXTHS)
        took = time.monotonic() - begin
        ((dead,),) = server.execute(_DEAD)
        rates = (load.came - came) / took, (load.done() - done) / took
        yield Sixth(*rates, load.latency(), int(str(dead)))


def main() -> int:
    """Print what was seen; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=800.0, help="jobs a second; 0: as fast as they go")
    given = parser.parse_args()
    report = Report(f"check 21: a snapshot held for {given.minutes:g} minutes keeps the rate")
    with postgres() as server, worker(server.url):
        shop = declare(server.url)
        load = Load(shop, given.rate)
        load.go_on(2.0)  # plans are made, caches filled
        # The default threshold is ten minutes: a shorter run must be told as well.
        threshold = min(describe.OLD_SNAPSHOT, int(given.minutes * 30))
        with snapshot(server.url), patch.object(describe, "OLD_SNAPSHOT", threshold):
            sixths = []
            for sixth in measure(server, load, given.minutes):
                sixths.append(sixth)
                report.see(
                    sixth.rate > 0,
                    f"{sixth.rate:,.0f} of {sixth.came:,.0f} jobs/s, {sixth.latency:,.1f} ms from enqueue to end, "
                    f"{sixth.dead:,} dead rows in ready",
                )
            warning = shop.app.broker.describe().get("warning", "")
        shop.app.close()
    kept = sixths[-1].rate / sixths[0].rate
    report.see(kept >= KEPT, f"the last sixth has {kept:.0%} of the rate of the first (at least {KEPT:.0%})")
    report.see("a transaction has been open for" in warning, f"warning: {warning or 'none'}")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
