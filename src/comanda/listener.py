"""A thread that waits for a broker's hints while somebody needs them: the hint first, a poll behind (WK1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import BrokerError, BrokerUnavailable
from .joining import join

POLL = 1.0
"""Seconds between two looks when no hint arrives; the thread stays as long after the last who needed it."""

_OUT_OF_REACH = 0.1
"""Seconds between two looks while the store cannot be reached."""


class Listener:
    """One thread for all who listen; none while nobody does.

    `wait(timeout)` comes back after a hint and `wake()` ends it. `on_hint` is called at the begin and after each hint
    or poll; `on_end(error)` when the thread ends before its time: the app was closed, or something went wrong for good.
    """

    def __init__(
        self,
        name: str,
        *,
        wait: Callable[[float], None],
        wake: Callable[[], None],
        on_hint: Callable[[], None],
        on_end: Callable[[Exception], None],
    ) -> None:
        self._name = name
        self._wait = wait
        self._wake = wake
        self._on_hint = on_hint
        self._on_end = on_end
        self.forget()

    def forget(self) -> None:
        """After a fork, in the child."""
        self._lock = threading.Lock()
        self._listening = 0
        self._idle_since = 0.0
        self._thread: threading.Thread | None = None
        self._closing = False

    @contextmanager
    def listening(self, *, look_now: bool) -> Iterator[None]:
        """Have hints delivered during the body. `look_now`: call `on_hint` soon after the begin, hint or not."""
        with self._lock:
            self._listening += 1
            running = self._thread is not None
            if not running:
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
        try:
            if running and look_now:
                self._wake()
            yield
        finally:
            with self._lock:
                self._listening -= 1
                self._idle_since = time.monotonic()

    def close(self) -> None:
        """End the thread and those who listen."""
        with self._lock:
            self._closing = True
            thread = self._thread
        if thread is not None:
            self._wake()
            join(thread)
        self._on_end(_closed())

    def _serve(self) -> None:
        try:
            self._pause(0)  # from here on no hint is missed, even before the first look
            while not self._is_over():
                self._on_hint()
                self._pause(POLL)
            if self._closing:  # for one who came between close() and here
                self._on_end(_closed())
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, or would wait for ever
            with self._lock:
                self._thread = None
            self._on_end(error)

    def _is_over(self) -> bool:
        with self._lock:
            over = self._closing or (not self._listening and time.monotonic() - self._idle_since >= POLL)
            if over:
                self._thread = None
            return over

    def _pause(self, timeout: float) -> None:
        try:
            self._wait(timeout)
        except BrokerError:  # the store is out of reach: look again after a while
            time.sleep(min(timeout, _OUT_OF_REACH))


def _closed() -> BrokerUnavailable:
    return BrokerUnavailable("the app was closed while this waited")
