"""The tasks that are measured, and the app that a worker loads: `comanda worker benchmarks.tasks:app`."""

from __future__ import annotations

import time
from typing import NamedTuple

from comanda import Comanda
from comanda.task import SyncTask

_executed: list[int] = []


def noop(n: int) -> None:
    """Note the argument, so that every execution is counted: what the bare loop's task does."""
    _executed.append(n)


def executed() -> tuple[int, int]:
    """Return how many executions of `noop` this process has seen, and of how many different jobs."""
    return len(_executed), len(set(_executed))


def started() -> int:
    """Return when it ran, in nanoseconds of the monotonic clock, which a host's processes share."""
    return time.monotonic_ns()


class Tasks(NamedTuple):
    """The tasks of one app."""

    app: Comanda
    noop: SyncTask[[int], None]
    executed: SyncTask[[], tuple[int, int]]
    started: SyncTask[[], int]


def declare(url: str | None = None) -> Tasks:
    """Return the tasks of an app on the store `url` (default: COMANDA_URL)."""
    made = Comanda(url)
    return Tasks(made, made.task(noop), made.task(executed), made.task(started))


app = declare().app
