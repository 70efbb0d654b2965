"""The benchmarks run: small numbers, and no judgement of speed, so that they cannot rot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import drain, enqueue, latency, machine, run, scale, servers, transactions
from benchmarks.bare import sqlite_drain
from benchmarks.servers import SERVERS
from benchmarks.store import SCHEMES, STORES

both_libraries = pytest.mark.parametrize("library", SCHEMES)


@both_libraries
def test_the_bare_drain_loop_runs_each_job_once(tmp_path: Path, library: str) -> None:
    assert sqlite_drain.measure(library, 2000, tmp_path) > 0


@pytest.mark.parametrize("library", STORES)
def test_a_worker_is_measured_beside_the_bare_loop(tmp_path: Path, library: str) -> None:
    figures = drain.measure(library, runs=1, jobs=2000, directory=tmp_path)
    assert figures["ratio"] == figures["jobs_per_second"] / figures["bare"] > 0


@both_libraries
def test_all_ways_to_enqueue_are_measured_and_lose_nothing(tmp_path: Path, library: str) -> None:
    figures = enqueue.measure(library, runs=2, seconds=0.02, directory=tmp_path)
    assert all(figures[name] > 0 for name in ("bare", "one", "threads", "coroutines"))
    assert 0 < figures["share"] <= 1


@pytest.mark.parametrize("library", ["apsw", *SERVERS])
def test_latency_is_measured_from_enqueue_to_start_and_to_the_result(tmp_path: Path, library: str) -> None:
    figures = latency.measure(library, jobs=20, idle=0.01, pause=0.0, directory=tmp_path)
    assert 0 < figures["start_p50_ms"] < figures["result_p50_ms"]


@pytest.mark.parametrize("library", ["apsw", *SERVERS])
def test_the_broker_alone_is_measured_as_its_store_grows(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = scale.Case(3_000, 2_000, history=2_000), scale.Case(2_000, 2_000, vacuumed=False)
    monkeypatch.setattr(scale, "CASES", {"backlog": cases})
    figures = scale.measure(library, 1, ("backlog",), tmp_path)
    assert figures["backlog_ratio"] == figures["backlog"] / figures["backlog_small"] > 0


@pytest.mark.parametrize("store", SERVERS)
def test_a_server_says_its_version(store: str) -> None:
    assert re.fullmatch(r"(PostgreSQL|Redis) \d+\.[\d.]+", servers.version(store))


def test_an_enqueue_in_the_caller_s_transaction_is_measured_beside_a_plain_row() -> None:
    figures = transactions.measure(rounds=1, transactions=2)
    assert figures["ratio"] == figures["job"] / figures["row"] > 0


def test_the_table_shows_each_figure_with_its_floor(tmp_path: Path) -> None:
    """And a figure below its floor is a failure that names both."""
    good = {floor.figure: floor.at_least.get("apsw", 0.0) for floor in run.FLOORS}
    assert run.failures({"apsw": good}) == []
    slow = good | {"jobs_per_second": 49_999.0, "start_p50_ms": 2.5}
    assert run.failures({"apsw": slow}) == [
        "apsw: drain, jobs/s 49,999, wanted ≥ 50,000",
        "apsw: enqueue to start, idle, p50 ms 2.50, wanted ≤ 2.00",
    ]
    console = Console(record=True, width=120, quiet=True)
    run.show(console, machine.describe(tmp_path), {"apsw": slow})
    assert machine.sync_microseconds(tmp_path, times=3) > 0
