"""`comanda demo`: start Dev-Guro, post three logs through its own HTTP API, show the tags as they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from comanda.cli.output import console

from .places import choose
from .samples import SAMPLES, Sample
from .terminal import Terminal
from .visitor import Visitor

if TYPE_CHECKING:
    from .server import Server

PATIENCE = 60.0
"""Seconds within which all tags must come."""


def main(once: bool, port: int, url: str | None = None, data: Path | None = None) -> int:
    """Serve Dev-Guro until Ctrl-C, or with `once` until the samples have their tags; return the exit code.

    `port`: the first one to try; 0 takes any. `url` names the store, by default the file dev-guro.db in the directory
    `data` (default: .comanda), made when missing; see `places`. Returns 0 when every expected tag came, else 1. Raises
    ConfigurationError and BrokerError for a port, URL, directory or file that cannot be used.
    """
    places = choose(url, data)
    places.announce()  # read at import: in this process and in the worker's children
    from .logs import open_store

    open_store()
    from .api import api
    from .server import Server, listen

    with listen(port) as listener:
        demo = Demo(Server(api), listener, Terminal(console(sys.stdout)))
        demo.terminal.opening(
            demo.address, places.described(), wanted_port=port if port not in (0, demo.port) else None
        )
        with contextlib.suppress(KeyboardInterrupt):  # the server has stopped in order, then passed the signal on
            asyncio.run(demo.run(once=once))
    return 0 if demo.complete else 1


class Demo:
    """The server on `listener`, and a visitor in the same process."""

    def __init__(self, server: Server, listener: socket.socket, terminal: Terminal) -> None:
        self._server = server
        self._listener = listener
        host, self.port = listener.getsockname()
        self.address = f"http://{host}:{self.port}"
        self.terminal = terminal
        self.complete = False

    async def run(self, *, once: bool) -> None:
        """Serve and show the samples; with `once` stop then."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        showing = asyncio.create_task(self._show())
        await asyncio.wait({serving, showing}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        self.complete = showing.done() and showing.result()
        showing.cancel()
        if not self._server.should_exit:
            self.terminal.closing(complete=self.complete, once=once)
            self._server.should_exit = once
        await serving

    async def _show(self) -> bool:
        """Post the samples one after the other, read their streams meanwhile; return whether all tags came."""
        complete: list[bool] = []
        try:
            async with Visitor(self.address) as visitor, asyncio.TaskGroup() as readers:
                await visitor.arrive()
                await self._await_worker()
                for sample in SAMPLES:
                    posted = await visitor.post(sample.entry)
                    self.terminal.posted(posted, sample.entry)
                    readers.create_task(self._read(visitor, posted.id, sample, complete))
        except* httpx2.HTTPError as errors:
            if not self._server.should_exit:
                self.terminal.trouble(f"The server did not answer as it should: {errors.exceptions[0]!r}")
        return len(complete) == len(SAMPLES) and all(complete)

    async def _await_worker(self) -> None:
        """Let the worker look for a log that does not exist: its start shall not be counted as answer time."""
        from .tasks import extract_tags

        start = time.perf_counter()
        job = await extract_tags.aenqueue(0)
        await job.aresult()
        self.terminal.ready(time.perf_counter() - start)

    async def _read(self, visitor: Visitor, log_id: int, sample: Sample, complete: list[bool]) -> None:
        start = time.perf_counter()
        tagged = await visitor.tags_of(log_id)
        missing = sample.missing(tagged.tags)
        self.terminal.tagged(log_id, time.perf_counter() - start, tagged, missing)
        complete.append(not missing)
