"""What a store needs from every worker: renewed leases, rescued jobs, housekeeping (guarantee 4)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ..brokers.base import Broker
from ..brokers.records import Beat
from ..clock import SECOND
from ..settings import Settings
from . import presence
from .repeating import Repeating

HOUSEKEEPING = 1.0
"""Seconds between two rounds of housekeeping."""

PRUNING = 0.2
"""Seconds of one round that removing old jobs may take, step by step, so that writers get their turn."""

_log = logging.getLogger("comanda.worker")


class Upkeep:
    """Three threads: one renews leases, one looks for the dead, one keeps house.

    `heart` is a broker of its own for the renewals: nothing that waits for a lock holds them up (R12). `owners` says
    whose leases to renew; `on_beat` hears each answer.
    """

    def __init__(
        self,
        broker: Broker,
        heart: Broker,
        settings: Settings,
        owners: Callable[[], Sequence[int]],
        on_beat: Callable[[Beat], None],
    ) -> None:
        self._broker = broker
        self._heart = heart
        self._settings = settings
        self._owners = owners
        self._on_beat = on_beat
        self._parts = (
            Repeating("heartbeat", settings.heartbeat, self.beat),
            Repeating("rescue", settings.rescue, self.rescue),
            Repeating("housekeeping", HOUSEKEEPING, self.keep_house),
        )

    def start(self) -> None:
        """Begin with a round of everything."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """End; leases are not renewed any more."""
        for part in self._parts:
            part.stop()

    def beat(self) -> None:
        """Renew the leases."""
        owners = self._owners()
        if owners:
            self._on_beat(self._heart.heartbeat(owners))

    def rescue(self) -> None:
        """Hand back the jobs of dead workers: first by the sign of their locks, then by their silence."""
        directory = self._broker.runtime_directory()
        if directory is not None:
            for owner, started in presence.departed(directory, but=self._owners()):
                jobs = self._broker.release(owner, started)
                _log.warning("worker %d of this host is gone: %s", owner, handed_back(jobs, len(started)))
        done = self._broker.rescue(self._settings.lease, lambda owner: presence.started_of(directory, owner))
        for owner in done.owners:
            presence.remove(directory, owner)
            _log.warning("worker %d has been silent for %g s and counts as dead", owner, self._settings.lease)
        if done.jobs:
            _log.warning("%d jobs of silent workers run again", done.jobs)
        if done.parked and self._owners():  # without a child of ours they only wait for the next one
            _log.warning("%d jobs wait for a worker that knows their task; see: comanda doctor", done.parked)

    def keep_house(self) -> None:
        """Remove jobs that were kept long enough, and let the store tidy up."""
        removed = self._prune()
        self._broker.maintain()
        if removed:
            _log.debug("%s jobs were kept long enough and are removed", f"{removed:,}")

    def _prune(self) -> int:
        now = time.time_ns() // 1000
        until = time.monotonic() + PRUNING
        settings = self._settings
        removed = 0
        while True:
            step = self._broker.prune(
                successful_before=now - round(settings.keep_successful * SECOND),
                ended_before=now - round(settings.keep_failed * SECOND),
                keep_at_most=settings.keep_at_most,
            )
            removed += step
            if not step or time.monotonic() >= until:
                return removed


def handed_back(jobs: int, started: int) -> str:
    """Return the words for what became of a dead worker's jobs."""
    if not jobs:
        return "it held no jobs"
    return f"{jobs} jobs handed back, {min(jobs, started)} of which had started"
