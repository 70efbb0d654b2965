"""The stream of one log: the state first, then changes, an end, and a way back in (F44, F45)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from comanda.brokers.records import JobFilter
from comanda.ids import from_text
from comanda.worker.inline import run_jobs

Event = tuple[str, dict[str, Any]]

WAITING: Event = ("0-ready", {"job": {"state": "ready", "attempts": 0, "error": None}, "tags": []})
DONE: Event = (
    "1-successful",
    {
        "job": {"state": "successful", "attempts": 1, "error": None},
        "tags": [{"type": "tech-stack", "value": "Django"}, {"type": "tech-stack", "value": "Redis"}],
    },
)


@pytest.fixture
def log_id(client: httpx.Client) -> int:
    """A log whose job waits, and no other."""
    from comanda.demo.tasks import app

    run_jobs(app)
    saved: int = client.post("/logs", json={"entry": "Moved from Django to Redis."}).json()["id"]
    return saved


@contextmanager
def stream(client: httpx.Client, log_id: int, seen: str | None = None) -> Iterator[Iterator[Event]]:
    """Open the stream and yield its events: id and data."""
    headers = {} if seen is None else {"Last-Event-ID": seen}
    with client.stream("GET", f"/logs/{log_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        yield events(response.iter_lines())


def events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            assert fields["event"] == "progress"
            yield fields["id"], json.loads(fields["data"])
            fields = {}


def test_the_state_comes_first_then_changes_until_the_end(client: httpx.Client, log_id: int) -> None:
    from comanda.demo.tasks import app

    with stream(client, log_id) as seen:
        assert next(seen) == WAITING
        run_jobs(app)
        assert list(seen)[-1] == DONE  # the stream ends by itself


def test_who_comes_late_is_told_the_end(client: httpx.Client, log_id: int) -> None:
    from comanda.demo.tasks import app

    run_jobs(app)
    with stream(client, log_id) as seen:
        assert list(seen) == [DONE]


def test_who_comes_back_after_the_end_is_sent_away(client: httpx.Client, log_id: int) -> None:
    from comanda.demo.tasks import app

    run_jobs(app)
    answer = client.get(f"/logs/{log_id}/events", headers={"Last-Event-ID": DONE[0]})
    assert answer.status_code == 204
    assert answer.content == b""


def test_who_comes_back_before_the_end_hears_only_what_is_new(client: httpx.Client, log_id: int) -> None:
    from comanda.demo.tasks import app

    with stream(client, log_id, seen=WAITING[0]) as seen:
        run_jobs(app)
        told = list(seen)
    assert WAITING not in told
    assert told[-1] == DONE


def test_two_readers_are_told_the_same(client: httpx.Client, log_id: int) -> None:
    from comanda.demo.tasks import app

    with stream(client, log_id) as one, stream(client, log_id) as other:
        assert next(one) == next(other) == WAITING
        run_jobs(app)
        assert list(one)[-1] == list(other)[-1] == DONE


def test_a_job_that_is_no_longer_kept_has_nothing_to_tell(client: httpx.Client, log_id: int) -> None:
    from comanda.demo.logs import job_of
    from comanda.demo.tasks import app

    run_jobs(app)
    job = job_of(log_id)
    assert job is not None
    app.broker.delete(JobFilter(ids=(from_text(job.id),)))
    assert client.get(f"/logs/{log_id}/events").status_code == 204
    log = client.get(f"/logs/{log_id}").json()
    assert log["job"] is None
    assert log["tags"] == DONE[1]["tags"]


async def test_a_stream_ends_when_its_time_is_over_and_goes_on_with_the_next(log_id: int) -> None:
    from comanda.demo.events import follow
    from comanda.demo.logs import job_of
    from comanda.demo.tasks import app

    job = await asyncio.to_thread(job_of, log_id)
    assert job is not None
    first = [progress.event_id async for progress in follow(log_id, job, lifetime=0)]
    assert first == [WAITING[0]]
    assert [progress async for progress in follow(log_id, job, seen=first[-1], lifetime=0)] == []
    await asyncio.to_thread(run_jobs, app)
    assert [progress.event_id async for progress in follow(log_id, job, seen=first[-1], lifetime=0)] == [DONE[0]]
