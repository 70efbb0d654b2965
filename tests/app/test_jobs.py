"""Handles on enqueued calls: what they show, and how they wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from comanda import (
    BrokerUnavailable,
    Comanda,
    ConfigurationError,
    Job,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobNotFound,
    ResultTimeout,
    Retry,
    SchemaMismatch,
    State,
    listener,
    watcher,
)
from comanda.brokers.records import Claimed, Demand, JobFilter, WorkerInfo
from comanda.ids import new_ids, to_text
from comanda.testing import FakeClock, run_jobs
from comanda.version import __version__

from .conftest import MakeApp

LONG = 30.0
"""Seconds that only a failing test waits."""


def double(number: int) -> int:
    return 2 * number


def fail(text: str) -> None:
    raise ValueError(text)


class Worker:
    """Claims and settles by hand, so that the test decides when a job changes."""

    def __init__(self, app: Comanda) -> None:
        self._broker = app.broker
        self._tasks = frozenset(app.tasks)
        self._owner = self._broker.register(
            WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=tuple(self._tasks))
        )

    def claim(self, limit: int = 1) -> list[Claimed]:
        return self._broker.claim(self._owner, Demand(limit, self._tasks))

    def succeed(self, claimed: Sequence[Claimed], result: bytes = b"42") -> None:
        from comanda.outcome import succeeded

        assert self._broker.settle(self._owner, [succeeded(job, result, 1, 2) for job in claimed]) == []


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a hint can wake who waits: the poll behind it comes in an hour."""
    monkeypatch.setattr(listener, "POLL", 3_600.0)


# -- what a job shows --------------------------------------------------------------------------------------------------


def test_a_job_shows_where_it_stands_as_last_read(app: Comanda) -> None:
    before = datetime.now(UTC)
    job = app.task(queue="sums", priority=3)(double).enqueue(21)
    assert (job.state, job.queue, job.priority, job.attempts, job.finished_at) == (State.READY, "sums", 3, [], None)
    assert before - timedelta(seconds=1) <= job.enqueued_at <= datetime.now(UTC)
    assert job.run_after == job.enqueued_at
    run_jobs(app)
    assert [job.state, job.refresh().state, job.state] == [State.READY, State.SUCCESSFUL, State.SUCCESSFUL]
    assert job.finished_at is not None
    assert job.finished_at.tzinfo is UTC


def test_a_job_s_id_is_a_uuid_and_finds_it_again(app: Comanda) -> None:
    job = app.task(double).enqueue(21)
    assert UUID(job.id).version == 7
    for found in (app.get_job(job.id), app.get_job(UUID(job.id)), app.find_jobs()[0]):
        assert (found.id, found.task, found.state) == (job.id, f"{__name__}.double", State.READY)


def test_the_repr_of_a_job_reads_nothing(memory_app: Comanda) -> None:
    job = memory_app.task(name="double")(double).enqueue(21)
    assert repr(job) == f"<Job {job.id} double not read yet>"
    assert repr(job.refresh()) == f"<Job {job.id} double ready>"


def test_every_attempt_is_kept_with_times_worker_and_traceback(app: Comanda) -> None:
    job = app.task(retry=Retry(max_attempts=2, backoff=0))(fail).enqueue("too bad")
    run_jobs(app)
    first, second = job.refresh().attempts
    assert (first.number, first.outcome, second.number, second.outcome) == (1, "failed", 2, "failed")
    assert (first.error_type, first.error_message, first.reason) == ("ValueError", "too bad", "exception")
    assert "raise ValueError(text)\nValueError: too bad" in first.traceback
    assert first.started_at <= second.started_at
    assert first.finished_at is not None
    assert first.version == __version__
    assert first.host
    assert first.pid > 0


def test_attempts_of_a_job_found_in_a_list_are_read_when_asked_for(app: Comanda) -> None:
    app.task(retry=Retry(max_attempts=1))(fail).enqueue("too bad")
    run_jobs(app)
    [found] = app.find_jobs()
    assert [attempt.error_type for attempt in found.attempts] == ["ValueError"]
    assert found.operations == []


def test_an_unknown_id_is_not_found_and_no_id_is_refused(app: Comanda) -> None:
    unknown = to_text(new_ids(1)[0])
    with pytest.raises(JobNotFound, match=unknown):
        app.get_job(unknown)
    with pytest.raises(ConfigurationError, match="is not a job id"):
        app.get_job("42")


