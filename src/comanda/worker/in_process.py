"""A worker on threads of the calling process: for memory://, whose jobs no other process can see."""

from __future__ import annotations

import atexit
import os
import socket
import threading
from typing import TYPE_CHECKING

from ..brokers.records import Beat, WorkerInfo
from ..outbox.relay import Relay
from ..transactions import check_completion
from ..version import __version__
from . import messages
from .engine import Engine
from .executors import Executors
from .handle import EmbeddedWorker
from .presence import Presence
from .surrounded import tasks_at_work
from .transactional import Transactional
from .upkeep import Upkeep

if TYPE_CHECKING:
    from ..app import Comanda


class InProcessWorker(EmbeddedWorker):
    """Runs the jobs of `app` until it is stopped. A task that ignores its time limit keeps its thread."""

    def __init__(self, app: Comanda, work: messages.Work) -> None:
        self._broker = app.broker
        self._grace = app.settings.grace if work.grace is None else work.grace
        tasks = tasks_at_work(app)
        for task in tasks.values():
            check_completion(self._broker, task)
        self._owner = self._broker.register(_myself(tuple(tasks), work.queues))
        concurrency = work.concurrency or app.settings.concurrency
        self._executors = Executors(
            tasks,
            Presence(None, self._owner, concurrency).page,
            concurrency,
            wake_broker=self._broker.wake,
            transactional=Transactional(self._broker, self._owner),
            on_idle=None if app.surroundings is None else app.surroundings.idle,
        )
        self._engine = Engine(
            self._broker, self._owner, tasks, self._executors, queues=work.queues, strict=work.strict, burst=work.burst
        )
        self._upkeep = Upkeep(self._broker, self._broker, app.settings, lambda: [self._owner], self._heed)
        outbox = app.runtime.outbox
        self._relay = None if outbox is None else Relay(outbox, self._broker)
        self._thread = threading.Thread(target=self._engine.run, name="comanda-storage", daemon=True)
        self._upkeep.start()
        if self._relay is not None:
            self._relay.start()
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Take no more jobs; return when what runs has ended, or after `timeout` s (default: the grace time)."""
        atexit.unregister(self.stop)
        if not self._thread.is_alive():
            return
        if self._relay is not None:
            self._relay.stop()
        self._engine.stop(self._grace if timeout is None else timeout)
        self._thread.join()
        self._upkeep.stop()
        self._broker.deregister(self._owner)

    def _heed(self, beat: Beat) -> None:
        if beat.stop:
            self._executors.stop(set(beat.stop))


def _myself(tasks: tuple[str, ...], queues: tuple[str, ...] | None) -> WorkerInfo:
    return WorkerInfo(
        host=socket.gethostname(), pid=os.getpid(), version=__version__, kind="embedded", tasks=tasks, queues=queues
    )
