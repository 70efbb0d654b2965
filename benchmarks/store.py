"""A fresh store for one measurement, and a worker on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import SERVERS
from benchmarks.tasks import Tasks, declare

SCHEMES = {"sqlite3": "sqlite", "apsw": "sqlite+apsw"}
"""Library to URL scheme."""

STORES = (*SCHEMES, *SERVERS)

_ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def fresh(library: str, directory: Path | None = None) -> Iterator[Tasks]:
    """Yield the tasks on a new file in a temporary directory below `directory`, or in an empty store of a server."""
    with SERVERS[library]() if library in SERVERS else _fresh_file(library, directory) as url:
        tasks = declare(url)
        try:
            yield tasks
        finally:
            tasks.app.close()


@contextmanager
def _fresh_file(library: str, directory: Path | None) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=directory) as place:
        yield f"{SCHEMES[library]}:///{place}/jobs.db"


@contextmanager
def worker(tasks: Tasks) -> Iterator[int]:
    """Run one worker with one child and its default settings on the store of `tasks`; yield its process id."""
    command = [sys.executable, "-m", "comanda", "worker", "benchmarks.tasks:app"]
    environment = {**os.environ, "COMANDA_URL": tasks.app.url, "COMANDA_LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        if code := process.wait(60):
            raise SystemExit(f"the worker ended with exit code {code}")
