"""A fresh store for one measurement, and a worker on it."""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.tasks import Tasks, declare
from tests.servers.postgres import PostgresServer

SCHEMES = {"sqlite3": "sqlite", "apsw": "sqlite+apsw"}
"""Library to URL scheme."""

STORES = (*SCHEMES, "postgres")

_ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def fresh(library: str, directory: Path | None = None) -> Iterator[Tasks]:
    """Yield the tasks on a new file in a temporary directory below `directory`, or in a new database of PostgreSQL."""
    with fresh_database() if library == "postgres" else _fresh_file(library, directory) as url:
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
def fresh_database() -> Iterator[str]:
    """Yield the URL of a new database, dropped afterwards."""
    name = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield urlsplit(_server())._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@cache
def _server() -> str:
    """Return the URL of the server: that of BENCH_POSTGRES_URL, or of one that ends with this process.

    Everything is as a packaged server has it, but for the addresses; what is acknowledged is on the disk.
    """
    if given := os.environ.get("BENCH_POSTGRES_URL"):
        return given
    server = PostgresServer({"fsync": "on", "shared_buffers": "128MB"})
    atexit.register(server.close)
    server.start()
    return server.url


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
