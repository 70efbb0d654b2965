"""Declaring tasks and enqueueing them."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from comanda import (
    Comanda,
    ConfigurationError,
    DuplicateJob,
    InvalidArguments,
    PayloadTooLarge,
    Retry,
    State,
    UnknownOption,
)
from comanda.brokers.records import NewJob
from comanda.group_commit import BATCH_BYTES
from comanda.ids import new_ids, to_text
from comanda.options import JobOptions, decode
from comanda.retry import DEFAULT
from comanda.task import AsyncTask, SyncTask, Task
from comanda.testing import FakeClock, assert_enqueued, enqueued, run_jobs

from .conftest import MakeApp

Declare = Callable[[Comanda], Any]


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def greet(name: str) -> str:
    return f"hello {name}"


def shout(text: str) -> str:
    return text.upper()


class Mailer:
    def send(self, to: str) -> None: ...

    @classmethod
    def make(cls, to: str) -> None: ...

    @staticmethod
    def deliver(to: str) -> str:
        return f"to {to}"

    def __call__(self, to: str) -> None: ...


def nested() -> Callable[[], int]:
    def inner() -> int:
        return 1

    return inner


# -- declaring ---------------------------------------------------------------------------------------------------------


def test_a_declared_function_keeps_its_name_its_docstring_and_its_call(memory_app: Comanda) -> None:
    task = memory_app.task(add)
    assert isinstance(task, SyncTask)
    assert (task.name, task.__doc__) == (f"{__name__}.add", "Add two numbers.")
    assert str(inspect.signature(task)) == "(a: 'int', b: 'int' = 1) -> 'int'"
    assert repr(task) == f"<Task {__name__}.add>"
    assert task(1, b=2) == 3
    assert memory_app.find_jobs() == []


def test_a_coroutine_function_is_a_task_whose_call_is_a_coroutine(memory_app: Comanda) -> None:
    task = memory_app.task(greet)
    assert isinstance(task, AsyncTask)
    assert task.is_async
    assert asyncio.run(task("ann")) == "hello ann"


def test_a_static_method_can_be_a_task(memory_app: Comanda) -> None:
    task = memory_app.task(Mailer.deliver)
    assert task.name == f"{__name__}.Mailer.deliver"
    job = task.enqueue("ann")
    run_jobs(memory_app)
    assert job.result(timeout=5) == "to ann"


@pytest.mark.parametrize(
    ("unfit", "because"),
    [
        (nested(), "nested function"),
        (lambda: None, "lambda"),
        (functools.partial(add, 1), "partials"),
        (Mailer(), "not a function a worker can import"),
        (Mailer, "not a function a worker can import"),
        (Mailer().send, "not a function a worker can import"),
        (Mailer.send, "is a method"),
        (Mailer.__dict__["make"], "not a function a worker can import"),
        (len, "not a function a worker can import"),
        ("shop.send", "not a function a worker can import"),
    ],
)
def test_what_no_worker_could_find_is_refused_with_a_sentence(memory_app: Comanda, unfit: Any, because: str) -> None:
    with pytest.raises(ConfigurationError, match=because):
        memory_app.task(unfit)


def test_a_nested_function_with_a_name_of_its_own_is_a_task(memory_app: Comanda) -> None:
    task = memory_app.task(name="one")(nested())
    job = task.enqueue()
    run_jobs(memory_app)
    assert job.result(timeout=5) == 1


def test_what_has_no_signature_is_refused_even_under_a_name(memory_app: Comanda) -> None:
    with pytest.raises(ConfigurationError, match="five"):
        memory_app.task(name="five")(5)  # type: ignore[call-overload]


def test_a_task_of_the_program_itself_takes_its_import_name(tmp_path: Path) -> None:
    """A worker imports the program by name, where it would look for `__main__.send` in vain."""
    printed = run_program(tmp_path, "shop.py", "print(send.name)")
    assert printed == "shop.send\n"


def test_a_program_that_lists_itself_is_not_imported_twice(tmp_path: Path) -> None:
    rest = "import sys\ndef plain() -> None: ...\nprint(*app.tasks, 'shop' in sys.modules)"
    assert run_program(tmp_path, "shop.py", rest, modules=["shop"]) == "shop.send shop.plain False\n"


def test_a_task_of_a_program_run_with_dash_m_takes_its_import_name(tmp_path: Path) -> None:
    (tmp_path / "market").mkdir()
    printed = run_program(tmp_path, "market/__main__.py", "print(send.name)", module="market")
    assert printed == "market.send\n"


def run_program(
    directory: Path, name: str, rest: str, *, module: str | None = None, modules: Sequence[str] = ()
) -> str:
    program = f"""
        from comanda import Comanda
        app = Comanda("memory://", modules={list(modules)!r})
        @app.task
        def send(to: str) -> None: ...
    """
    (directory / name).write_text(textwrap.dedent(program) + rest)
    command = [sys.executable, "-W", "error", *(("-m", module) if module else (name,))]
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"PYTHONPATH": search_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def search_path() -> str:
    import comanda

    return str(Path(comanda.__file__).parent.parent)


def test_a_job_under_a_former_name_runs(app: Comanda) -> None:
    task = app.task(aliases=["shop.plus"])(add)
    app.broker.enqueue([NewJob(id=new_ids(1)[0], task="shop.plus", queue="default", payload=b'{"a":4}')])
    assert run_jobs(app) == 1
    [job] = app.find_jobs()
    assert job.result(timeout=5) == 5
    assert app.tasks["shop.plus"] is task


def test_two_functions_under_one_name_are_refused(memory_app: Comanda) -> None:
    memory_app.task(name="work")(add)
    with pytest.raises(ConfigurationError, match=r"two functions are declared as task 'work'.*add.*shout"):
        memory_app.task(name="work")(shout)
    with pytest.raises(ConfigurationError, match="two functions are declared as task 'work'"):
        memory_app.task(aliases=["work"])(shout)
    assert f"{__name__}.shout" not in memory_app.tasks


def test_two_lambdas_under_one_name_are_two_functions(memory_app: Comanda) -> None:
    memory_app.task(name="work")(lambda: 1)
    with pytest.raises(ConfigurationError, match="two functions"):
        memory_app.task(name="work")(lambda: 2)


def test_one_function_may_be_declared_again(memory_app: Comanda) -> None:
    """A module that is reloaded, or imported beside itself as the program, declares its tasks twice."""
    memory_app.task(add)
    assert memory_app.task(queue="other")(add).queue == "other"
    assert len(memory_app.tasks) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"retri": Retry()}, "no option 'retri'; did you mean 'retry'"),
        ({"colour": "red"}, "no option 'colour'; known are name"),
    ],
)
def test_an_unknown_option_names_the_nearest_one(memory_app: Comanda, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnknownOption, match=sentence):
        memory_app.task(**options)(add)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": ""}, "1 to 200 printable"),
        ({"name": "a\nb"}, "1 to 200 printable"),
        ({"name": 5}, "1 to 200 printable"),
        ({"aliases": "old"}, "list of names"),
        ({"aliases": [""]}, "1 to 200 printable"),
        ({"queue": ""}, "1 to 100 printable"),
        ({"queue": "x" * 101}, "1 to 100 printable"),
        ({"priority": 101}, "-100 to 100"),
        ({"priority": True}, "-100 to 100"),
        ({"retry": 5}, "retry takes Retry"),
        ({"timeout": 0}, "more than 0"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"payload_limit": 0}, "payload_limit"),
        ({"result_limit": True}, "result_limit"),
        ({"codec": object()}, "content_type"),
    ],
)
def test_an_unfit_option_is_refused_where_the_task_is_declared(
    memory_app: Comanda, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        memory_app.task(**options)(add)
    assert len(memory_app.tasks) == 0


def test_attributes_of_the_function_are_not_taken_for_the_task_s_own(memory_app: Comanda) -> None:
    """tenacity, for one, sets `retry` on the functions it decorates."""

    def flaky() -> None: ...

    flaky.retry = "tenacity's"  # type: ignore[attr-defined]
    assert memory_app.task(name="flaky")(flaky).retry == DEFAULT


def test_the_repr_of_an_app_imports_nothing() -> None:
    app = Comanda("memory://", modules=["no_such_module"])
    assert repr(app) == "<Comanda comanda 0 tasks>"


# -- options -----------------------------------------------------------------------------------------------------------


def test_using_returns_a_copy(memory_app: Comanda) -> None:
    task = memory_app.task(add)
    other = task.using(queue="other", priority=5)
    assert (other.queue, other.options.priority) == ("other", 5)
    assert (task.queue, task.options.priority) == ("default", 0)
    assert other(1) == 2
    assert isinstance(other, SyncTask)


@pytest.mark.parametrize("run_after", [60, 60.0, timedelta(minutes=1)])
def test_a_delay_counts_from_now(make_app: MakeApp, run_after: float | timedelta) -> None:
    clock = FakeClock()
    app = make_app("memory", clock=clock)
    job = app.task(add).using(run_after=run_after).enqueue(1)
    assert job.state is State.SCHEDULED
    assert job.run_after - job.enqueued_at == timedelta(minutes=1)
    assert run_jobs(app) == 0
    clock.advance(60)
    assert run_jobs(app) == 1


def test_a_due_moment_is_an_aware_datetime(app: Comanda) -> None:
    noon = datetime(2040, 1, 1, 12, tzinfo=UTC)
    job = app.task(add).using(run_after=noon).enqueue(1)
    assert job.state is State.SCHEDULED
    assert job.run_after == noon


def test_a_past_moment_is_due_at_once(app: Comanda) -> None:
    assert app.task(add).using(run_after=datetime(2020, 1, 1, tzinfo=UTC)).enqueue(1).state is State.READY


def test_the_later_of_two_run_after_counts(memory_app: Comanda) -> None:
    task = memory_app.task(add)
    moment = datetime(2040, 1, 1, tzinfo=UTC)
    assert task.using(run_after=60).using(run_after=moment).options.delay == 0
    assert task.using(run_after=moment).using(run_after=60).options.due is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"run_after": datetime(2040, 1, 1)}, "no time zone"),  # noqa: DTZ001 - the very thing
        ({"run_after": -1}, "run_after"),
        ({"run_after": timedelta(seconds=-1)}, "run_after"),
        ({"run_after": float("nan")}, "run_after"),
        ({"run_after": float("inf")}, "run_after"),
        ({"run_after": True}, "run_after"),
        ({"run_after": "soon"}, "run_after"),
        ({"priority": 101}, "-100 to 100"),
        ({"priority": -101}, "-100 to 100"),
        ({"priority": 1.5}, "-100 to 100"),
        ({"priority": True}, "-100 to 100"),
        ({"queue": ""}, "queue's name"),
        ({"unique_key": ""}, "1 to 500"),
        ({"unique_key": "x" * 501}, "1 to 500"),
        ({"unique_key": 5}, "1 to 500"),
        ({"on_conflict": "skip"}, "'keep' or 'reject'"),
        ({"expires": -1}, "expires"),
        ({"expires": True}, "expires"),
        ({"timeout": 0}, "more than 0"),
        ({"retry": 3}, "retry takes Retry"),
        ({"retry": Retry(retry_on=(OSError,))}, "cannot travel"),
        ({"retry": Retry(give_up_on=(OSError,))}, "cannot travel"),
        ({"retry": Retry(delay=lambda _attempt, _error: 1.0)}, "cannot travel"),
        ({"id": "42"}, "not a job id"),
    ],
)
def test_an_unfit_option_of_one_job_is_refused(memory_app: Comanda, options: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        memory_app.task(add).using(**options)
    with pytest.raises(ConfigurationError, match=sentence):
        memory_app.task(add).using(**options).enqueue(1)


@pytest.mark.parametrize("priority", [-100, 100])
def test_the_bounds_of_priority_are_legal(app: Comanda, priority: int) -> None:
    assert app.task(add).using(priority=priority).enqueue(1).priority == priority


def test_higher_priorities_run_first(app: Comanda) -> None:
    ran: list[int] = []

    def note(priority: int) -> None:
        ran.append(priority)

    task = app.task(name="note")(note)
    for priority in (0, -5, 7):
        task.using(priority=priority).enqueue(priority)
    run_jobs(app)
    assert ran == [7, 0, -5]


def test_a_unique_key_keeps_the_first_job(app: Comanda) -> None:
    task = app.task(add).using(unique_key="order-7")
    first, second = task.enqueue(1), task.enqueue(2)
    assert (second.id, first.created, second.created) == (first.id, True, False)
    run_jobs(app)
    assert task.enqueue(3).created


def test_a_unique_key_may_reject(app: Comanda) -> None:
    task = app.task(add).using(unique_key="order-7", on_conflict="reject")
    first = task.enqueue(1)
    with pytest.raises(DuplicateJob, match="order-7") as refused:
        task.enqueue(2)
    assert refused.value.job_id == first.id
    assert len(app.find_jobs()) == 1


def test_the_same_id_never_makes_a_second_job(app: Comanda) -> None:
    task = app.task(add)
    job_id = to_text(new_ids(1)[0])
    first = task.using(id=job_id).enqueue(1)
    second = task.using(id=UUID(job_id)).enqueue(1)
    assert (first.id, second.id, first.created, second.created) == (job_id, job_id, True, False)


def test_the_same_id_is_no_conflict_with_its_own_unique_key(app: Comanda) -> None:
    """What EnqueueUncertain advises must work for a job that rejects duplicates."""
    task = app.task(add).using(id=to_text(new_ids(1)[0]), unique_key="order-7", on_conflict="reject")
    assert task.enqueue(1).id == task.enqueue(1).id


def test_a_job_that_is_not_started_in_time_expires(make_app: MakeApp) -> None:
    clock = FakeClock()
    app = make_app("memory", clock=clock)
    job = app.task(add).using(expires=timedelta(seconds=30)).enqueue(1)
    clock.advance(31)
    assert run_jobs(app) == 0
    assert job.refresh().state is State.EXPIRED


def test_a_time_limit_travels_with_the_job(memory_app: Comanda) -> None:
    options = memory_app.task(add).using(timeout=timedelta(seconds=1.5)).options.stored
    assert options is not None
    assert decode(options).timeout == 1.5


def test_the_numbers_of_a_policy_travel_with_the_job_and_its_code_stays_with_the_task(memory_app: Comanda) -> None:
    declared = Retry(max_attempts=9, backoff=60, jitter=False, give_up_on=(KeyError,))
    task = memory_app.task(retry=declared)(add)
    options = task.using(retry=Retry(max_attempts=2, max_backoff=timedelta(seconds=90))).options.stored
    assert options is not None
    assert decode(options).policy(task.retry) == Retry(max_attempts=2, max_backoff=90.0, give_up_on=(KeyError,))


def test_a_job_without_options_of_its_own_stores_none(memory_app: Comanda) -> None:
    task = memory_app.task(retry=Retry(max_attempts=9), timeout=5)(add)
    assert task.options.stored is None
    assert JobOptions().policy(task.retry) is task.retry


def test_a_job_s_own_policy_holds_when_it_runs(app: Comanda) -> None:
    def fail() -> None:
        raise OSError

    task = app.task(name="fail", retry=Retry(max_attempts=5, backoff=0))(fail)
    job = task.using(retry=Retry(max_attempts=2, backoff=0)).enqueue()
    assert run_jobs(app) == 2
    assert job.state is State.FAILED


# -- enqueueing --------------------------------------------------------------------------------------------------------


def test_enqueue_names_the_field_that_does_not_fit_and_makes_no_job(app: Comanda) -> None:
    task = app.task(add)
    with pytest.raises(InvalidArguments, match="'a'") as refused:
        task.enqueue("one")  # type: ignore[arg-type]
    assert refused.value.field == "a"
    with pytest.raises(InvalidArguments) as refused:
        task.enqueue()  # type: ignore[call-arg]
    assert refused.value.field == "a"
    assert app.find_jobs() == []


def test_a_payload_above_the_limit_is_refused(memory_app: Comanda) -> None:
    task = memory_app.task(payload_limit=100)(shout)
    with pytest.raises(PayloadTooLarge, match="the limit is 100"):
        task.enqueue("x" * 100)


async def test_aenqueue_stores_the_same_job(app: Comanda) -> None:
    job = await app.task(add).using(queue="sums").aenqueue(1, b=2)
    await job.arefresh()
    assert (job.queue, job.state) == ("sums", State.READY)


async def test_a_blocking_verb_on_a_running_loop_is_an_error_in_tests(memory_app: Comanda) -> None:
    with pytest.raises(ConfigurationError, match=r"await aenqueue\(\) instead"):
        memory_app.task(add).enqueue(1)
    with pytest.raises(ConfigurationError, match=r"await aenqueue_many\(\) instead"):
        memory_app.enqueue_many([])


def test_outside_of_tests_a_blocking_verb_on_a_running_loop_warns_at_the_caller_s_line(
    memory_app: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = memory_app.task(add)
    memory_app.tasks.complete()

    async def main() -> None:
        monkeypatch.delenv("PYTEST_CURRENT_TEST")
        memory_app.enqueue(task, 1)

    with pytest.warns(RuntimeWarning, match="blocks the event loop") as warned:
        asyncio.run(main())
    assert [Path(one.filename).name for one in warned] == [Path(__file__).name]


def test_a_plain_function_of_a_listed_module_can_be_enqueued(make_app: MakeApp) -> None:
    app = make_app("memory", modules=[__name__])
    job = app.enqueue(shout, "x")
    later = app.using(run_after=60, queue="loud").enqueue(shout, text="y")
    assert (job.task, later.queue, later.state) == (f"{__name__}.shout", "loud", State.SCHEDULED)
    run_jobs(app)
    assert job.result(timeout=5) == "X"
    with pytest.raises(InvalidArguments):
        app.enqueue(shout, 5)  # type: ignore[call-overload]


async def test_a_plain_function_can_be_enqueued_from_a_coroutine(make_app: MakeApp) -> None:
    app = make_app("memory", modules=[__name__])
    job = await app.aenqueue(greet, "ann")
    other = await app.using(priority=3).aenqueue(greet, name="bob")
    await other.arefresh()
    assert (job.task, other.priority) == (f"{__name__}.greet", 3)


def test_a_plain_function_of_another_module_is_refused_with_the_way_out(memory_app: Comanda) -> None:
    with pytest.raises(ConfigurationError, match=r"@app\.task.*modules=\["):
        memory_app.enqueue(shout, "x")
    with pytest.raises(ConfigurationError, match="takes a function"):
        memory_app.enqueue(Mailer().send, "x")


def test_a_listed_module_brings_its_public_functions_to_the_worker(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "letters.py").write_text(
        "from os.path import join\ndef send(to: str) -> None: ...\ndef _hidden() -> None: ...\n"
        "def helper(file: open) -> None: ...\nNUMBER = 5\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        assert list(make_app("memory", modules=["letters"]).tasks) == ["letters.send"]
    finally:
        sys.path.remove(str(tmp_path))


def test_a_listed_module_that_cannot_be_imported_is_asked_for_again(make_app: MakeApp) -> None:
    app = make_app("memory", modules=["no_such_module"])
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="there is no module 'no_such_module'"):
            list(app.tasks)


def test_a_missing_dependency_of_a_listed_module_is_not_taken_for_the_module(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "shop_mail.py").write_text("import shop\n")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ModuleNotFoundError, match="'shop'"):
            list(make_app("memory", modules=["shop_mail"]).tasks)
    finally:
        sys.path.remove(str(tmp_path))


def test_a_plain_function_may_not_take_the_name_of_another_task(make_app: MakeApp) -> None:
    app = make_app("memory", modules=[__name__])
    app.task(name=f"{__name__}.shout")(add)
    with pytest.raises(ConfigurationError, match="two functions"):
        app.enqueue(shout, "x")


def test_an_unknown_option_for_a_plain_function_names_the_nearest_one(memory_app: Comanda) -> None:
    with pytest.raises(UnknownOption, match="did you mean 'priority'"):
        memory_app.using(prioriti=5)  # type: ignore[call-arg]


def test_a_task_of_another_app_is_refused(make_app: MakeApp) -> None:
    task = make_app("memory").task(add)
    app = make_app("memory")
    with pytest.raises(ConfigurationError, match="another app"):
        app.enqueue(task, 1)
    with pytest.raises(ConfigurationError, match="another app"):
        app.enqueue_many([task.call(1)])


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_calls_of_several_tasks_are_stored_in_order(app: Comanda) -> None:
    plus, loud = app.task(add), app.task(queue="loud")(shout)
    jobs = app.enqueue_many([plus.call(1), loud.call("x"), plus.using(priority=4).call(2, b=3)])
    assert [job.id for job in jobs] == [one.job.id for one in enqueued(app)]
    assert [(job.task, job.queue, job.priority) for job in jobs] == [
        (plus.name, "default", 0),
        (loud.name, "loud", 0),
        (plus.name, "default", 4),
    ]
    assert_enqueued(app, plus, 2, b=3)


async def test_many_calls_can_be_enqueued_from_a_coroutine(app: Comanda) -> None:
    task = app.task(add)
    jobs = await app.aenqueue_many(task.call(number) for number in range(700))
    assert len({job.id for job in jobs}) == 700
    assert (await app.aget_job(jobs[-1].id)).task == task.name


def commits(app: Comanda) -> list[int]:
    """The sizes of the transactions from now on."""
    sizes: list[int] = []
    store = app.broker.enqueue

    def counting(jobs: Any) -> Any:
        sizes.append(len(jobs))
        return store(jobs)

    app.broker.enqueue = counting  # type: ignore[method-assign]
    return sizes


def test_ten_thousand_calls_are_one_transaction_and_more_are_refused(memory_app: Comanda) -> None:
    task = memory_app.task(add)
    sizes = commits(memory_app)
    assert len(memory_app.enqueue_many(task.call(number) for number in range(10_000))) == 10_000
    assert sizes == [10_000]
    with pytest.raises(ConfigurationError, match=r"10,000 jobs.*nothing was stored.*chunks=True"):
        memory_app.enqueue_many(task.call(number) for number in range(10_001))
    assert sizes == [10_000]


def test_chunks_store_more_in_several_transactions(memory_app: Comanda) -> None:
    task = memory_app.task(add)
    sizes = commits(memory_app)
    jobs = memory_app.enqueue_many((task.call(number) for number in range(20_001)), chunks=True)
    assert (len(jobs), sizes) == (20_001, [10_000, 10_000, 1])


def test_sixteen_mebibytes_are_one_transaction_and_more_are_refused(memory_app: Comanda) -> None:
    task = memory_app.task(shout)
    call = task.call("x" * (2**20 - 100))
    sizes = commits(memory_app)
    assert len(memory_app.enqueue_many([call] * (BATCH_BYTES // len(call.payload)))) == 16
    with pytest.raises(ConfigurationError, match="16 MiB"):
        memory_app.enqueue_many([call] * 17)
    assert len(memory_app.enqueue_many([call] * 17, chunks=True)) == 17
    assert sizes == [16, 16, 1]


def test_one_unfit_call_among_many_stores_none(app: Comanda) -> None:
    task = app.task(add)
    with pytest.raises(InvalidArguments):
        app.enqueue_many(task.call(number) for number in [1, 2, "three"])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"task\.call"):
        app.enqueue_many([task.call(1), task])  # type: ignore[arg-type]
    assert app.find_jobs() == []


def test_a_refused_duplicate_among_many_leaves_the_others_alone(app: Comanda) -> None:
    task = app.task(add)
    unique = task.using(unique_key="k", on_conflict="reject")
    with pytest.raises(DuplicateJob):
        app.enqueue_many([task.call(1), unique.call(2), unique.call(3), task.call(4)])
    assert [one.arguments["a"] for one in enqueued(app)] == [1, 2, 4]


def test_calls_with_a_connection_are_no_batch(file_app: Comanda) -> None:
    with file_app.transaction() as connection:
        call = file_app.task(add).using(connection=connection).call(1)
        with pytest.raises(ConfigurationError, match="connection="):
            file_app.enqueue_many([call])


# -- the store ---------------------------------------------------------------------------------------------------------


def test_an_app_without_a_url_can_be_declared_and_called_but_not_enqueued() -> None:
    app = Comanda()
    task = app.task(add)
    assert task(1) == 2
    with pytest.raises(ConfigurationError, match="COMANDA_URL"):
        task.enqueue(1)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://root:hunter2@localhost/shop", "unknown broker URL scheme 'mysql'"),
        ("shop.db", "unknown broker URL scheme"),
        ("sqlite://shop.db", "names no file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "memory://"),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        Comanda(url).task(add).enqueue(1)
    assert "hunter2" not in str(refused.value)


def test_an_option_in_a_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownOption, match="'timeout'"):
        Comanda(f"sqlite:///{tmp_path}/queue.db?timeout=5").task(add).enqueue(1)
    with pytest.raises(UnknownOption, match="'size'"):
        Comanda("memory://?size=5").task(add).enqueue(1)


def test_three_slashes_name_a_file_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = Comanda("sqlite:///my%20shop.db")
    app.task(add).enqueue(1)
    assert app.broker.describe()["store"] == f"sqlite:///{tmp_path}/my shop.db"
    app.close()
    assert (tmp_path / "my shop.db").is_file()


def test_four_slashes_name_an_absolute_path(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:////{str(tmp_path).lstrip('/')}/shop.db")
    app.task(add).enqueue(1)
    app.close()
    assert (tmp_path / "shop.db").is_file()


def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:///{tmp_path}/queue.db")
    app.task(add)
    assert isinstance(app.broker.describe(), dict)
    assert list(tmp_path.iterdir()) == []


def test_an_app_can_be_used_again_after_it_was_closed(app: Comanda) -> None:
    task: Task[..., int] = app.task(add)
    job = task.enqueue(1)
    if app.url != "memory://":
        app.close()
        assert app.get_job(job.id).id == job.id
        app.close()
    assert task.enqueue(2).created