def test_a_deleted_job_says_so(app: Comanda) -> None:
    job = app.task(double).enqueue(21)
    app.broker.delete(JobFilter())
    for look in (job.refresh, job.result, job.cancel, job.retry, lambda: next(job.follow())):
        with pytest.raises(JobNotFound, match="deleted or pruned"):
            look()


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_result_comes_back_with_its_type(app: Comanda) -> None:
    def tomorrow(day: datetime) -> set[datetime]:
        return {day + timedelta(days=1)}

    job = app.task(name="tomorrow")(tomorrow).enqueue(datetime(2026, 1, 1, tzinfo=UTC))
    run_jobs(app)
    assert job.result(timeout=LONG) == {datetime(2026, 1, 2, tzinfo=UTC)}
    assert job.result(timeout=0) == {datetime(2026, 1, 2, tzinfo=UTC)}


def test_a_result_of_a_task_that_this_process_does_not_know_comes_back_as_json(make_app: MakeApp) -> None:
    app = make_app("sqlite")
    job = app.task(double).enqueue(21)
    run_jobs(app)
    assert make_app("sqlite").get_job(job.id).result(timeout=LONG) == 42


def test_a_failure_carries_the_remote_traceback_as_a_note(app: Comanda) -> None:
    job = app.task(name="fail", retry=Retry(max_attempts=1))(fail).enqueue("too bad")
    run_jobs(app)
    with pytest.raises(JobFailed, match=rf"job {job.id} \(fail\) failed: ValueError: too bad") as failed:
        job.result(timeout=LONG)
    assert (failed.value.error_type, failed.value.error_message) == ("ValueError", "too bad")
    assert "raise ValueError(text)" in failed.value.remote_traceback
    assert failed.value.__notes__ == [f"In the worker:\n{failed.value.remote_traceback.rstrip()}"]


def test_a_cancelled_job_has_no_result(app: Comanda) -> None:
    job = app.task(double).enqueue(21)
    assert job.cancel()
    assert job.state is State.CANCELLED
    assert not job.cancel()
    with pytest.raises(JobCancelled, match=job.id):
        job.result(timeout=LONG)
    assert [operation.verb for operation in job.operations] == ["cancel"]


def test_an_expired_job_has_no_result(make_app: MakeApp) -> None:
    clock = FakeClock()
    app = make_app("memory", clock=clock)
    job = app.task(double).using(expires=10).enqueue(21)
    clock.advance(11)
    run_jobs(app)
    with pytest.raises(JobExpired, match="not started before it expired"):
        job.result(timeout=LONG)


def test_an_ended_job_can_be_retried(app: Comanda) -> None:
    job = app.task(double).enqueue(21)
    assert not job.retry()
    run_jobs(app)
    assert job.retry()
    assert job.state is State.READY
    run_jobs(app)
    assert job.result(timeout=LONG) == 42
    assert [operation.verb for operation in job.operations] == ["retry"]


@pytest.mark.parametrize("timeout", [0, 0.01, timedelta(milliseconds=10)])
def test_a_result_that_does_not_come_in_time_says_where_the_job_stands(
    app: Comanda, timeout: float | timedelta
) -> None:
    job = app.task(name="double")(double).enqueue(21)
    with pytest.raises(ResultTimeout, match=rf"job {job.id} \(double\) is ready and has not ended within 0"):
        job.result(timeout=timeout)
    assert job.refresh().state is State.READY


async def test_every_verb_has_its_twin_for_coroutines(app: Comanda) -> None:
    job = await app.task(double).aenqueue(21)
    with pytest.raises(ResultTimeout):
        await job.aresult(timeout=0.01)
    assert await job.acancel()
    with pytest.raises(JobCancelled):
        await job.aresult(timeout=LONG)
    assert await job.aretry()
    await asyncio.to_thread(run_jobs, app)
    assert await job.aresult() == 42
    assert (await app.aget_job(job.id)).state is State.SUCCESSFUL
    assert [found.id for found in await app.afind_jobs()] == [job.id]
    with pytest.raises(JobNotFound):
        await app.aget_job(to_text(new_ids(1)[0]))


async def test_blocking_verbs_are_refused_on_a_running_loop(memory_app: Comanda) -> None:
    job = await memory_app.task(double).aenqueue(21)
    for verb in (job.refresh, job.result, job.cancel, job.retry, memory_app.find_jobs, lambda: job.state):
        with pytest.raises(ConfigurationError, match="blocks the event loop"):
            verb()
    await job.arefresh()
    assert job.state is State.READY


