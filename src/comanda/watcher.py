"""Waiting for jobs to change: stored state first, a hint second, a poll behind (WK11, R21).

One thread a process reads all watched jobs in one query after each hint, however many callers wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from .brokers.base import Broker
from .brokers.records import State
from .errors import BrokerError, ResultTimeout, copied
from .ids import to_text
from .listener import Listener

PATIENCE = 30.0
"""Seconds a store may be out of reach before those who wait without a time-out hear of it."""

Seen = tuple[State, int]
"""State and version."""

_Notify = Callable[[Seen | Exception | None], None]


class _Watch:
    __slots__ = ("id", "notify", "seen", "until_terminal")

    def __init__(self, job_id: bytes, seen: int, notify: _Notify, *, until_terminal: bool) -> None:
        self.id = job_id
        self.seen = seen
        self.notify = notify
        self.until_terminal = until_terminal

    def is_met(self, now: Seen | None) -> bool:
        if now is None:
            return True  # gone: whoever waits shall hear it
        return now[0].is_terminal or (not self.until_terminal and now[1] > self.seen)


class Watcher:
    """Waits for jobs of one broker, for threads and coroutines."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._listener = Listener(
            "comanda-watcher",
            wait=broker.wait_for_change,
            wake=broker.wake,
            on_hint=self._look,
            on_end=self._fail,
        )
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[_Watch] = set()
        self._failing_since: float | None = None

    def wait(self, job_id: bytes, timeout: float | None, *, seen: int = -1, until_terminal: bool = True) -> Seen | None:
        """Block until the job has ended, or (not `until_terminal`) has a version above `seen`.

        Returns its state and version, None when there is no such job. Raises ResultTimeout after `timeout` seconds,
        BrokerError when the store stayed out of reach or the app was closed.
        """
        done = threading.Event()
        answers: list[Seen | Exception | None] = []

        def notify(answer: Seen | Exception | None) -> None:
            answers.append(answer)
            done.set()

        watch = self._add(_Watch(job_id, seen, notify, until_terminal=until_terminal))
        try:
            with self._listener.listening(look_now=True):
                if not done.wait(timeout):
                    raise _timed_out(job_id)
        finally:
            self._remove(watch)
        return _unwrapped(answers[0])

    async def await_(
        self, job_id: bytes, timeout: float | None, *, seen: int = -1, until_terminal: bool = True
    ) -> Seen | None:
        """The same for coroutines."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Seen | Exception | None] = loop.create_future()

        def settle(answer: Seen | Exception | None) -> None:
            if not future.done():
                future.set_result(answer)

        def notify(answer: Seen | Exception | None) -> None:
            try:
                loop.call_soon_threadsafe(settle, answer)
            except RuntimeError:  # the loop was closed meanwhile
                return

        watch = self._add(_Watch(job_id, seen, notify, until_terminal=until_terminal))
        try:
            with self._listener.listening(look_now=True):
                return _unwrapped(await asyncio.wait_for(future, timeout))
        except TimeoutError:
            raise _timed_out(job_id) from None
        finally:
            self._remove(watch)

    def close(self) -> None:
        """End the thread; whoever still waits gets BrokerUnavailable."""
        self._listener.close()

    def forget(self) -> None:
        """After a fork, in the child."""
        self._listener.forget()
        self._reset()

    def _add(self, watch: _Watch) -> _Watch:
        with self._lock:
            self._watches.add(watch)
        return watch

    def _remove(self, watch: _Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _look(self) -> None:
        with self._lock:
            watches = list(self._watches)
        if not watches:
            return
        try:
            states = self._broker.states(list({watch.id for watch in watches}))
        except BrokerError as error:
            self._failing_since = self._failing_since or time.monotonic()
            if time.monotonic() - self._failing_since >= PATIENCE:
                self._fail(error)
            return
        self._failing_since = None
        for watch in watches:
            now = states.get(watch.id)
            if watch.is_met(now):
                self._remove(watch)
                watch.notify(now)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            watches, self._watches = self._watches, set()
        for watch in watches:
            watch.notify(copied(error))


def _timed_out(job_id: bytes) -> ResultTimeout:
    return ResultTimeout(f"job {to_text(job_id)} has not changed within the time given; it goes on")


def _unwrapped(answer: Seen | Exception | None) -> Seen | None:
    if isinstance(answer, Exception):
        raise answer
    return answer
