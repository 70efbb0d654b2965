"""What has been enqueued: for assertions in tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..app import Comanda
from ..brokers.records import MESSAGE, JobFilter, JobRecord
from ..job import Job, handle
from ..task import Task

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueuedJob:
    """A stored job with its arguments by name, defaults included."""

    task: str
    arguments: dict[str, Any]
    job: Job[Any]


def enqueued(app: Comanda, task: Callable[..., Any] | Task[..., Any] | None = None) -> list[EnqueuedJob]:
    """Return the jobs in the app's store, whatever their state, in the order of their enqueueing.

    `task`: only those of a task, or of a plain function of a listed module. Jobs of tasks that the app does not know
    are left out.
    """
    names = tuple(app.tasks) if task is None else (app.task_of(task).name, *app.task_of(task).aliases)
    return [
        EnqueuedJob(
            task=record.task,
            arguments=_arguments(app.tasks[record.task], record.payload),
            job=handle(app, record),
        )
        for record in _records(app, names)
    ]


def assert_enqueued(app: Comanda, task: Callable[..., Any] | Task[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
    """Assert that exactly one job of `task` with these arguments is in the app's store; return it.

    The AssertionError of a failure shows the jobs of that task which are there.
    """
    wanted = app.task_of(task)
    arguments = _arguments(wanted, wanted.codec.encode(args, kwargs))
    present = enqueued(app, wanted)
    found = [one.job for one in present if one.arguments == arguments]
    if len(found) != 1:
        there = "".join(f"\n  {wanted.name}({_shown(one.arguments)})" for one in present) or " none"
        raise AssertionError(
            f"expected one job {wanted.name}({_shown(arguments)}), found {len(found)}; its jobs are:{there}"
        )
    return found[0]


def _records(app: Comanda, names: tuple[str, ...]) -> Iterator[JobRecord]:
    which = JobFilter(tasks=tuple(name for name in names if name != MESSAGE))
    after: bytes | None = None
    while page := app.broker.find(which, limit=_PAGE, after=after, oldest_first=True):
        yield from page
        after = page[-1].id


def _arguments(task: Task[..., Any], payload: bytes) -> dict[str, Any]:
    args, kwargs = task.codec.decode(payload)
    bound = inspect.signature(task.function).bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _shown(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
