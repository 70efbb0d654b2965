"""Check 23 of the bar: `python -m scripts.bar.check_23_pgbouncer`.

Everything that comanda does on PostgreSQL works through PgBouncer in transaction mode, where no setting, no prepared
statement and no LISTEN outlives a transaction. The pooler has four connections to the server for the application and
its worker together, so that each gets what another has used. Who waits is not woken, but polls.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psycopg

from comanda import JobCancelled, JobNotFound, State
from comanda.brokers.records import JobFilter
from comanda.message_queue import MessageQueue
from tests.servers.pgbouncer import PgBouncer

from .processes import postgres, worker
from .report import Report, comanda
from .shop import TABLES, Shop, declare

_LONG = 60.0
"""Seconds that only a check that fails waits."""

_POLL = 0.01

Feature = Callable[[Shop], tuple[bool, str]]
"""Uses something, and says whether it worked and what was seen."""


def enqueue(shop: Shop) -> tuple[bool, str]:
    """One by one, from a coroutine, many at once, with one id twice, with a unique key."""
    one = shop.noop.enqueue(1)
    again = shop.noop.using(id=one.id).enqueue(1)
    keyed = shop.noop.using(unique_key="k", run_after=3600)
    first, second = keyed.enqueue(1), keyed.enqueue(2)
    many = shop.app.enqueue_many(shop.noop.call(n) for n in range(2_000))
    from_loop = asyncio.run(_enqueue_and_wait(shop))
    results = [job.result(timeout=_LONG) for job in many]
    good = results == [*range(2_000)] and from_loop == [*range(20)] and not again.created and first.id == second.id
    return good, f"{len(results)} results of one transaction, {len(from_loop)} of coroutines; ids and unique keys hold"


async def _enqueue_and_wait(shop: Shop) -> list[int]:
    jobs = await asyncio.gather(*(shop.noop.aenqueue(n) for n in range(20)))
    return [await job.aresult(timeout=_LONG) for job in jobs]


def result(shop: Shop) -> tuple[bool, str]:
    """A waiter for a result polls, and so does the worker."""
    took = []
    for n in range(20):
        begin = time.monotonic()
        shop.noop.enqueue(n).result(timeout=_LONG)
        took.append((time.monotonic() - begin) * 1e3)
    return median(took) < 1_000, f"{median(took):.0f} ms from enqueue to result by polling, at most {max(took):.0f} ms"


def transactional_enqueue(shop: Shop) -> tuple[bool, str]:
    """On a pooled connection of the application's, and in the app's own transaction."""
    with psycopg.connect(shop.app.url, prepare_threshold=None) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        lost = shop.find_order.using(connection=connection).enqueue(1)
        connection.rollback()
        connection.execute("INSERT INTO orders VALUES (2)")
        kept = shop.find_order.using(connection=connection).enqueue(2)
    with shop.app.transaction() as connection:
        connection.execute("INSERT INTO orders VALUES (3)")
        own = shop.find_order.using(connection=connection).enqueue(3)
    saw = kept.result(timeout=_LONG), own.result(timeout=_LONG)
    try:
        shop.app.get_job(lost.id)
    except JobNotFound:
        return saw == (True, True), f"rolled back: no job; committed: the task saw the row: {saw}"
    return False, "a job that was rolled back exists"


def cancel(shop: Shop) -> tuple[bool, str]:
    """A waiting job, and a running one."""
    waiting = shop.noop.using(run_after=3600).enqueue(1)
    running = shop.run_on.enqueue()
    states = running.follow(timeout=_LONG)
    while next(states) is not State.RUNNING:
        pass
    asked = waiting.cancel(), running.cancel()
    *_, end = states
    return asked == (True, True) and waiting.state is end is State.CANCELLED, f"waiting and running: {end}"


def due_times(shop: Shop) -> tuple[bool, str]:
    """A job that falls due while the worker has nothing to do, and one that is moved."""
    begin = time.monotonic()
    later = shop.noop.using(run_after=1.0).enqueue(7)
    moved = shop.noop.using(run_after=3600).enqueue(8)
    shop.app.broker.reschedule(JobFilter(ids=(bytes.fromhex(moved.id.replace("-", "")),)), 0)
    answers = moved.result(timeout=_LONG), later.result(timeout=_LONG)
    took = time.monotonic() - begin
    good = answers == (8, 7) and 1.0 <= took < 10.0
    return good, f"run_after=1.0: done after {took:.2f} s; a moved one was done before"


def retry(shop: Shop) -> tuple[bool, str]:
    """A failing attempt comes back by itself, and an ended job by an operator."""
    job = shop.fail_once.enqueue("a")
    first = job.result(timeout=_LONG)
    job.retry()
    second = job.result(timeout=_LONG)
    outcomes = [attempt.outcome for attempt in job.refresh().attempts]
    return (first, second) == (2, 3), f"{', '.join(outcomes)}; the second success was asked for"


def pause(shop: Shop) -> tuple[bool, str]:
    """A paused queue hands nothing out until it is resumed."""
    shop.app.broker.pause("default")
    job = shop.noop.enqueue(1)
    marker = shop.noop.using(queue="other").enqueue(2)
    marker.result(timeout=_LONG)
    held = job.refresh().state
    shop.app.broker.resume("default")
    return (held, job.result(timeout=_LONG)) == (State.READY, 1), f"paused: {held}; resumed: done"


def messages(shop: Shop) -> tuple[bool, str]:
    """Put, look, take, give back, take in a loop."""
    letters: MessageQueue[int] = shop.app.message_queue("letters", type=int)
    letters.put(*range(10))
    seen = [message.value for message in letters.peek(3)]
    got = letters.get(timeout=_LONG)
    with letters.receive(timeout=_LONG) as received:
        pass
    given_back = next(letters.consume(timeout=_LONG))  # the loop is left behind, as by break
    rest = [*letters.consume(timeout=0.5)]
    good = (seen, got, received, given_back, rest, len(letters)) == ([0, 1, 2], 0, 1, 2, [*range(2, 10)], 0)
    return good, f"peek {seen}, get {got}, receive {received}, given back {given_back}, consume {rest}"


def read(shop: Shop) -> tuple[bool, str]:
    """Lists, counts, queues, workers, and the commands that show them."""
    counts = shop.app.broker.counts()
    listed = shop.app.find_jobs(JobFilter(queues=("long",)))
    workers = [found for found in shop.app.broker.workers() if found.ended_at is None]
    os.environ["COMANDA_URL"] = shop.app.url
    codes = [
        comanda(Path.cwd(), *command.split(), "--app", "scripts.bar.shop:app")[0]
        for command in ("info", "queues", "jobs ls", "doctor", "db status")
    ]
    good = bool(counts and listed and workers) and codes == [0] * 5
    return good, f"{sum(counts.values()):,} jobs counted, {len(workers)} living owners, commands end with {codes}"


def kill_child(shop: Shop, process: subprocess.Popen[bytes]) -> tuple[bool, str]:
    """A child that is killed with -9 gives its job back; what is left of it is cancelled."""
    job = shop.run_on.enqueue()
    states = job.follow(timeout=_LONG)
    while next(states) is not State.RUNNING:
        pass
    begin = time.monotonic()
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    while len(job.refresh().attempts) < 2:
        time.sleep(_POLL)
    took = time.monotonic() - begin
    job.cancel()
    try:
        job.result(timeout=_LONG)
    except JobCancelled:
        return took < 15, f"runs again {took:.1f} s after the kill"
    return False, "it was not cancelled"


FEATURES: dict[str, Feature] = {
    "enqueue": enqueue,
    "result": result,
    "transactional enqueue": transactional_enqueue,
    "cancel": cancel,
    "due times": due_times,
    "retry": retry,
    "pause": pause,
    "messages": messages,
    "reading": read,
}


def main() -> int:
    """Print what was seen; return the exit code."""
    report = Report("check 23: PostgreSQL through PgBouncer in transaction mode, by polling")
    with postgres() as server:
        server.execute(TABLES)
        pooler = PgBouncer(server.url)
        try:
            pooler.start()
            shop = declare(pooler.url)
            shop.app.broker.open()
            # The worker's own words about the child that is killed are left out.
            environment = {"SHOP_DATABASE": pooler.url, "COMANDA_LOG_LEVEL": "CRITICAL"}
            with worker(pooler.url, environment=environment) as process:
                for name, feature in FEATURES.items():
                    good, words = feature(shop)
                    report.see(good, f"{name}: {words}")
                good, words = kill_child(shop, process)
                report.see(good, f"kill -9: {words}")
            report.see(process.returncode == 0, f"stop: the worker ended with exit code {process.returncode}")
            shop.app.close()
        finally:
            pooler.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
