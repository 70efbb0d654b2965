"""What processes of a worker are started with."""

from __future__ import annotations

import os

MARK = "COMANDA_WORKER"
"""Set in every process that a worker starts: such a process starts no worker of its own."""


def environment() -> dict[str, str]:
    """Return the environment of a process that runs user code for a worker."""
    return {**os.environ, MARK: "1"}


def inside_worker() -> bool:
    """Return whether this process was started by a worker."""
    return MARK in os.environ
