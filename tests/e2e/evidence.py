"""What happened, by witnesses outside and inside of the system under test."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from comanda import State


def runs(directory: Path) -> dict[str, list[int]]:
    """Return the processes that executed each job, from the tasks' own log."""
    executed: dict[str, list[int]] = {}
    for line in (directory / "runs.log").read_text().splitlines():
        job, _, pid = line.split()
        executed.setdefault(job, []).append(int(pid))
    return executed


def counts(shop: ModuleType) -> dict[State, int]:
    """Return how many jobs are in each state."""
    found: dict[State, int] = {}
    for (_, state), jobs in shop.app.broker.counts().items():
        if jobs:
            found[state] = found.get(state, 0) + jobs
    return found
