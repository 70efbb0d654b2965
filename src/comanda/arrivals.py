"""Waiting for messages: one thread a process hears the broker's bell for all consumers, threads and coroutines.

A bell of each consumer's own would cost a socket each, and coroutines would fill their loop's executor with waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from .brokers.base import Broker
from .errors import copied
from .listener import Listener

_Notify = Callable[[Exception | None], None]


class Arrivals:
    """Tells who waits that there may be something new. `heard` counts the hints."""

    def __init__(self, broker: Broker) -> None:
        self._listener = Listener(
            "comanda-arrivals",
            wait=broker.wait_for_work,
            wake=broker.wake,
            on_hint=self._tell,
            on_end=self._tell,
        )
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[_Notify] = set()
        self.heard = 0

    def wait(self, heard: int, timeout: float | None) -> None:
        """Come back after a hint beyond the first `heard`, or `timeout` seconds; raise what ended the listening."""
        done = threading.Event()
        errors: list[Exception] = []

        def notify(error: Exception | None) -> None:
            if error is not None:
                errors.append(error)
            done.set()

        if not self._add(notify, heard):
            return
        try:
            with self._listener.listening(look_now=False):
                done.wait(timeout)
        finally:
            self._remove(notify)
        if errors:
            raise errors[0]

    async def await_(self, heard: int, timeout: float | None) -> None:
        """The same for coroutines."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)

        def notify(error: Exception | None) -> None:
            try:
                loop.call_soon_threadsafe(settle, error)
            except RuntimeError:  # the loop was closed meanwhile
                return

        if not self._add(notify, heard):
            return
        try:
            with self._listener.listening(look_now=False):
                await asyncio.wait_for(future, timeout)
        except TimeoutError:
            return
        finally:
            self._remove(notify)

    def close(self) -> None:
        """End the thread; whoever still waits gets BrokerUnavailable."""
        self._listener.close()

    def forget(self) -> None:
        """After a fork, in the child."""
        self._listener.forget()
        self._reset()

    def _add(self, notify: _Notify, heard: int) -> bool:
        """Wait from now on; False when there was a hint meanwhile."""
        with self._lock:
            if self.heard != heard:
                return False
            self._waiting.add(notify)
            return True

    def _remove(self, notify: _Notify) -> None:
        with self._lock:
            self._waiting.discard(notify)

    def _tell(self, error: Exception | None = None) -> None:
        with self._lock:
            self.heard += 1
            waiting, self._waiting = self._waiting, set()
        for notify in waiting:
            notify(None if error is None else copied(error))
