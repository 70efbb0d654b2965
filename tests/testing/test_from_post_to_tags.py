"""S1-16, S2-19: POST, worker and tags in one process, without any service, in under a second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from comanda import Comanda
from comanda.testing import assert_enqueued, run_jobs

KNOWN = ("Django", "Elasticsearch", "Redis")


class Shop:
    """A web application of a user's: logs, and the tags that a task finds in them."""

    def __init__(self, queue: Comanda) -> None:
        self.logs: dict[int, str] = {}
        self.tags: dict[int, list[str]] = {}
        self.extract_tags = queue.task(name="extract_tags")(self._extract_tags_of())
        self.web = FastAPI()
        self.web.post("/logs", status_code=201)(self.save)
        self.web.get("/logs/{log_id}")(self.show)

    def _extract_tags_of(self) -> Any:
        def extract_tags(log_id: int) -> list[str]:
            found = [name for name in KNOWN if name in self.logs[log_id]]
            self.tags[log_id] = found  # set, not added: a second run changes nothing
            return found

        return extract_tags

    async def save(self, entry: dict[str, str]) -> dict[str, Any]:
        log_id = len(self.logs) + 1
        self.logs[log_id] = entry["entry"]
        job = await self.extract_tags.aenqueue(log_id)
        return {"id": log_id, "job": job.id}

    async def show(self, log_id: int) -> dict[str, Any]:
        if log_id not in self.logs:
            raise HTTPException(404)
        return {"id": log_id, "tags": self.tags.get(log_id)}


def test_from_post_to_tags_in_one_process_in_under_a_second(tmp_path: Path) -> None:
    queue = Comanda(f"sqlite:///{tmp_path}/queue.db")
    shop = Shop(queue)
    with TestClient(shop.web) as client:
        times = [post_and_read(queue, shop, client) for _ in range(3)]  # the machine may be busy in one of them
    assert min(times) < 1
    queue.close()


def post_and_read(queue: Comanda, shop: Shop, client: TestClient) -> float:
    """Post a log, run its job, read its tags; return the seconds that took."""
    began = time.monotonic()
    saved = client.post("/logs", json={"entry": "Today I put Django before Elasticsearch."})
    assert saved.status_code == 201
    log = f"/logs/{saved.json()['id']}"
    assert client.get(log).json()["tags"] is None
    assert assert_enqueued(queue, shop.extract_tags, saved.json()["id"]).id == saved.json()["job"]
    assert run_jobs(queue) == 1
    assert client.get(log).json()["tags"] == ["Django", "Elasticsearch"]
    return time.monotonic() - began
