"""Something done over and over on a thread of its own, whatever the store says."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from ..errors import BrokerError
from .backoff import Backoff

_log = logging.getLogger("comanda.worker")


class Repeating:
    """Calls `step` at once and then every `interval` seconds, give or take a tenth, until it is stopped.

    A step that the store refuses is tried again sooner: the pauses grow from a tenth of a second to the interval.
    """

    def __init__(self, name: str, interval: float, step: Callable[[], None]) -> None:
        self._name = name
        self._interval = interval
        self._step = step
        self._over = threading.Event()
        self._backoff = Backoff(min(0.1, interval), interval)
        self._thread = threading.Thread(target=self._run, name=f"comanda-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            pause = self._once()

    def _once(self) -> float:
        """Do one step; return how long to wait before the next one."""
        try:
            self._step()
        except BrokerError as error:
            if not self._backoff.failures:
                _log.warning("%s: %s; trying again", self._name, error)
            return self._backoff.next()
        if self._backoff.failures:
            _log.info("%s: the store answers again", self._name)
            self._backoff.reset()
        return self._interval * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, no secret
