"""Leases, rescues and housekeeping: what every worker does for the store."""

from __future__ import annotations

import logging
import threading

import pytest

from comanda import Comanda, State
from comanda.brokers.records import Beat, Demand, JobFilter, NewJob, WorkerInfo
from comanda.errors import BrokerUnavailable
from comanda.ids import new_ids
from comanda.settings import Settings
from comanda.worker import presence, upkeep
from comanda.worker.inline import run_jobs
from comanda.worker.presence import Presence
from comanda.worker.repeating import Repeating
from comanda.worker.upkeep import Upkeep, handed_back

from .support import SOON, states


def _held_by_a_dead_worker(app: Comanda, *, started: int) -> int:
    """Enqueue three jobs and claim them for an owner whose process is gone; return the owner."""
    app.broker.enqueue([NewJob(id=job, task="task", queue="default", payload=b"{}") for job in new_ids(3)])
    info = WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=("task",))
    owner = app.broker.register(info)
    claimed = app.broker.claim(owner, Demand(3, frozenset({"task"})))
    sign = Presence(app.broker.runtime_directory(), owner, 3)
    for slot in range(started):
        sign.page[slot] = claimed[slot].n
    sign.forget()  # as when the kernel drops the lock of a killed process
    return owner


def _upkeep(app: Comanda, owners: list[int], beats: list[Beat] | None = None) -> Upkeep:
    heard = [] if beats is None else beats
    return Upkeep(app.broker, app.broker, Settings(lease=1.0, heartbeat=0.4), lambda: owners, heard.append)


def test_the_jobs_of_a_dead_worker_of_this_host_go_back_at_the_first_look(
    shared_app: Comanda, caplog: pytest.LogCaptureFixture
) -> None:
    owner = _held_by_a_dead_worker(shared_app, started=1)
    with caplog.at_level(logging.WARNING, "comanda.worker"):
        _upkeep(shared_app, []).rescue()
    assert states(shared_app) == {State.READY: 3}
    assert sorted(record.crashes for record in shared_app.broker.find(JobFilter())) == [0, 0, 1]
    assert f"worker {owner} of this host is gone: 3 jobs handed back, 1 of which had started" in caplog.text
    assert presence.started_of(shared_app.broker.runtime_directory(), owner) is None


def test_owners_of_ones_own_are_left_to_their_supervisor(shared_app: Comanda) -> None:
    owner = _held_by_a_dead_worker(shared_app, started=1)
    _upkeep(shared_app, [owner]).rescue()
    assert states(shared_app) == {State.RUNNING: 3}


def test_beats_go_out_for_all_owners_and_their_answer_is_heard(shared_app: Comanda) -> None:
    owner = _held_by_a_dead_worker(shared_app, started=0)
    beats: list[Beat] = []
    at_work = _upkeep(shared_app, [owner], beats)
    at_work.beat()
    shared_app.broker.release(owner, ())
    at_work.beat()
    assert [beat.lost for beat in beats] == [[], [owner]]


def test_without_owners_nothing_is_renewed(shared_app: Comanda) -> None:
    beats: list[Beat] = []
    _upkeep(shared_app, [], beats).beat()
    assert beats == []


def test_finished_jobs_are_removed_by_age(shared_app: Comanda) -> None:
    @shared_app.task(name="task")
    def task() -> None: ...

    task.enqueue()
    assert run_jobs(shared_app) == 1
    beats: list[Beat] = []
    Upkeep(shared_app.broker, shared_app.broker, Settings(keep_successful=0.0), list, beats.append).keep_house()
    assert states(shared_app) == {}


def test_housekeeping_gets_on_however_little_time_the_machine_leaves_it(
    shared_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PRUNING", 0.0)

    @shared_app.task(name="task")
    def task() -> None: ...

    task.enqueue()
    assert run_jobs(shared_app) == 1
    Upkeep(shared_app.broker, shared_app.broker, Settings(keep_successful=0.0), list, lambda _: None).keep_house()
    assert states(shared_app) == {}


def test_a_step_that_the_store_refuses_is_tried_again_soon_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    done = threading.Event()

    def step() -> None:
        calls.append(1)
        if len(calls) < 4:
            raise BrokerUnavailable("no answer")
        done.set()

    repeating = Repeating("test", 0.01, step)
    with caplog.at_level(logging.INFO, "comanda.worker"):
        repeating.start()
        assert done.wait(SOON)
        repeating.stop()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["test: no answer; trying again", "test: the store answers again"]


def test_what_became_of_a_dead_workers_jobs_in_words() -> None:
    assert handed_back(0, 3) == "it held no jobs"
    assert handed_back(5, 2) == "5 jobs handed back, 2 of which had started"
