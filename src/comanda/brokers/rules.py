"""What every broker answers alike, in one place so that no two of them drift apart. Pure: no clock, no store."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .base import CRASH_LIMIT
from .records import Failure, Kind, Outcome

_acting: ContextVar[str | None] = ContextVar("comanda_acting", default=None)

_ATTEMPT = {Kind.RETRY: "failed", Kind.SNOOZE: "snoozed", Kind.FAILURE: "failed", Kind.CANCEL: "cancelled"}


def attempt_outcome(outcome: Outcome) -> str | None:
    """Return how an attempt is recorded; None when it leaves no record: a success, or a job handed back."""
    if outcome.kind in _ATTEMPT and outcome.failure is not None and outcome.failure.reason == "timeout":
        return "timed_out"
    return _ATTEMPT.get(outcome.kind)


def worker_lost(crashes: int) -> Failure:
    """Return the failure of an attempt whose worker died, when it was the job's `crashes`-th."""
    if crashes >= CRASH_LIMIT:
        message = f"its worker died {crashes} times while running it; it is kept apart until somebody retries it"
        return Failure("WorkerLost", message, reason="quarantined")
    return Failure("WorkerLost", "the worker died while running it; it runs again", reason="lost")


def kind_clash(queue: str, *, holds_messages: bool) -> str:
    """Return the sentence for a queue used as the other kind."""
    holds, wanted = ("messages", "jobs") if holds_messages else ("jobs", "messages")
    return f"queue {queue!r} holds {holds} and cannot take {wanted}: give them a queue of their own"


def no_such_queue(queue: str) -> str:
    """Return the sentence for a queue that nobody has used yet."""
    return f"there is no queue {queue!r}: a queue begins with its first job or message"


@contextmanager
def acting(name: str) -> Iterator[None]:
    """Operate as `name` during the body: a signed-in user of a page, whose process belongs to somebody else."""
    before = _acting.set(name)
    try:
        yield
    finally:
        _acting.reset(before)


def actor() -> str:
    """Return who operates: the name that acts, or else user@host."""
    if name := _acting.get():
        return name
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
