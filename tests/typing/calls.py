"""What type checkers see of tasks. Read by mypy --strict and by pyright; never run.

Each `type: ignore` stands where both must object: they complain about it when they do not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from comanda import Comanda, Job, MessageQueue, Retry, Secret, Task

app = Comanda("sqlite:///typing.db")


@app.task
def add(left: int, right: int = 0) -> int:
    return left + right


@app.task(retry=Retry(max_attempts=3), timeout=timedelta(seconds=5), queue="math")
async def shout(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@app.task
def log_in(password: Secret[str]) -> None: ...


def plain(count: int) -> str:
    return str(count)


def synchronous_callers() -> None:
    assert_type(add(1, 2), int)
    assert_type(add.enqueue(1, right=2), Job[int])
    assert_type(add.enqueue(1).result(timeout=1), int)
    assert_type(shout.enqueue("hi", times=2), Job[list[str]])
    assert_type(app.enqueue(plain, 3), Job[str])
    assert_type(app.enqueue(add, 3), Job[int])
    assert_type(app.enqueue_many([add.call(1), add.call(2, 3)]), list[Job[int]])
    assert_type(add.using(run_after=60, priority=10).enqueue(1), Job[int])
    log_in.enqueue(Secret("hunter2"))


async def asynchronous_callers() -> None:
    assert_type(await shout("hi"), list[str])
    assert_type(await shout.aenqueue("hi"), Job[list[str]])
    assert_type(await (await add.aenqueue(1)).aresult(), int)
    assert_type(await app.aenqueue(plain, 3), Job[str])


def takes_any_task_of_ints(task: Task[[int], str]) -> None:
    task.enqueue(1)


def messages() -> None:
    letters: MessageQueue[dict[str, str]] = app.message_queue("letters")
    letters.put({"to": "ann"})
    numbers = app.message_queue("numbers", type=int)
    assert_type(numbers, MessageQueue[int])
    assert_type(numbers.get(), int)
