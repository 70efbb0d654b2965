"""A process that consumes messages is an owner like a worker: registered, renewed, and buried when it dies."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .brokers.records import MESSAGE, Claimed, Demand, Outcome, WorkerInfo
from .errors import BrokerError
from .version import __version__
from .worker.presence import Presence, departed, started_of

if TYPE_CHECKING:
    from .app import Comanda

SLOTS = 64
"""Messages of this process that can be marked as being worked on."""


class Membership:
    """This process's owner id, its heartbeats, and the rescue of others; begins with the first claim."""

    def __init__(self, app: Comanda) -> None:
        self._app = app
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._presence: Presence | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._held: dict[int, tuple[Presence, int]] = {}

    def claim(self, queue: str) -> tuple[int, Claimed] | None:
        """Take one message; return it with the owner it was claimed for, None when there is none."""
        owner, presence = self._join()
        found = self._app.broker.claim(owner, Demand(1, frozenset({MESSAGE}), (queue,)))
        if not found:
            return None
        self._mark(presence, found[0].n)
        return owner, found[0]

    def settle(self, owner: int, outcome: Outcome) -> bool:
        """Write what became of a message; False when this process no longer held it."""
        self._unmark(outcome.job.n)
        return not self._app.broker.settle(owner, (outcome,))

    def close(self) -> None:
        """Leave: what is still held goes back at once."""
        self._stop.set()
        with self._lock:
            thread, owner, presence = self._thread, self._owner, self._presence
        if thread is not None:
            thread.join()
        if owner is not None:
            self._app.broker.deregister(owner)
        if presence is not None:
            presence.close()
        self._reset()

    def forget(self) -> None:
        """After a fork, in the child: the parent goes on being the owner."""
        self._reset()

    def _join(self) -> tuple[int, Presence | None]:
        with self._lock:
            if self._owner is None:
                self._owner = self._app.broker.register(_myself())
                directory = self._app.broker.runtime_directory()
                self._presence = None if directory is None else Presence(directory, self._owner, SLOTS)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="comanda-membership", daemon=True)
                self._thread.start()
            return self._owner, self._presence

    def _mark(self, presence: Presence | None, n: int) -> None:
        if presence is None:
            return
        with self._lock:
            taken = {slot for _, slot in self._held.values()}
            slot = next((slot for slot in range(SLOTS) if slot not in taken), None)
            if slot is not None:
                presence.page[slot] = n
                self._held[n] = (presence, slot)

    def _unmark(self, n: int) -> None:
        with self._lock:
            held = self._held.pop(n, None)
            if held is not None:
                held[0].page[held[1]] = 0

    def _serve(self) -> None:
        settings = self._app.settings
        beats = max(1, round(settings.heartbeat / settings.rescue))
        turn = 0
        while not self._stop.wait(settings.rescue * random.uniform(0.9, 1.1)):  # noqa: S311 - jitter, no secret
            turn += 1
            try:
                self._rescue()
                if turn % beats == 0:
                    self._beat()
            except BrokerError:  # the next turn tries again; until then the lease runs
                continue

    def _beat(self) -> None:
        owner = self._owner
        if owner is None or owner not in self._app.broker.heartbeat([owner]).lost:
            return
        with self._lock:  # somebody declared this process dead: go on under a new id
            presence, self._owner, self._presence = self._presence, None, None
            self._held.clear()
        if presence is not None:
            presence.close()

    def _rescue(self) -> None:
        rescue_once(self._app)


def rescue_once(app: Comanda) -> None:
    """Release the jobs of dead owners: those whose lock file is free, then those that have fallen silent."""
    broker = app.broker
    directory = broker.runtime_directory()
    if directory is not None:
        for owner, started in departed(directory):
            broker.release(owner, started)
    broker.rescue(app.settings.lease, lambda owner: None if directory is None else started_of(directory, owner))


def _myself(tasks: Sequence[str] = (MESSAGE,)) -> WorkerInfo:
    return WorkerInfo(
        host=socket.gethostname(), pid=os.getpid(), version=__version__, kind="consumer", tasks=tuple(tasks)
    )
