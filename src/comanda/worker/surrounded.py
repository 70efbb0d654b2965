"""The tasks of an app as a worker calls them: inside the app's surroundings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..surroundings import Surroundings
from ..task import Task

if TYPE_CHECKING:
    from ..app import Comanda


def tasks_at_work(app: Comanda) -> dict[str, Task[..., Any]]:
    """Return the app's tasks by name, each as an execution of a job calls it.

    Composed once, when a worker starts: the jobs of an app without surroundings cost nothing more, and the task that
    users hold stays a plain function's.
    """
    surroundings = app.surroundings
    if surroundings is None:
        return dict(app.tasks)
    return {name: _surrounded(task, surroundings) for name, task in app.tasks.items()}


def _surrounded(task: Task[..., Any], surroundings: Surroundings) -> Task[..., Any]:
    inside: Task[..., Any] = object.__new__(type(task))
    inside.__dict__.update(task.__dict__)
    inside.function = _coroutine(task, surroundings) if task.is_async else _function(task, surroundings)
    return inside


def _function(task: Task[..., Any], surroundings: Surroundings) -> Callable[..., Any]:
    function = task.function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with surroundings.around(task):
            return function(*args, **kwargs)

    return call


def _coroutine(task: Task[..., Any], surroundings: Surroundings) -> Callable[..., Any]:
    function = task.function

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with surroundings.aaround(task):
            return await function(*args, **kwargs)

    return call
