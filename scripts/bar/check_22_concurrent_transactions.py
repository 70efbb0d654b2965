"""Check 22 of the bar: `python -m scripts.bar.check_22_concurrent_transactions`.

Many transactions at the same time, each on a connection of its own: a row of the application's and a job. They are
compared with the same transactions that insert one plain row with an index instead of the job, in one run, by turns:
the ratio is the median of those of neighbouring slices, since a disk is not as fast at one moment as at another.
32 of them commit at 0.75 of that rate at least; the slowest hundredth of the commits of 100 takes at most 1.5 times as
long; and none ever waits for the lock that NOTIFY takes of the whole database, by the server's own log of lock waits.

The transactions run in four processes, as in the web processes of an application.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from statistics import median, quantiles
from threading import Barrier
from typing import Any, NamedTuple

import psycopg

from tests.servers.postgres import PostgresServer

from .processes import postgres
from .report import Report
from .shop import Shop, declare

PROCESSES = 4
RATE, P99 = 0.75, 1.5
_TABLES = """
CREATE TABLE orders (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer integer NOT NULL);
CREATE TABLE plain (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL)
"""
_ORDER = "INSERT INTO orders (customer) VALUES (%s)"
_PLAIN = "INSERT INTO plain (payload) VALUES (%s)"
_LISTEN = 'LISTEN "comanda.work"'


class Slice(NamedTuple):
    """What a slice of time brought: commits, seconds, and the seconds that each commit took."""

    commits: int
    seconds: float
    took: list[float]

    @property
    def rate(self) -> float:
        """Commits a second."""
        return self.commits / self.seconds

    @property
    def p99(self) -> float:
        """Milliseconds of the slowest hundredth of the commits."""
        return quantiles(self.took, n=100)[98] * 1e3


class Client:
    """One process of the application: connections, and a thread for each while a slice lasts."""

    def __init__(self, url: str, connections: int, barrier: Barrier) -> None:
        self._shop: Shop = declare(url)
        self._barrier = barrier
        with ExitStack() as opening:
            address = f"{url}?application_name=shop"
            self._connections = [opening.enter_context(psycopg.connect(address)) for _ in range(connections)]
            opening.pop_all()

    def run(self, with_job: bool, seconds: float) -> Slice:
        """Commit transactions for some seconds."""
        took: list[float] = []
        self._barrier.wait()
        begin = time.perf_counter()
        step = self._enqueue if with_job else self._insert
        threads = [
            threading.Thread(target=self._commit, args=(customer, connection, begin + seconds, step, took))
            for customer, connection in enumerate(self._connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Slice(len(took), time.perf_counter() - begin, took)

    def _commit(
        self, customer: int, connection: psycopg.Connection[Any], until: float, step: Any, took: list[float]
    ) -> None:
        clock = time.perf_counter
        while True:
            connection.execute(_ORDER, (customer,))
            step(connection, customer)
            begin = clock()
            connection.commit()
            took.append(clock() - begin)
            if clock() >= until:
                return

    def _enqueue(self, connection: psycopg.Connection[Any], customer: int) -> None:
        self._shop.noop.using(connection=connection).enqueue(customer)

    def _insert(self, connection: psycopg.Connection[Any], customer: int) -> None:
        connection.execute(_PLAIN, (b'{"n":%d}' % customer,))


_client: Client | None = None


def _start(url: str, connections: int, barrier: Barrier) -> None:
    global _client  # noqa: PLW0603 - a process of the pool has one
    _client = Client(url, connections, barrier)


def _run(with_job: bool, seconds: float) -> Slice:
    assert _client is not None  # noqa: S101 - set by _start
    return _client.run(with_job, seconds)


def measure(url: str, transactions: int, rounds: int, seconds: float) -> tuple[list[Slice], list[Slice]]:
    """Return slices of plain transactions and of those with a job, by turns."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        barrier = manager.Barrier(PROCESSES)  # so that each process takes its share of each slice
        arguments = (url, transactions // PROCESSES, barrier)
        with ProcessPoolExecutor(PROCESSES, context, _start, arguments) as pool:

            def run(with_job: bool) -> Slice:
                parts = [part.result() for part in [pool.submit(_run, with_job, seconds) for _ in range(PROCESSES)]]
                took = [commit for part in parts for commit in part.took]
                return Slice(len(took), max(part.seconds for part in parts), took)

            run(True)
            run(False)
            pairs = [(run(False), run(True)) for _ in range(rounds)]
    plain, with_job = zip(*pairs, strict=True)
    return [*plain], [*with_job]


def look_at_rates(report: Report, server: PostgresServer, transactions: int, given: argparse.Namespace) -> None:
    """Measure, and say what was seen."""
    with psycopg.connect(server.url, autocommit=True) as ear:
        ear.execute(_LISTEN)
        plain, with_job = measure(server.url, transactions, given.rounds, given.seconds)
        rung = len([*ear.notifies(timeout=0)])
    commits = sum(part.commits for part in with_job)
    before, after = (median(part.rate for part in parts) for parts in (plain, with_job))
    kept = median(with_.rate / without.rate for without, with_ in zip(plain, with_job, strict=True))
    report.see(
        given.locks_only or transactions > 32 or kept >= RATE,
        f"{transactions} at a time: {after:,.0f} commits/s with a job, {before:,.0f} without: {kept:.2f}"
        + (f" (at least {RATE})" if transactions <= 32 else ""),
    )
    slow_before, slow_after = (median(part.p99 for part in parts) for parts in (plain, with_job))
    report.see(
        given.locks_only or slow_after <= P99 * slow_before,
        f"  p99 of a commit {slow_after:.1f} ms with a job, {slow_before:.1f} ms without: "
        f"{slow_after / slow_before:.2f} (at most {P99})",
    )
    report.see(rung > 0, f"  {rung:,} wake-ups were sent for {commits:,} commits")


def look_at_waits(report: Report, server: PostgresServer) -> None:
    """Look into the server's log, which has every wait for a lock that lasted a millisecond."""
    lines = [line for line in (server.directory / "log").read_text().splitlines() if "still waiting for" in line]
    of_notify = [line for line in lines if "on object 0 of class 1262" in line]
    waiting = [line for line in of_notify if line.startswith("shop ")]
    report.see(
        not waiting,
        f"{len(waiting)} waits of the application for the lock of NOTIFY ({len(of_notify)} of comanda's own wake-ups "
        f"for each other, {len(lines) - len(of_notify)} waits for other locks)",
    )


def main() -> int:
    """Print what was seen; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a slice")
    parser.add_argument("--locks-only", action="store_true", help="print the rates without judging them")
    given = parser.parse_args()
    report = Report("check 22: concurrent transactions with a job commit as with a plain row")
    log = {"log_lock_waits": "on", "deadlock_timeout": "1ms", "log_min_messages": "log", "log_line_prefix": "%a "}
    with postgres(**log) as server:
        server.execute(_TABLES)
        shop = declare(server.url)
        shop.noop.enqueue(0)
        shop.app.close()
        for transactions in (32, 100):
            look_at_rates(report, server, transactions, given)
        look_at_waits(report, server)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
