"""What most of these tests run: an app that takes everything from the environment."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from comanda import Comanda, Retry, current_job
from tests.e2e import gate
from tests.e2e.evidence import write_line

app = Comanda()

RUNS = Path("runs.log")
"""One line for each execution of `note`: job id, number, pid. Kept outside the system under test."""

_log = logging.getLogger("shop")


@app.task
def add(left: int, right: int) -> int:
    """Add."""
    _log.info("adding")
    return left + right


@app.task
def note(number: int) -> int:
    """Write that this job runs."""
    write_line(RUNS, f"{current_job().id} {number} {os.getpid()}")
    return number


@app.task(retry=Retry(max_attempts=5, backoff=0))
def visit() -> int:
    """Wait at the gate; return the attempt's number."""
    gate.wait()
    return current_job().attempt


@app.task(retry=Retry(max_attempts=2, backoff=0))
def fail(reason: str) -> None:
    """Fail until the file named `reason` exists: what was broken has been mended."""
    if not Path(reason).exists():
        raise LookupError(reason)


@app.task(retry=Retry(max_attempts=1))
def leave() -> None:
    """Raise what is meant to end a process."""
    raise SystemExit(3)


@app.task
def die() -> None:
    """End the worker's process."""
    os._exit(7)
