"""An engine at work on threads of the test, over a real broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from comanda import Comanda
from comanda.brokers.base import Broker
from comanda.brokers.records import Claimed, State, WorkerInfo
from comanda.worker.attempt import Attempt
from comanda.worker.engine import Engine
from comanda.worker.executors import Executors
from comanda.worker.presence import Presence
from comanda.worker.transactional import Transactional

SOON = 10.0
"""Seconds within which anything here happens; only a failing test waits as long."""


class Working:
    """`with Working(app) as worker:` runs the app's jobs; at the end nothing of it is left."""

    def __init__(
        self,
        app: Comanda,
        *,
        concurrency: int = 4,
        patience: float = 0.05,
        grace: float = SOON,
        broker: Broker | None = None,
        on_stuck: Callable[[Attempt], None] | None = None,
        **options: Any,
    ) -> None:
        self.broker = broker or app.broker
        self.tasks = dict(app.tasks)
        self.grace = grace
        info = WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=tuple(self.tasks))
        self.owner = self.broker.register(info)
        self.presence = Presence(self.broker.runtime_directory(), self.owner, concurrency)
        self.executors = Executors(
            self.tasks,
            self.presence.page,
            concurrency,
            wake_broker=self.broker.wake,
            on_stuck=on_stuck,
            patience=patience,
            transactional=Transactional(self.broker, self.owner),
        )
        self.engine = Engine(self.broker, self.owner, self.tasks, self.executors, **options)
        self.left: list[Claimed] = []
        self.thread = threading.Thread(target=self._run, name="storage")

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.stop(self.grace)
        self.join()
        self.broker.deregister(self.owner)
        self.presence.close()

    def join(self) -> list[Claimed]:
        """Wait for the engine's end; return what it left running."""
        self.thread.join(SOON)
        assert not self.thread.is_alive(), "the engine did not end"
        return self.left

    def _run(self) -> None:
        self.left = self.engine.run()


class Gate:
    """A place where a task waits until the test lets it go on, and which tells the test that the task is there."""

    def __init__(self) -> None:
        self.reached = threading.Semaphore(0)
        self.opened = threading.Event()

    def wait(self) -> None:
        """In the task."""
        self.reached.release()
        assert self.opened.wait(SOON), "nobody opened the gate"

    def arrived(self, count: int = 1) -> None:
        """In the test: return when `count` more tasks have come."""
        for _ in range(count):
            assert self.reached.acquire(timeout=SOON), "no task came to the gate"


def states(app: Comanda) -> dict[State, int]:
    """Return how many jobs are in each state."""
    found: dict[State, int] = {}
    for (_, state), jobs in app.broker.counts().items():
        if jobs:
            found[state] = found.get(state, 0) + jobs
    return found
