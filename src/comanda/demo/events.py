"""Live progress of one log: where it stands first, then each change, until its job has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi.concurrency import run_in_threadpool

from comanda import Job, JobNotFound

from . import logs
from .schemas import Progress

LIFETIME = 45.0
"""Seconds after which a stream ends by itself; the reader comes back with the last event's id. A server that stops
waits for its open streams, so none may be endless (F45)."""

RECONNECT = 1000
"""Milliseconds after which a reader comes back."""


class Streams:
    """The streams of this process, as far as they wait for a change."""

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._over = False

    async def next(self, changes: AsyncIterator[Any], until: float) -> None:
        """Come back at the next change; raise TimeoutError at the loop's time `until`, or when the server stops."""
        async with asyncio.timeout_at(0 if self._over else until) as limit:
            self._limits.add(limit)
            try:
                await anext(changes)
            finally:
                self._limits.discard(limit)

    def end(self) -> None:
        """End them all, those to come too; to be called on their event loop by a server that stops."""
        self._over = True
        for limit in self._limits:
            limit.reschedule(0)


streams = Streams()


async def follow(
    log_id: int, job: Job[Any], *, seen: str | None = None, lifetime: float = LIFETIME
) -> AsyncGenerator[Progress]:
    """Yield a log's progress now and at each change until its job has ended, or `lifetime` seconds have passed.

    `seen` is the event id of the stage that the reader knows already; it is not repeated.
    """
    until = asyncio.get_running_loop().time() + lifetime
    changes = job.afollow()
    try:
        while True:
            progress = await run_in_threadpool(logs.progress, log_id)
            if progress is None:
                return
            if progress.event_id != seen:
                seen = progress.event_id
                yield progress
            if progress.ended:
                return
            await streams.next(changes, until)
    except (JobNotFound, StopAsyncIteration, TimeoutError):
        return
