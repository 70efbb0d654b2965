"""What a framework keeps around one piece of work, such as an application context or its database connections."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .task import Task


class Surroundings(Protocol):
    """Entered before and left after each execution of a task by a worker, in the thread or coroutine that runs it.

    An integration sets them on the app, `app.surroundings`, before a worker starts. A plain call of the task has none.
    """

    def around(self, task: Task[..., Any]) -> AbstractContextManager[object]:
        """Return what surrounds one execution of a synchronous task."""
        ...

    def aaround(self, task: Task[..., Any]) -> AbstractAsyncContextManager[object]:
        """Return what surrounds one execution of a coroutine."""
        ...

    def idle(self) -> None:
        """Let go of what only jobs in a row share: a worker's thread has found no further job. It need not be called.

        It runs in that thread, which takes no other job meanwhile.
        """
        ...
