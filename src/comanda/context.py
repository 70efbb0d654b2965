"""`current_job()`: what a running task may know about itself."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime

from .brokers.records import Claimed
from .clock import to_datetime
from .errors import ConfigurationError
from .ids import to_text


class CurrentJob:
    """The job that runs in this thread or coroutine.

    `fence` rises with every claim: hand it to external systems so that they can refuse a worker that has lost its
    lease (R41).
    """

    __slots__ = ("_claimed", "cancelled", "lost", "secrets")

    def __init__(self, claimed: Claimed, secrets: tuple[str, ...] = ()) -> None:
        self._claimed = claimed
        self.cancelled = False
        """True once somebody asked this job to stop."""
        self.lost = False
        """True once this worker no longer holds the job: its result will be refused."""
        self.secrets = secrets

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


running: ContextVar[CurrentJob | None] = ContextVar("comanda_current_job", default=None)


def current_job() -> CurrentJob:
    """Return the running job; raise ConfigurationError outside of a task."""
    job = running.get()
    if job is None:
        raise ConfigurationError("current_job() is only known while a comanda worker runs a task")
    return job
