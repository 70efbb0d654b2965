"""Claim, run, settle: what becomes of every kind of job."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from comanda import Comanda, Retry, RetryLater, Secret, current_job
from comanda.brokers.records import Claimed, Demand, Exchanged, NewJob, Outcome, State, WorkerInfo
from comanda.errors import JobFailed
from comanda.ids import new_ids, to_text
from comanda.retry import NEVER

from .support import SOON, Gate, Working, states


def test_results_come_back_from_threads_and_coroutines(app: Comanda) -> None:
    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    @app.task(name="triple")
    async def triple(number: int) -> int:
        await asyncio.sleep(0)
        return 3 * number

    jobs = [double.enqueue(1), triple.enqueue(2)]
    with Working(app):
        assert [job.result(SOON) for job in jobs] == [2, 6]
        assert double.enqueue(5).result(SOON) == 10
    assert states(app) == {State.SUCCESSFUL: 3}


def test_a_thousand_jobs_run_exactly_once(app: Comanda) -> None:
    runs: list[int] = []

    @app.task(name="note")
    def note(number: int) -> None:
        runs.append(number)

    @app.task(name="anote")
    async def anote(number: int) -> None:
        runs.append(number)

    app.enqueue_many((note if number % 3 else anote).call(number) for number in range(1000))
    with Working(app, burst=True) as worker:
        worker.join()
    assert sorted(runs) == list(range(1000))
    assert states(app) == {State.SUCCESSFUL: 1000}


def test_a_store_that_had_nothing_more_when_the_last_job_was_settled_is_not_asked_again(
    memory_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    exchange = memory_app.broker.exchange

    def note(owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        calls.append((len(outcomes), demand.limit))
        return exchange(owner, outcomes, demand)

    monkeypatch.setattr(memory_app.broker, "exchange", note)
    memory_app.task(name="fine")(lambda: None).enqueue()
    with Working(memory_app, concurrency=1, burst=True) as worker:
        worker.join()
    assert calls == [(0, 1), (1, 1)]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_whatever_a_task_raises_fails_the_job_and_not_the_worker(app: Comanda, kind: type[BaseException]) -> None:
    @app.task(name="raise", retry=NEVER)
    def fail() -> None:
        raise kind("as told")

    @app.task(name="araise", retry=NEVER)
    async def afail() -> None:
        raise kind("as told")

    @app.task(name="fine")
    def fine() -> str:
        return "fine"

    with Working(app, concurrency=1):
        for task in (fail, afail):
            with pytest.raises(JobFailed) as caught:
                task.enqueue().result(SOON)
            assert caught.value.error_type == kind.__name__
        assert fine.enqueue().result(SOON) == "fine"


def test_an_exception_that_cannot_be_shown_still_fails_its_job(app: Comanda) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise SystemExit("no words")

    @app.task(name="mute", retry=NEVER)
    def mute() -> None:
        raise Unspeakable

    with Working(app), pytest.raises(JobFailed) as caught:
        mute.enqueue().result(SOON)
    assert "Unspeakable" in caught.value.error_type


def test_the_stored_traceback_begins_in_the_users_code(app: Comanda) -> None:
    @app.task(name="deep", retry=NEVER)
    def deep() -> None:
        raise LookupError("here")

    with Working(app), pytest.raises(JobFailed) as caught:
        deep.enqueue().result(SOON)
    frames = [line for line in caught.value.remote_traceback.splitlines() if line.startswith("  File")]
    assert [__file__ in frame for frame in frames] == [True]


def test_a_result_that_cannot_be_encoded_fails_the_job_with_a_sentence(app: Comanda) -> None:
    @app.task(name="odd", retry=NEVER)
    def odd() -> object:
        return object()

    with Working(app), pytest.raises(JobFailed) as caught:
        odd.enqueue().result(SOON)
    assert caught.value.error_type == "UnencodableResult"


def test_stored_arguments_that_do_not_fit_fail_the_job_without_a_retry(app: Comanda) -> None:
    @app.task(name="take")
    def take(number: int) -> None: ...

    job_id = new_ids(1)[0]
    app.broker.enqueue([NewJob(id=job_id, task="take", queue="default", payload=b'{"number": "no"}')])
    with Working(app), pytest.raises(JobFailed) as caught:
        app.get_job(to_text(job_id)).result(SOON)
    assert caught.value.error_type == "UndecodablePayload"
    assert app.get_job(to_text(job_id)).state == State.FAILED


def test_arguments_of_another_codec_are_not_decoded(app: Comanda) -> None:
    @app.task(name="take")
    def take(number: int) -> None: ...

    job_id = new_ids(1)[0]
    options = b'{"content_type": "application/x-other"}'
    app.broker.enqueue([NewJob(id=job_id, task="take", queue="default", payload=b'{"number": 1}', options=options)])
    with Working(app), pytest.raises(JobFailed, match="application/x-other"):
        app.get_job(to_text(job_id)).result(SOON)


def test_a_secret_argument_stays_out_of_the_stored_error(app: Comanda) -> None:
    @app.task(name="tell", retry=NEVER)
    def tell(token: Secret[str]) -> None:
        raise ValueError(f"refused: {token.reveal()}")

    with Working(app), pytest.raises(JobFailed) as caught:
        tell.enqueue(Secret("hunter2")).result(SOON)
    assert "hunter2" not in str(caught.value) + caught.value.remote_traceback


def test_a_failed_attempt_is_followed_by_the_next_one(app: Comanda) -> None:
    attempts: list[int] = []

    @app.task(name="third", retry=Retry(max_attempts=5, backoff=0))
    def third() -> int:
        attempts.append(current_job().attempt)
        if len(attempts) < 3:
            raise OSError("not yet")
        return len(attempts)

    with Working(app):
        job = third.enqueue()
        assert job.result(SOON) == 3
    assert attempts == [1, 2, 3]
    assert [attempt.outcome for attempt in job.refresh().attempts] == ["failed", "failed", "successful"]


def test_the_last_attempt_fails_for_good_with_each_one_recorded(app: Comanda) -> None:
    @app.task(name="never", retry=Retry(max_attempts=3, backoff=0))
    def never() -> None:
        raise OSError("down")

    job = never.enqueue()
    with Working(app), pytest.raises(JobFailed, match="down"):
        job.result(SOON)
    assert [(attempt.number, attempt.outcome) for attempt in job.refresh().attempts] == [
        (1, "failed"),
        (2, "failed"),
        (3, "failed"),
    ]


def test_a_jobs_own_policy_beats_its_tasks(app: Comanda) -> None:
    @app.task(name="fails", retry=Retry(max_attempts=5, backoff=0))
    def fails() -> None:
        raise OSError

    job = fails.using(retry=Retry(max_attempts=2, backoff=0)).enqueue()
    with Working(app), pytest.raises(JobFailed):
        job.result(SOON)
    assert len(job.refresh().attempts) == 2


def test_retry_later_spends_no_attempt(app: Comanda) -> None:
    seen: list[int] = []

    @app.task(name="later", retry=NEVER)
    def later() -> str:
        seen.append(current_job().attempt)
        if len(seen) < 4:
            raise RetryLater("busy", after=0)
        return "done"

    with Working(app):
        assert later.enqueue().result(SOON) == "done"
    assert seen == [1, 1, 1, 1]


def test_a_job_of_an_unknown_task_is_left_alone(app: Comanda) -> None:
    @app.task(name="known")
    def known() -> None: ...

    app.broker.enqueue([NewJob(id=new_ids(1)[0], task="unknown", queue="default", payload=b"{}")])
    with Working(app):
        known.enqueue().result(SOON)
    assert states(app) == {State.READY: 1, State.SUCCESSFUL: 1}


def test_each_job_has_a_context_of_its_own(app: Comanda) -> None:
    seen: list[str] = []

    @app.task(name="who")
    def who() -> None:
        seen.append(current_job().id)

    @app.task(name="awho")
    async def awho() -> None:
        seen.append(current_job().id)

    with Working(app, concurrency=1):
        jobs = [task.enqueue() for task in (who, awho, who, awho)]
        for job in jobs:
            job.result(SOON)
    assert sorted(seen) == sorted(job.id for job in jobs)


def test_a_slow_job_holds_up_none_of_its_batch(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="slow")
    def slow() -> None:
        gate.wait()

    @app.task(name="quick")
    def quick() -> None: ...

    jobs = [slow.enqueue(), *(quick.enqueue() for _ in range(20))]
    with Working(app, concurrency=2):
        for job in jobs[1:]:
            job.result(SOON)
        assert jobs[0].refresh().state == State.RUNNING
        gate.opened.set()
        jobs[0].result(SOON)


def test_no_more_jobs_run_at_a_time_than_there_are_slots(app: Comanda) -> None:
    gate = Gate()
    running = threading.Semaphore(3)

    def enter() -> None:
        assert running.acquire(blocking=False), "a fourth job runs"

    @app.task(name="sync", retry=NEVER)
    def sync() -> None:
        enter()
        gate.wait()
        running.release()

    @app.task(name="async", retry=NEVER)
    async def asynchronous() -> None:
        enter()
        gate.reached.release()
        await asyncio.to_thread(gate.opened.wait, SOON)
        running.release()

    jobs = [task.enqueue() for task in (sync, asynchronous) * 4]
    with Working(app, concurrency=3) as worker:
        gate.arrived(3)
        assert worker.executors.slots.busy() == 3
        gate.opened.set()
        for job in jobs:
            job.result(SOON)


def test_an_idle_worker_hears_of_a_job_without_asking_for_it(
    shared_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S4-09: its next look would be in an hour; the producer has connections of its own."""
    monkeypatch.setattr("comanda.worker.engine.POLL", 3_600)
    producer = Comanda(shared_app.url, namespace=shared_app.namespace)

    def quick() -> int:
        return 42

    shared_app.task(name="quick")(quick)
    produced = producer.task(name="quick")(quick)
    with Working(shared_app):
        for _ in range(3):
            assert produced.enqueue().result(SOON) == 42
    producer.close()


def test_jobs_that_wait_behind_long_ones_go_back_for_others(app: Comanda) -> None:
    gate = Gate()

    @app.task(name="quick")
    def quick() -> None: ...

    @app.task(name="slow")
    def slow() -> None:
        gate.wait()

    with Working(app, concurrency=2):
        app.enqueue_many(quick.call() for _ in range(500))
        quick.enqueue().result(SOON)  # from here on the engine takes large batches
        app.enqueue_many([*(slow.call() for _ in range(2)), *(quick.call() for _ in range(50))])
        gate.arrived(2)
        info = WorkerInfo(host="there", pid=2, version="0", kind="child", tasks=("quick",))
        other = app.broker.register(info)
        assert len(_claim(app, other, 50)) == 50
        gate.opened.set()
        app.broker.deregister(other)


def _claim(app: Comanda, owner: int, count: int) -> list[Claimed]:
    """Claim until there are `count` jobs."""
    claimed: list[Claimed] = []
    until = time.monotonic() + SOON
    while time.monotonic() < until:
        claimed += app.broker.claim(owner, Demand(count - len(claimed), frozenset({"quick"})))
        if len(claimed) == count:
            break
        app.broker.wait_for_work(1.0)
    return claimed
