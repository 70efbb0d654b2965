"""What a waiting job costs the server: at most twice its encoded record and 200 bytes."""

from __future__ import annotations

import msgspec
import redis

from comanda.brokers.records import NewJob
from comanda.ids import new_ids
from tests.brokers.redis_stores import broker_on, server_with

JOBS = 10_000


def test_a_waiting_job_takes_twice_its_record_and_200_bytes_at_most() -> None:
    """Issue 3; a server of its own, so that nobody else's keys are counted."""
    jobs = [
        NewJob(id=job_id, task="shop.tasks.extract_tags", queue="default", payload=b"x" * 100)
        for job_id in new_ids(JOBS)
    ]
    budget = 2 * len(msgspec.msgpack.encode(msgspec.structs.astuple(jobs[0]))) + 200
    with server_with() as server, server.client() as client:
        broker = broker_on(server.url)
        broker.open()
        before = used(client)
        broker.enqueue(jobs)
        each = (used(client) - before) / JOBS
        broker.close()
    assert each <= budget, f"{each:.0f} bytes a job, the budget is {budget}"


def used(client: redis.Redis) -> int:
    """Return the bytes in all keys: INFO would count what Lua and the connections hold as well."""
    return sum(int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter())
