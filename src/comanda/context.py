"""`current_job()`: what a running task may know about itself."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from .brokers.records import Claimed
from .clock import to_datetime
from .errors import ConfigurationError
from .ids import to_text


class CurrentJob:
    """The job that runs in this thread or coroutine.

    `fence` rises with every claim: hand it to external systems so that they can refuse a worker that has lost its
    lease (R41).
    """

    __slots__ = ("_claimed", "begin", "cancelled", "lost", "secrets")

    def __init__(self, claimed: Claimed, secrets: tuple[str, ...] = ()) -> None:
        self._claimed = claimed
        self.cancelled = False
        """True once somebody asked this job to stop."""
        self.lost = False
        """True once this worker no longer holds the job: its result will be refused."""
        self.secrets = secrets
        self.begin: Callable[[], Any] | None = None
        """Begins the transaction of a task with `transactional=True`, while it runs in a worker."""

    @property
    def id(self) -> str:
        """The job's id, 36 characters."""
        return to_text(self._claimed.id)

    @property
    def task(self) -> str:
        """The name of the task."""
        return self._claimed.task

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self._claimed.queue

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._claimed.attempt

    @property
    def fence(self) -> int:
        """The lease number of this attempt: higher than that of any earlier one."""
        return self._claimed.fence

    @property
    def enqueued_at(self) -> datetime:
        """When the job was enqueued (aware, UTC)."""
        return to_datetime(self._claimed.enqueued_at)

    @property
    def connection(self) -> Any:
        """The driver's connection of a task with `transactional=True`, inside a transaction that the first use begins.

        It commits together with the job's completion when the function returns, and is rolled back when it raises or
        this worker has lost the job. Raises ConfigurationError in other tasks, BrokerError when the store fails.
        """
        if self.begin is None:
            raise ConfigurationError(
                f"{self.task} has no connection: declare it with @app.task(transactional=True), and use "
                "current_job().connection only while it runs"
            )
        return self.begin()


running: ContextVar[CurrentJob | None] = ContextVar("comanda_current_job", default=None)


def current_job() -> CurrentJob:
    """Return the running job; raise ConfigurationError outside of a task."""
    job = running.get()
    if job is None:
        raise ConfigurationError("current_job() is only known while a comanda worker runs a task")
    return job
