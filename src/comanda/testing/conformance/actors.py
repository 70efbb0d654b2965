# ruff: noqa: S101 - pytest's assert
"""Two actors in a forced order: each runs in a thread of its own, from pause to pause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import combinations

from .case import PATIENCE

Pause = Callable[[], None]
Script = Callable[[Pause], None]
"""What an actor does; it calls `pause` wherever the other one may come in between."""


class Actor:
    """A script in its thread."""

    def __init__(self, script: Script) -> None:
        self._go = threading.Semaphore(0)
        self._paused = threading.Semaphore(0)
        self._error: BaseException | None = None
        self.is_done = False
        threading.Thread(target=self._run, args=(script,), daemon=True).start()

    def step(self) -> None:
        """Run up to the next pause; nothing when the script has ended. Raise what it raised."""
        if not self.is_done:
            self._go.release()
            assert self._paused.acquire(timeout=PATIENCE), "an actor waits for the other one"
        if self._error is not None:
            raise self._error

    def _run(self, script: Script) -> None:
        self._go.acquire()
        try:
            script(self._pause)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._error = error
        self.is_done = True
        self._paused.release()

    def _pause(self) -> None:
        self._paused.release()
        self._go.acquire()


def orders(steps: int, others: int) -> Iterator[list[int]]:
    """Return every order in which `steps` steps of actor 0 and `others` of actor 1 can fall."""
    for places in combinations(range(steps + others), steps):
        yield [0 if place in places else 1 for place in range(steps + others)]


def play(order: list[int], *scripts: Script) -> None:
    """Run the scripts step by step in this order, then to their ends."""
    actors = [Actor(script) for script in scripts]
    for turn in order:
        actors[turn].step()
    for actor in actors:
        while not actor.is_done:
            actor.step()
