"""What type checkers see of tasks. Read by mypy --strict and by pyright; never run.

Each `type: ignore` stands where both must object: they complain about it when they do not.
"""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from typing import Any, assert_type

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from comanda import Attempt, Comanda, Job, Message, MessageQueue, Retry, Secret, State, Task, current_job
from comanda.sqlalchemy import prepare
from comanda.task import Call
from comanda.testing import assert_enqueued, enqueued, inline, run_jobs

app = Comanda("sqlite:///typing.db")


@app.task
def add(left: int, right: int = 0) -> int:
    return left + right


@app.task(retry=Retry(max_attempts=3), timeout=timedelta(seconds=5), queue="math")
async def shout(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@app.task
def log_in(password: Secret[str]) -> None: ...


@app.task(transactional=True)
def record(count: int) -> str:
    current_job().connection.execute("INSERT INTO counts VALUES (?)", (count,))
    return str(count)


def plain(count: int) -> str:
    return str(count)


def synchronous_callers() -> None:
    assert_type(add(1, 2), int)
    assert_type(add.enqueue(1, right=2), Job[int])
    assert_type(record.enqueue(1), Job[str])
    assert_type(add.enqueue(1).result(timeout=1), int)
    assert_type(shout.enqueue("hi", times=2), Job[list[str]])
    assert_type(app.enqueue(plain, 3), Job[str])
    assert_type(app.enqueue(add, 3), Job[int])
    assert_type(app.enqueue_many([add.call(1), add.call(2, 3)]), list[Job[int]])
    mixed: list[Job[object]] = app.enqueue_many([add.call(1), shout.call("hi")])
    assert_type(mixed[0].result(), object)
    assert_type(add.using(run_after=60, priority=10).enqueue(1), Job[int])
    assert_type(add.using(unique_key="k", on_conflict="reject")(1), int)
    assert_type(add.using(priority=10).call(1), Call[int])
    assert_type(app.using(run_after=timedelta(hours=1), queue="math").enqueue(plain, 3), Job[str])
    log_in.enqueue(Secret("hunter2"))


async def asynchronous_callers() -> None:
    assert_type(await shout("hi"), list[str])
    assert_type(await shout.aenqueue("hi"), Job[list[str]])
    assert_type(await (await add.aenqueue(1)).aresult(), int)
    assert_type(await app.aenqueue(plain, 3), Job[str])
    assert_type(await app.using(expires=5).aenqueue(plain, count=3), Job[str])
    assert_type(await app.aenqueue_many(add.call(n) for n in range(3)), list[Job[int]])
    async for state in (await add.aenqueue(1)).afollow():
        assert_type(state, State)


def what_a_job_shows(job: Job[int]) -> None:
    assert_type(job.state, State)
    assert_type(job.attempts, list[Attempt])
    assert_type(job.refresh(), Job[int])
    assert_type(list(job.follow(timeout=1)), list[State])


def takes_any_task_of_ints(task: Task[[int], str]) -> None:
    task.enqueue(1)


def messages() -> None:
    letters: MessageQueue[dict[str, str]] = app.message_queue("letters")
    letters.put({"to": "ann"})
    numbers = app.message_queue("numbers", type=int)
    assert_type(numbers, MessageQueue[int])
    assert_type(numbers.get(), int)
    assert_type(numbers.put(1, 2), list[Message[int]])
    assert_type([message.value for message in numbers.peek()], list[int])
    with numbers.receive(timeout=1) as number:
        assert_type(number, int)
    for number in numbers.consume(timeout=timedelta(seconds=1)):
        assert_type(number, int)


async def messages_in_coroutines(numbers: MessageQueue[int]) -> None:
    assert_type(await numbers.aget(timeout=1), int)
    async with numbers.areceive() as number:
        assert_type(number, int)
    async with aclosing(numbers.aconsume()) as arriving:
        async for number in arriving:
            assert_type(number, int)


def sessions(engine: Engine, session: Session) -> None:
    prepare(engine)
    assert_type(add.using(connection=session).enqueue(1), Job[int])


def in_tests() -> None:
    with inline(app) as same:
        assert_type(same, Comanda)
    assert_type(run_jobs(app), int)
    assert_type(enqueued(app, add)[0].arguments["left"], Any)
    assert_type(assert_enqueued(app, add, 1, right=2), Job[Any])
