"""The benchmarks of Redis run: small numbers, and no judgement of speed, so that they cannot rot."""

from __future__ import annotations

from benchmarks import redis_drain
from tests.brokers.redis_stores import server_with


def test_a_worker_on_redis_is_measured_beside_the_bare_loop() -> None:
    with server_with() as server:
        figures = redis_drain.measure(server.url, runs=1, jobs=2000)
    assert figures["ratio"] == figures["jobs_per_second"] / figures["bare"] > 0
