"""One process that runs user code: `python -m comanda.worker.child DESCRIPTOR`, started by the supervisor.

Its main thread listens to the supervisor and to signals, the engine works on a thread beside it. It ends with its
supervisor: then it takes no more jobs, renews its own lease, finishes within the grace time and hands back the rest.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from typing import Any

from .. import logs
from ..app import Comanda
from ..brokers.base import Capability
from ..brokers.factory import Opening, open_broker
from ..brokers.records import Claimed, WorkerInfo
from ..errors import BrokerError, ComandaError, NotSupported
from ..loading import load_app
from ..surroundings import Surroundings
from ..transactions import check_completion
from ..version import __version__
from . import messages
from .attempt import Attempt, now
from .channel import Channel, inherited
from .engine import Engine
from .executors import Executors
from .presence import Presence
from .repeating import Repeating
from .spawning import extend_search
from .surrounded import tasks_at_work
from .transactional import Transactional

SWITCH = 0.001
"""Seconds between two switches of the interpreter's threads: a fifth of the default. While tasks compute, the storage
thread has to win the interpreter back at each of SQLite's statements."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("comanda.worker")


class Child:
    """The app at work as one owner."""

    def __init__(self, channel: Channel, work: messages.Work, app: Comanda) -> None:
        self._channel = channel
        self._settings = app.settings
        self._grace = app.settings.grace if work.grace is None else work.grace
        self._tasks = tasks_at_work(app)
        for task in self._tasks.values():
            check_completion(app.broker, task)
        self._broker = open_broker(app.url, Opening(namespace=app.namespace))
        try:
            store = self._broker.describe()
            self._owner = self._broker.register(_myself(tuple(self._tasks), work.queues))
        except BaseException:
            self._broker.close()
            raise
        concurrency = work.concurrency or app.settings.concurrency
        self._presence = Presence(self._broker.runtime_directory(), self._owner, concurrency)
        self._executors = self._make_executors(work, concurrency, app.surroundings)
        self._engine = self._make_engine(work)
        self._stops = 0
        self._supervised = True
        self._heart: Repeating | None = None
        self._overrun: messages.Draining | None = None
        self._left: list[Claimed] | None = None
        self._listening, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        os.register_at_fork(after_in_child=self._forget)
        channel.send(messages.Ready(owner=self._owner, settings=app.settings, tasks=tuple(self._tasks), store=store))

    def _make_executors(self, work: messages.Work, concurrency: int, surroundings: Surroundings | None) -> Executors:
        return Executors(
            self._tasks,
            self._presence.page,
            concurrency,
            wake_broker=self._broker.wake,
            on_stuck=self._on_stuck,
            app=work.app,
            log_level=work.log_level or self._settings.log_level,
            transactional=Transactional(self._broker, self._owner),
            on_idle=None if surroundings is None else surroundings.idle,
        )

    def _make_engine(self, work: messages.Work) -> Engine:
        return Engine(
            self._broker,
            self._owner,
            self._tasks,
            self._executors,
            queues=work.queues,
            strict=work.strict,
            burst=work.burst,
            on_doubt=self._on_doubt,
        )

    def run(self) -> None:
        """Work until told to stop. Ends the process itself when jobs take longer than the grace time."""
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        threading.Thread(target=self._work, name="comanda-storage", daemon=True).start()
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ, self._hear)
            selector.register(self._listening, selectors.EVENT_READ, lambda: self._listening.recv(4096))
            while self._left is None:
                ready = selector.select(self._settings.lease - self._settings.heartbeat)
                for key, _ in ready:
                    key.data()
                if not ready:
                    self._renew_alone()
                if not self._supervised and self._channel.fileno() in selector.get_map():
                    selector.unregister(self._channel)
        self._leave(self._left)

    # -- other threads ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._left = self._engine.run()
        except BaseException:  # noqa: BLE001 - whatever it is, this process is of no use any more
            _log.critical("the engine failed: this child ends and another one takes over", exc_info=True)
            _exit_now(1)
        with contextlib.suppress(BlockingIOError):  # then the main thread is awake anyway
            self._waking.send(b"!")

    def _on_stuck(self, attempt: Attempt) -> None:
        """A task goes on after its time limit: only the end of this process ends it."""
        reason = f"{attempt.job.task} did not stop at its time limit of {attempt.timeout:g} s"
        self._overrun = messages.Draining(reason, attempt.raised(None, now()))
        self._channel.send(self._overrun)
        self._engine.stop(self._grace)

    def _on_doubt(self) -> None:
        """A claim's answer was lost: what the store counts as ours and nobody here knows goes back when we leave."""
        self._channel.send(messages.Draining("the store failed during a claim"))
        self._engine.stop(threading.TIMEOUT_MAX)

    # -- the main thread ----------------------------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            received = self._channel.receive()
        except EOFError:
            self._supervised = False
            self._engine.stop(self._grace)
            self._renew_alone()
            _log.warning("the supervisor is gone: this child finishes what runs and ends")
            return
        for message in received:
            self._obey(message)

    def _obey(self, message: messages.Message) -> None:
        if isinstance(message, messages.Renewed):
            if self._heart is not None:
                self._heart.stop()
                self._heart = None
        elif isinstance(message, messages.StopJobs):
            self._executors.stop(set(message.jobs))
        elif isinstance(message, messages.Stop):
            self._engine.stop(message.grace)
            _log.debug("stopping: this child takes no more jobs")
        elif isinstance(message, messages.Lost):
            self._lose()

    def _on_signal(self, number: int, frame: Any) -> None:
        self._stops += 1
        self._engine.stop(self._grace if self._stops == 1 else 0)

    def _renew_alone(self) -> None:
        """The supervisor is dead or frozen: renew this lease here, and find out whether it still holds (R46)."""
        if self._heart is None:
            self._heart = Repeating("heartbeat", self._settings.heartbeat, self._beat)
            self._heart.start()

    def _beat(self) -> None:
        beat = self._broker.heartbeat([self._owner])
        if beat.lost:
            self._lose()
        elif beat.stop:
            self._executors.stop(set(beat.stop))

    def _lose(self) -> None:
        _log.error("this child was declared dead while it lived: its jobs are stopped here and run elsewhere")
        self._engine.abandon()

    # -- the end ------------------------------------------------------------------------------------------------

    def _leave(self, left: list[Claimed]) -> None:
        if self._heart is not None:
            self._heart.stop()
        overrun = self._overrun.overrun if self._overrun is not None else None
        self._presence.clear(but=() if overrun is None else (overrun.job.n,))
        if left and self._supervised:
            # The supervisor hands them back once this process is dead, so that none runs twice at a time.
            self._channel.send(messages.Leaving())
            _exit_now(0)
        try:
            if overrun is not None:
                self._broker.settle(self._owner, [overrun])
            self._broker.deregister(self._owner)
            self._presence.close()
        except BrokerError as error:
            _log.error("could not sign off: %s; the jobs of this child go back when its lease ends", error)
        self._channel.send(messages.Leaving())
        if left:
            _exit_now(0)
        self._broker.close()

    def _forget(self) -> None:
        """After a fork by a task, in its child: that process is no worker and answers signals like any other."""
        self._broker.forget()
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def main(descriptor: int) -> None:
    """Be a child."""
    channel = inherited(descriptor)
    work = channel.first()
    if not isinstance(work, messages.Work):
        raise TypeError(f"expected to be told what to do, got {type(work).__name__}")
    child = _begin(channel, work)
    if child is None:
        channel.close()
        sys.exit(2)
    child.run()


