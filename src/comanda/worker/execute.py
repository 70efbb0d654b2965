"""One attempt on the calling thread: the test kit and isolated processes run jobs this way."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from ..brokers.records import Outcome
from ..context import running
from .attempt import Attempt, Interrupt, now
from .interrupt import Interruptible
from .transactional import Transactional


def runner_for(attempt: Attempt, transactional: Transactional | None = None) -> OnThread | OnLoop:
    """Return what runs this attempt here: directly, or on an event loop of its own for a coroutine.

    `transactional` is for tasks that ask for it; an isolated process has none.
    """
    if not attempt.task.transactional:
        transactional = None
    return OnLoop(transactional) if attempt.task.is_async else OnThread(transactional)


class OnThread(Interruptible):
    """Runs a synchronous task."""

    def __init__(self, transactional: Transactional | None) -> None:
        super().__init__()
        self._transactional = transactional

    def run(self, attempt: Attempt) -> Outcome:
        """Return the outcome of the attempt."""
        if self._transactional is not None:
            return self._transactional.run(attempt, lambda: self._called(attempt))
        return self._called(attempt)

    def _called(self, attempt: Attempt) -> Outcome:
        value, error = self.call(attempt, call)
        return attempt.returned(value, now()) if error is None else attempt.raised(error, now())


class OnLoop:
    """Runs a coroutine on a new event loop; beside a running one on a thread of its own."""

    def __init__(self, transactional: Transactional | None) -> None:
        self._transactional = transactional
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Task[Any] | None = None

    def run(self, attempt: Attempt) -> Outcome:
        """Return the outcome of the attempt."""
        made: list[Outcome] = []
        if asyncio._get_running_loop() is None:
            self._serve(attempt, made)
        else:
            thread = threading.Thread(target=self._serve, args=(attempt, made), name="comanda-loop")
            thread.start()
            thread.join()
        return made[0]

    def interrupt(self, attempt: Attempt, kind: Interrupt) -> bool:
        """Cancel the coroutine."""
        with self._lock:
            if attempt.interrupted is not None or self._loop is None or self._handle is None:
                return False
            attempt.interrupted = kind
            self._loop.call_soon_threadsafe(self._handle.cancel)
            return True

    def kill(self, attempt: Attempt) -> bool:
        """Not here."""
        return False

    def _serve(self, attempt: Attempt, made: list[Outcome]) -> None:
        with asyncio.Runner() as runner:
            made.append(runner.run(self._main(attempt), context=attempt.context()))

    async def _main(self, attempt: Attempt) -> Outcome:
        with self._lock:
            self._loop, self._handle = asyncio.get_running_loop(), asyncio.current_task()
        if self._transactional is None:
            return self._left(await acall(attempt))
        outcome = self._left(await self._transactional.arun(attempt, lambda: acall(attempt)))
        await self._transactional.aclose()
        return outcome

    def _left(self, outcome: Outcome) -> Outcome:
        with self._lock:
            self._loop = None
        return outcome


def call(attempt: Attempt) -> Any:
    """Call the task with `current_job()` set, inside a context of its own."""
    running.set(attempt.current)
    return attempt.task.function(*attempt.args, **attempt.kwargs)


async def acall(attempt: Attempt) -> Outcome:
    """Await the task, in the context that is set already; return the outcome."""
    try:
        value = await attempt.task.function(*attempt.args, **attempt.kwargs)
    except BaseException as error:  # noqa: BLE001 - cancellation and SystemExit are outcomes too (R26)
        return attempt.raised(error, now())
    return attempt.returned(value, now())
