"""A process that consumes messages is an owner like a worker: registered, renewed, and buried when it dies."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections import deque

from .brokers.base import Broker
from .brokers.records import MESSAGE, Claimed, Demand, Outcome, WorkerInfo
from .errors import BrokerError, ComandaError
from .joining import join
from .settings import Settings
from .version import __version__
from .worker import presence
from .worker.presence import Presence

_log = logging.getLogger("comanda.messages")

SLOTS = 64
"""Messages of this process that can be marked as being worked on."""


class Membership:
    """This process's owner id, its heartbeats, and the rescue of others; begins with the first claim."""

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self._broker = broker
        self._settings = settings
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._presence: Presence | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._held: dict[int, tuple[Presence, int]] = {}
        self._unsettled: deque[tuple[int, Outcome]] = deque()

    def claim(self, queue: str) -> tuple[int, Claimed] | None:
        """Take one message; return it with the owner it was claimed for, None when there is none."""
        owner, sign = self._join()
        found = self._broker.claim(owner, Demand(1, frozenset({MESSAGE}), (queue,)))
        if not found:
            return None
        self._mark(sign, found[0].n)
        return owner, found[0]

    def settle(self, owner: int, outcome: Outcome) -> bool:
        """Write what became of a message; False when this process no longer held it.

        When the store cannot be reached, its error is raised and the outcome is written once it can be again: this
        process goes on living, so that nobody else would ever take the message back.
        """
        self._unmark(outcome.job.n)
        try:
            return not self._broker.settle(owner, (outcome,))
        except BrokerError:
            self._unsettled.append((owner, outcome))
            raise

    def close(self) -> None:
        """Leave: what is still held goes back at once."""
        self._stop.set()
        with self._lock:
            thread, owner, sign = self._thread, self._owner, self._presence
        join(thread)
        try:
            self._settle_late()
            if owner is not None:
                self._broker.deregister(owner)
        finally:
            if sign is not None:
                sign.close()
            self._reset()

    def forget(self) -> None:
        """After a fork, in the child: the parent goes on being the owner."""
        self._reset()

    def _join(self) -> tuple[int, Presence]:
        with self._lock:
            if self._owner is None or self._presence is None:
                self._owner = self._broker.register(_myself())
                self._presence = Presence(self._broker.runtime_directory(), self._owner, SLOTS)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="comanda-membership", daemon=True)
                self._thread.start()
            return self._owner, self._presence

    def _mark(self, sign: Presence, n: int) -> None:
        with self._lock:
            taken = {slot for _, slot in self._held.values()}
            slot = next((slot for slot in range(SLOTS) if slot not in taken), None)
            if slot is not None:
                sign.page[slot] = n
                self._held[n] = (sign, slot)

    def _unmark(self, n: int) -> None:
        with self._lock:
            held = self._held.pop(n, None)
            if held is not None:
                held[0].page[held[1]] = 0

    def _serve(self) -> None:
        beat_at = time.monotonic() + self._settings.heartbeat
        rescue_at = time.monotonic()
        while not self._stop.wait(max(0.0, min(beat_at, rescue_at) - time.monotonic())):
            try:
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + self._settings.heartbeat
                    self._settle_late()
                    self._beat()
                if time.monotonic() >= rescue_at:
                    jitter = random.uniform(0.9, 1.1)  # noqa: S311 - no secret
                    rescue_at = time.monotonic() + self._settings.rescue * jitter
                    rescue_once(self._broker, self._settings.lease)
            except (ComandaError, OSError) as error:  # the next turn tries again; until then the lease runs
                _log.warning("this consumer could not renew its lease or look for dead workers: %s", error)

    def _beat(self) -> None:
        owner = self._owner
        if owner is None or owner not in self._broker.heartbeat([owner]).lost:
            return
        with self._lock:  # somebody declared this process dead: go on under a new id
            sign, self._owner, self._presence = self._presence, None, None
            self._held.clear()
        if sign is not None:
            sign.close()

    def _settle_late(self) -> None:
        while self._unsettled:
            owner, outcome = self._unsettled[0]
            self._broker.settle(owner, (outcome,))
            self._unsettled.popleft()


def rescue_once(broker: Broker, lease: float) -> None:
    """Release the jobs of dead owners: those whose lock file is free, then those silent for `lease` seconds."""
    directory = broker.runtime_directory()
    if directory is not None:
        for owner, started in presence.departed(directory):
            broker.release(owner, started)
    for owner in broker.rescue(lease, lambda owner: presence.started_of(directory, owner)).owners:
        presence.remove(directory, owner)


def _myself() -> WorkerInfo:
    return WorkerInfo(
        host=socket.gethostname(), pid=os.getpid(), version=__version__, kind="consumer", tasks=(MESSAGE,)
    )
