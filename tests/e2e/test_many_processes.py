"""Many processes on one queue: the recorder outside the system says who ran what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from comanda import State
from comanda.brokers.records import LIVE_STATES, JobFilter
from comanda.ids import from_text

from .conftest import on_each_store
from .evidence import counts, runs
from .processes import SHOP, SOON, Launcher, Process

PRODUCING = ("-m", "tests.e2e.apps.producing")


def accepted(process: Process) -> list[str]:
    """Return the ids of the jobs that a producer was told of."""
    return [line.split()[1] for line in process.output().splitlines() if line.startswith("accepted ")]


@pytest.mark.timeout(300)
def test_four_web_and_four_worker_processes_run_two_thousand_jobs_once_each(
    launcher: Launcher, shop: ModuleType, tmp_path: Path
) -> None:
    for _ in range(2):
        worker = launcher.worker(SHOP, "--processes", "2")
        worker.line("is at work")
    producers = [launcher.python(*PRODUCING, "500", "8") for _ in range(4)]
    assert [producer.end(6 * SOON) for producer in producers] == [0] * 4
    ids = [job_id for producer in producers for job_id in accepted(producer)]
    assert len(set(ids)) == 2_000
    results = Counter(shop.app.get_job(job_id).result(SOON) for job_id in ids)
    assert results == dict.fromkeys(range(500), 4)
    executed = runs(tmp_path)
    assert executed.keys() == set(ids)
    assert {len(pids) for pids in executed.values()} == {1}
    assert {pid for pids in executed.values() for pid in pids} <= launcher.living("comanda.worker.child")
    assert counts(shop) == {State.SUCCESSFUL: 2_000}


@on_each_store
@pytest.mark.timeout(300)
def test_four_producers_and_four_workers_run_twenty_thousand_jobs_once_each_on_every_store(
    launcher: Launcher, shop: ModuleType, tmp_path: Path
) -> None:
    for _ in range(2):
        launcher.worker(SHOP, "--processes", "2").line("is at work")
    producers = [launcher.python(*PRODUCING, "5000", "2", "250") for _ in range(4)]
    assert [producer.end(6 * SOON) for producer in producers] == [0] * 4
    ids = [job_id for producer in producers for job_id in accepted(producer)]
    assert len(set(ids)) == 20_000
    while waiting := shop.app.find_jobs(JobFilter(states=LIVE_STATES), limit=1):
        waiting[0].result(3 * SOON)
    assert counts(shop) == {State.SUCCESSFUL: 20_000}
    executed = runs(tmp_path)
    assert executed.keys() == set(ids)
    assert {len(pids) for pids in executed.values()} == {1}
    assert {pid for pids in executed.values() for pid in pids} == launcher.living("comanda.worker.child")
    records = [record for record in shop.app.broker.get([from_text(job_id) for job_id in ids]) if record is not None]
    assert Counter(record.result for record in records) == {str(number).encode(): 4 for number in range(5_000)}
    assert {(record.fence, record.attempt, record.crashes) for record in records} == {(1, 1, 0)}
