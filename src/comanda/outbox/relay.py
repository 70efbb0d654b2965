"""What moves an outbox's jobs to the broker.

It runs in the worker's supervisor, which runs no user code: no task that holds the interpreter delays it, and a worker
of many children has one. In the order of the rows and in batches; a row goes when the broker has acknowledged its job.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence

import msgspec

from ..brokers.base import Broker
from ..brokers.records import Enqueued, NewJob
from ..errors import ComandaError, ConfigurationError, SchemaMismatch
from ..ids import to_text
from ..worker.backoff import Backoff
from .base import Outbox, Refusal, Row

POLL = 1.0
"""Seconds between two looks when no bell rings, give or take a fifth (WK2)."""

BATCH = 200
"""Rows of one step at most."""

BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of the jobs in one step, unless the first alone has more."""

MAINTENANCE = 1.0
"""Seconds between two rounds of housekeeping."""

_log = logging.getLogger("comanda.outbox")


class Relay:
    """Moves rows from `outbox` to `broker`, on a thread of its own from `start` to `stop`."""

    def __init__(self, outbox: Outbox, broker: Broker) -> None:
        self._outbox = outbox
        self._broker = broker
        self._over = threading.Event()
        self._backoff = Backoff(0.1, 5.0)
        self._maintained = 0.0
        self._thread = threading.Thread(target=self._run, name="comanda-relay", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way."""
        self._over.set()
        self._outbox.wake()
        if self._thread.is_alive():
            self._thread.join()

    def drain(self) -> int:
        """Move what is committed now, on the calling thread; return how many rows left the line.

        Raises BrokerError when a store does not answer.
        """
        total = 0
        while moved := self.step():
            total += moved
        return total

    def step(self) -> int:
        """Move one batch; return how many rows left the line, 0 when another relay is at it. Raises ComandaError."""
        with self._outbox.turn() as mine:
            rows = _cut(self._outbox.take(BATCH)) if mine else []
            if rows:
                jobs, refused = _decoded(rows)
                answers = self._enqueue(jobs)
                refused += [Refusal(job.id, str(it.error)) for job, it in zip(jobs, answers, strict=True) if it.error]
                aside = {refusal.id for refusal in refused}
                self._outbox.settle([row.id for row in rows if row.id not in aside], refused)
                _report(refused)
            return len(rows)

    def _enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store a batch; where the broker refuses it whole, find out which job it means."""
        try:
            return self._broker.enqueue(jobs) if jobs else []
        except SchemaMismatch:
            raise  # the store's, not a job's
        except ConfigurationError as error:
            if len(jobs) == 1:
                return [Enqueued(jobs[0].id, created=False, error=error)]
            return [answer for job in jobs for answer in self._enqueue([job])]

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            pause = self._turn()

    def _turn(self) -> float:
        """Do a step, and wait when there was none to do; return how long to pause before the next."""
        try:
            if not self.step():
                self._maintain()
                self._outbox.wait(POLL * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
        except ComandaError as error:
            if not self._backoff.failures:
                _log.warning("outbox: %s; jobs stay in it, trying again", error)
            return self._backoff.next()
        if self._backoff.failures:
            _log.info("outbox: jobs are moved again")
            self._backoff.reset()
        return 0.0

    def _maintain(self) -> None:
        if time.monotonic() - self._maintained >= MAINTENANCE:
            self._maintained = time.monotonic()
            self._outbox.maintain()


def _cut(rows: list[Row]) -> list[Row]:
    """Return as many of the first rows as one transaction should hold."""
    size = 0
    for place, row in enumerate(rows):
        size += len(row.job)
        if size > BATCH_BYTES and place:
            return rows[:place]
    return rows


def _decoded(rows: Sequence[Row]) -> tuple[list[NewJob], list[Refusal]]:
    jobs: list[NewJob] = []
    refused: list[Refusal] = []
    for row in rows:
        try:
            jobs.append(row.decode())
        except msgspec.MsgspecError:
            refused.append(Refusal(row.id, "the row cannot be read: it is damaged, or a newer comanda wrote it"))
    return jobs, refused


def _report(refused: Sequence[Refusal]) -> None:
    for refusal in refused:
        _log.error("job %s is set aside in the outbox: %s", to_text(refusal.id), refusal.sentence)