# -- waiting -----------------------------------------------------------------------------------------------------------


class Waiter(threading.Thread):
    """A thread that waits for a result."""

    def __init__(self, job: Job[int]) -> None:
        super().__init__()
        self._job = job
        self.result: object = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._job.result(timeout=LONG)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.result = error

    def ended(self) -> object:
        self.join(LONG)
        assert not self.is_alive()
        return self.result


class Looks:
    """Notes the ids that each look at the store asks for, and tells when it has asked for enough of them at once."""

    def __init__(self, app: Comanda) -> None:
        self.asked: list[set[bytes]] = []
        self._changed = threading.Condition()
        self._states = app.broker.states
        app.broker.states = self._look  # type: ignore[method-assign]

    def _look(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        found = self._states(ids)
        with self._changed:
            self.asked.append(set(ids))
            self._changed.notify_all()
        return found

    def at(self, count: int) -> None:
        """Return when one look has asked for `count` jobs."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(len(ids) == count for ids in self.asked), LONG)


@pytest.mark.usefixtures("no_poll")
def test_who_waits_is_woken_when_the_job_ends(app: Comanda) -> None:
    job = app.task(double).enqueue(21)
    looks = Looks(app)
    waiter = Waiter(job)
    looks.at(1)
    worker = Worker(app)
    worker.succeed(worker.claim())
    assert waiter.ended() == 42


@pytest.mark.usefixtures("no_poll")
async def test_a_coroutine_that_waits_is_woken_when_the_job_ends(app: Comanda) -> None:
    job = await app.task(double).aenqueue(21)
    looks = Looks(app)
    waiting = asyncio.create_task(job.aresult())
    await asyncio.to_thread(looks.at, 1)
    worker = await asyncio.to_thread(Worker, app)
    await asyncio.to_thread(lambda: worker.succeed(worker.claim()))
    assert await asyncio.wait_for(waiting, LONG) == 42


@pytest.mark.usefixtures("no_poll")
def test_an_end_written_by_another_process_wakes_who_waits(make_app: MakeApp) -> None:
    """Another connection of its own stands for the other process: nothing but the file and its bell joins the two."""
    app, other = make_app("sqlite"), make_app("sqlite")
    for one in (app, other):
        one.task(double)
    job = app.tasks[f"{__name__}.double"].enqueue(21)
    looks = Looks(app)
    waiter = Waiter(job)
    looks.at(1)
    worker = Worker(other)
    worker.succeed(worker.claim())
    assert waiter.ended() == 42


@pytest.mark.usefixtures("no_poll")
def test_many_waiters_share_one_query_and_one_thread(app: Comanda) -> None:
    jobs = app.enqueue_many(app.task(double).call(number) for number in range(40))
    looks = Looks(app)
    waiters = [Waiter(job) for job in jobs]
    looks.at(40)
    before = len(looks.asked)
    assert len([thread for thread in threading.enumerate() if thread.name == "comanda-watcher"]) == 1
    worker = Worker(app)
    worker.succeed(worker.claim(40))
    assert [waiter.ended() for waiter in waiters] == [42] * 40
    assert len(looks.asked) - before <= 3


def test_the_thread_ends_when_nobody_waits_any_more(memory_app: Comanda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "POLL", 0.01)
    job = memory_app.task(double).enqueue(21)
    run_jobs(memory_app)
    assert job.result(timeout=LONG) == 42
    for thread in threading.enumerate():
        if thread.name == "comanda-watcher":
            thread.join(LONG)
            assert not thread.is_alive()
    assert job.result(timeout=LONG) == 42


def test_closing_the_app_ends_the_waiting(app: Comanda) -> None:
    job = app.task(double).enqueue(21)
    looks = Looks(app)
    waiter = Waiter(job)
    looks.at(1)
    app.close()
    assert isinstance(waiter.ended(), BrokerUnavailable)


def test_a_loop_that_was_closed_while_it_waited_disturbs_nobody(app: Comanda) -> None:
    first, second = (app.task(double).enqueue(number) for number in range(2))
    looks = Looks(app)
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(first.aresult())
    loop.run_until_complete(asyncio.to_thread(looks.at, 1))
    loop.close()
    waiter = Waiter(second)
    looks.at(2)
    worker = Worker(app)
    worker.succeed(worker.claim(2))
    assert waiter.ended() == 42
    assert not abandoned.done()


def test_a_bell_that_cannot_be_heard_for_a_while_is_listened_for_again(
    memory_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = memory_app.task(double).enqueue(21)
    run_jobs(memory_app)
    wait, failures = memory_app.broker.wait_for_change, [BrokerUnavailable(), BrokerUnavailable()]

    def unreliable(timeout: float) -> None:
        if failures:
            raise failures.pop()
        wait(timeout)

    monkeypatch.setattr(memory_app.broker, "wait_for_change", unreliable)
    assert job.result(timeout=LONG) == 42


def test_a_store_that_is_out_of_reach_is_waited_for(memory_app: Comanda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "POLL", 0.001)
    job = memory_app.task(double).enqueue(21)
    run_jobs(memory_app)
    states, failures = memory_app.broker.states, [BrokerUnavailable(), BrokerUnavailable()]

    def unreliable(ids: Sequence[bytes]) -> Any:
        if failures:
            raise failures.pop()
        return states(ids)

    monkeypatch.setattr(memory_app.broker, "states", unreliable)
    assert job.result(timeout=LONG) == 42
    assert failures == []


def test_a_store_that_stays_out_of_reach_ends_the_waiting(memory_app: Comanda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "PATIENCE", 0.0)
    job = memory_app.task(double).enqueue(21)

    def unreachable(_: Sequence[bytes]) -> Any:
        raise BrokerUnavailable("the disk is gone")

    monkeypatch.setattr(memory_app.broker, "states", unreachable)
    with pytest.raises(BrokerUnavailable, match="the disk is gone"):
        job.result()


def test_an_error_that_no_waiting_can_mend_is_heard_at_once(
    memory_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = memory_app.task(double).enqueue(21)

    def upgraded(_: Sequence[bytes]) -> Any:
        raise SchemaMismatch("upgrade comanda")

    with monkeypatch.context() as patch:
        patch.setattr(memory_app.broker, "states", upgraded)
        with pytest.raises(SchemaMismatch, match="upgrade comanda"):
            job.result()
    run_jobs(memory_app)
    assert job.result(timeout=LONG) == 42


def test_a_job_that_somebody_retried_meanwhile_is_waited_for_again(
    memory_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had ended when the hint came, and was ready again when its result was read."""
    job = memory_app.task(double).enqueue(21)
    run_jobs(memory_app)
    wait = memory_app.runtime.watcher.wait

    def and_retry(*args: Any, **kwargs: Any) -> Any:
        seen = wait(*args, **kwargs)
        monkeypatch.undo()
        job.retry()
        threading.Thread(target=run_jobs, args=(memory_app,)).start()
        return seen

    monkeypatch.setattr(memory_app.runtime.watcher, "wait", and_retry)
    assert job.result(timeout=LONG) == 42
    assert [operation.verb for operation in job.operations] == ["retry"]


# -- following ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_poll")
def test_following_yields_the_state_first_and_then_each_change(app: Comanda) -> None:
    job = app.task(double).using(run_after=3_600).enqueue(21)
    states = job.follow()
    assert next(states) is State.SCHEDULED
    app.broker.reschedule(JobFilter(), app.now())
    assert next(states) is State.READY
    worker = Worker(app)
    claimed = worker.claim()
    assert next(states) is State.RUNNING
    worker.succeed(claimed)
    assert list(states) == [State.SUCCESSFUL]
    assert list(job.follow()) == [State.SUCCESSFUL]


@pytest.mark.usefixtures("no_poll")
async def test_a_coroutine_can_follow_a_job(app: Comanda) -> None:
    job = await app.task(double).aenqueue(21)
    worker = await asyncio.to_thread(Worker, app)
    seen: list[State] = []
    claimed: list[Claimed] = []
    async for state in job.afollow():
        seen.append(state)
        if state is State.READY:
            claimed = await asyncio.to_thread(worker.claim)
        if state is State.RUNNING:
            await asyncio.to_thread(worker.succeed, claimed)
    assert seen == [State.READY, State.RUNNING, State.SUCCESSFUL]


def test_following_gives_up_when_nothing_changes_in_time(app: Comanda) -> None:
    states = app.task(double).enqueue(21).follow(timeout=0.01)
    assert next(states) is State.READY
    with pytest.raises(ResultTimeout, match="has not changed"):
        next(states)


def test_following_a_job_that_is_deleted_ends_in_an_error(app: Comanda) -> None:
    states = app.task(double).enqueue(21).follow(timeout=LONG)
    assert next(states) is State.READY
    app.broker.delete(JobFilter())
    with pytest.raises(JobNotFound):
        next(states)
