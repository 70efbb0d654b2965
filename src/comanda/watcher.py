"""Waiting for jobs to change: stored state first, a hint second, a poll behind (WK11, R21).

One thread a process reads all watched jobs in one query after each hint, however many callers wait; it exists only
while somebody does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from .brokers.base import Broker
from .brokers.records import State
from .errors import BrokerError, ResultTimeout
from .ids import to_text

POLL = 1.0
"""Seconds between two looks when no hint arrives."""

PATIENCE = 30.0
"""Seconds a store may be out of reach before those who wait without a time-out hear of it."""

Seen = tuple[State, int]
"""State and version."""


class _Watch:
    __slots__ = ("id", "notify", "seen", "until_terminal")

    def __init__(
        self, job_id: bytes, seen: int, notify: Callable[[Seen | BaseException | None], None], *, until_terminal: bool
    ) -> None:
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
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[_Watch] = set()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._failing_since: float | None = None

    def wait(self, job_id: bytes, timeout: float | None, *, seen: int = -1, until_terminal: bool = True) -> Seen | None:
        """Block until the job has ended, or (not `until_terminal`) has a version above `seen`.

        Returns its state and version, None when there is no such job. Raises ResultTimeout after `timeout` seconds.
        """
        done = threading.Event()
        answers: list[Seen | BaseException | None] = []

        def notify(answer: Seen | BaseException | None) -> None:
            answers.append(answer)
            done.set()

        watch = self._add(job_id, seen, notify, until_terminal=until_terminal)
        try:
            if not done.wait(timeout):
                raise _timed_out(job_id, timeout)
        finally:
            self._remove(watch)
        return _unwrapped(answers[0])

    async def await_(
        self, job_id: bytes, timeout: float | None, *, seen: int = -1, until_terminal: bool = True
    ) -> Seen | None:
        """The same for coroutines."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Seen | BaseException | None] = loop.create_future()

        def settle(answer: Seen | BaseException | None) -> None:
            if not future.done():
                future.set_result(answer)

        def notify(answer: Seen | BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(settle, answer)
            except RuntimeError:  # the loop was closed meanwhile
                return

        watch = self._add(job_id, seen, notify, until_terminal=until_terminal)
        try:
            return _unwrapped(await asyncio.wait_for(future, timeout))
        except TimeoutError:
            raise _timed_out(job_id, timeout) from None
        finally:
            self._remove(watch)

    def close(self) -> None:
        """Stop watching; whoever still waits runs into its own time-out."""
        with self._lock:
            self._watches.clear()
            self._closing = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._broker.wake()
            thread.join()
        self._closing = False

    def forget(self) -> None:
        """After a fork, in the child."""
        self._reset()

    def _add(
        self, job_id: bytes, seen: int, notify: Callable[[Seen | BaseException | None], None], *, until_terminal: bool
    ) -> _Watch:
        watch = _Watch(job_id, seen, notify, until_terminal=until_terminal)
        with self._lock:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="comanda-watcher", daemon=True)
                self._thread.start()
                return watch
        self._broker.wake()
        return watch

    def _remove(self, watch: _Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _serve(self) -> None:
        self._pause(0)  # from here on no hint is missed, even before the first look
        idle_since: float | None = None
        while True:
            with self._lock:
                watches = list(self._watches)
                idle_since = None if watches else idle_since or time.monotonic()
                if self._closing or (idle_since is not None and time.monotonic() - idle_since >= POLL):
                    self._thread = None
                    return
            self._look(watches)
            self._pause(POLL)

    def _look(self, watches: list[_Watch]) -> None:
        if not watches:
            return
        try:
            states = self._broker.states(list({watch.id for watch in watches}))
        except BrokerError as error:
            self._failing_since = self._failing_since or time.monotonic()
            if time.monotonic() - self._failing_since >= PATIENCE:
                self._fail(watches, error)
            return
        self._failing_since = None
        for watch in watches:
            now = states.get(watch.id)
            if watch.is_met(now):
                self._remove(watch)
                watch.notify(now)

    def _fail(self, watches: list[_Watch], error: BrokerError) -> None:
        for watch in watches:
            self._remove(watch)
            watch.notify(error)

    def _pause(self, timeout: float) -> None:
        try:
            self._broker.wait_for_change(timeout)
        except BrokerError:  # the store is out of reach: look again after a while
            time.sleep(min(timeout, 0.1))


def _timed_out(job_id: bytes, timeout: float | None) -> ResultTimeout:
    return ResultTimeout(f"job {to_text(job_id)} has not finished within {timeout:g} s; it goes on")


def _unwrapped(answer: Seen | BaseException | None) -> Seen | None:
    if isinstance(answer, BaseException):
        raise answer
    return answer
