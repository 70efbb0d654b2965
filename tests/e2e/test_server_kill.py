"""The store's server is killed with -9 under load, or stopped in order, and comes back on the same files.

Two processes enqueue all the while and write down, outside the system, what they were told; a worker with two children
runs the jobs. Nothing acknowledged is lost, nothing stays running, and everybody goes on by himself.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from comanda import BrokerError, Job
from comanda.brokers.records import LIVE_STATES, JobFilter, State
from comanda.ids import from_text, new_ids, to_text
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

from .processes import SOON, Launcher, Process
from .progress import Progress

Server = PostgresServer | RedisServer

KITCHEN = "tests.e2e.apps.kitchen:app"
KILLS = 5
RESUMED = 5.0
"""Seconds within which jobs run again once the server answers."""
DEADLINE = 5.0
"""Seconds within which every call of `enqueue` answers or raises."""
SLACK = 4.0
"""Seconds that a busy machine may add to a deadline."""


@pytest.fixture(params=[PostgresServer, RedisServer], ids=["postgresql", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this test's own: Redis with `appendfsync always`; what PostgreSQL wrote is the kernel's to keep."""
    made: Server = request.param()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the jobs are."""
    monkeypatch.setenv("COMANDA_URL", server.url)
    return server.url


class Producers:
    """Two processes that enqueue, and what they were told."""

    def __init__(self, launcher: Launcher, directory: Path) -> None:
        self._log = directory / "told.log"
        self._processes: list[Process] = [
            launcher.python("-m", "tests.e2e.apps.persevering", str(self._log), "2") for _ in range(2)
        ]

    def stop(self) -> None:
        """Let them end; none of them had an error that is not comanda's."""
        assert [process.stop() for process in self._processes] == [0, 0]
        assert [process.output() for process in self._processes] == ["", ""]

    def told(self) -> list[tuple[str, str, float]]:
        """Return the answers: what became of a call, the job's id or the error, and how long it took."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [(what, word, float(seconds)) for what, word, seconds in lines]

    def ids(self, what: str) -> set[str]:
        """Return the ids of the jobs that were `accepted`, or are `uncertain`."""
        return {word for told, word, _ in self.told() if told == what}


@pytest.mark.timeout(240)
def test_a_killed_server_costs_nothing_that_was_acknowledged_and_everybody_goes_on_by_himself(
    launcher: Launcher, kitchen: ModuleType, server: Server, progress: Progress, tmp_path: Path
) -> None:
    worker = launcher.worker(KITCHEN, "-p", "2", "-c", "4")
    worker.line("is at work")
    producers = Producers(launcher, tmp_path)
    for _ in range(KILLS):
        progress.wait_for(100)
        server.kill()
        server.start()
        progress.forget()
        _jobs_run_again(kitchen, progress)
    producers.stop()
    _nothing_is_lost(kitchen, producers, KILLS)
    assert worker.stop() == 0
    _nobody_died(worker)


@pytest.mark.timeout(120)
def test_a_server_that_is_stopped_for_a_while_and_started_again_is_only_waited_for(
    launcher: Launcher, kitchen: ModuleType, server: Server, progress: Progress, tmp_path: Path
) -> None:
    worker = launcher.worker(KITCHEN, "-p", "2", "-c", "4")
    worker.line("is at work")
    producers = Producers(launcher, tmp_path)
    progress.wait_for(100)
    server.stop()
    worker.nth("no new jobs, and outcomes are kept until the store answers", 2)
    server.start()
    progress.forget()
    _jobs_run_again(kitchen, progress)
    worker.nth("the store answers again", 2)
    producers.stop()
    _nothing_is_lost(kitchen, producers, 1)
    assert "refused" in {what for what, _, _ in producers.told()}
    assert worker.stop() == 0
    _nobody_died(worker)


def _nobody_died(worker: Process) -> None:
    """The supervisor never ended. A child whose claim may have been written before the answer was lost handed over."""
    said = "\n".join(line for line in worker.output().splitlines() if " finished in " not in line)
    assert re.search(r"\bdied\b|CRITICAL|Traceback", said) is None, said


def _jobs_run_again(kitchen: ModuleType, progress: Progress) -> None:
    """Soon after the server is back jobs run, and one that was enqueued since then is among them."""
    back_at = time.monotonic()
    progress.wait_for(1)
    ran_after = time.monotonic() - back_at
    assert _persevering(kitchen).result(SOON) == 0
    new_after = time.monotonic() - back_at
    assert (ran_after < RESUMED, new_after < RESUMED) == (True, True), (ran_after, new_after)


def _persevering(kitchen: ModuleType) -> Job[int]:
    """Enqueue before all others; the connections of this process may still have to notice that their server died."""
    (job_id,) = new_ids(1)
    until = time.monotonic() + RESUMED
    while True:
        try:
            job: Job[int] = kitchen.cook.using(id=to_text(job_id), priority=100).enqueue(0)
        except BrokerError:
            assert time.monotonic() < until
        else:
            return job


def _nothing_is_lost(kitchen: ModuleType, producers: Producers, own: int) -> None:
    """What was accepted has run, what was refused does not exist, and what is uncertain exists once or not at all.

    `own` is how many jobs this process has enqueued.
    """
    broker = kitchen.app.broker
    accepted, uncertain = producers.ids("accepted"), producers.ids("uncertain")
    for job_id in accepted:
        kitchen.app.get_job(job_id).result(2 * SOON)
    for job in kitchen.app.find_jobs(JobFilter(states=LIVE_STATES), limit=1_000):  # stored, and never said
        job.result(SOON)
    there = [record for record in broker.get([from_text(job) for job in uncertain]) if record is not None]
    assert _counted(kitchen) == {State.SUCCESSFUL: len(accepted) + len(there) + own}
    executed = Counter(Path("cooked.log").read_text().split())
    assert len(executed) == len(accepted) + len(there) + own, "each stored job ran"
    assert accepted <= executed.keys()
    for job_id in uncertain:  # with its id, a job that is there already stays the only one
        kitchen.cook.using(id=job_id).enqueue(0).result(SOON)
    assert _counted(kitchen) == {State.SUCCESSFUL: len(accepted) + len(uncertain) + own}
    assert max(seconds for _, _, seconds in producers.told()) < DEADLINE + SLACK


def _counted(kitchen: ModuleType) -> dict[State, int]:
    return {state: number for (_, state), number in kitchen.app.broker.counts().items() if number}
