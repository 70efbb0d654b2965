"""What happened, by witnesses outside and inside of the system under test."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from comanda import State

_LINE = 64
"""Bytes of a line. They divide a page: Linux looks for a pending SIGKILL between the pages of one write, and of 2,000
kills 16 left a torn line of 37 bytes where it crossed a page, none one of 64."""


def write_line(path: Path, text: str, *, sync: bool = False) -> None:
    """Append a line that a kill -9 leaves whole or not there, to a log that several processes write."""
    line = f"{text:<{_LINE - 1}}\n".encode()
    assert len(line) == _LINE, text
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