def _begin(channel: Channel, work: messages.Work) -> Child | None:
    """Load the app and register; tell the supervisor why when that is impossible."""
    extend_search(work.search)
    try:
        app = load_app(work.app)
        logs.configure(work.log_level or app.settings.log_level)
        _refuse_private(app)
        child = Child(channel, work, app)
    except BrokerError as error:
        channel.send(messages.Refused(str(error), 3))
    except ComandaError as error:
        channel.send(messages.Refused(str(error), 2))
    except Exception as error:  # noqa: BLE001 - an error in the user's module, at import
        traceback.print_exc()
        channel.send(messages.Refused(f"{work.app} cannot be imported: {type(error).__name__}: {error}", 2))
    else:
        gc.collect()
        gc.freeze()  # what was imported stays: the collector need not walk it again and again (PY9)
        sys.setswitchinterval(SWITCH)
        return child
    return None


def _refuse_private(app: Comanda) -> None:
    """Raise NotSupported for a store that lives inside its own process: this one would be empty for ever."""
    if Capability.CROSS_PROCESS not in app.broker.capabilities:
        raise NotSupported(
            f"jobs on {app.url} live inside the process that enqueues them, where no worker can see them: "
            "call app.start_worker() there, or name a file, such as sqlite:///shop.db"
        )


def _myself(tasks: tuple[str, ...], queues: tuple[str, ...] | None) -> WorkerInfo:
    return WorkerInfo(
        host=socket.gethostname(), pid=os.getpid(), version=__version__, kind="child", tasks=tasks, queues=queues
    )


def _exit_now(code: int) -> None:
    """End the process with its threads in the middle of whatever they do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
