"""A visitor of Dev-Guro: posts a log over HTTP and reads its tags from the stream, as the page does."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NamedTuple, Self

import httpx2


class Posted(NamedTuple):
    """A log that was answered with 201. `milliseconds` is the time the answer took."""

    id: int
    milliseconds: float


class Tagged(NamedTuple):
    """What has become of a log's job. `state` is a terminal one."""

    state: str
    tags: list[str]


class Visitor:
    """Talks to one server. Raises httpx2.HTTPError when it does not answer, or not as it should."""

    def __init__(self, url: str) -> None:
        # The server is on this machine: no proxy, and no limit on how long a stream may be silent.
        self._client = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=httpx2.Timeout(10, read=None))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def arrive(self) -> None:
        """Look at the page; returns when the server serves."""
        (await self._client.get("/")).raise_for_status()

    async def post(self, entry: str) -> Posted:
        """Save a log."""
        start = time.perf_counter()
        response = await self._client.post("/logs", json={"entry": entry})
        milliseconds = (time.perf_counter() - start) * 1000
        return Posted(response.raise_for_status().json()["id"], milliseconds)

    async def tags_of(self, log_id: int) -> Tagged:
        """Return a log's tags once its job has ended."""
        while True:  # a stream ends by itself after a while; the next one begins with the state
            async with aclosing(self._progress(log_id)) as stages:
                async for stage in stages:
                    if stage["job"]["state"] not in ("scheduled", "ready", "running"):
                        return Tagged(stage["job"]["state"], [tag["value"] for tag in stage["tags"]])

    async def _progress(self, log_id: int) -> AsyncGenerator[dict[str, Any]]:
        async with self._client.stream("GET", f"/logs/{log_id}/events") as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))
