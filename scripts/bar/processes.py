"""What the checks start: servers with a disk behind them, and workers on the shop's app."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def postgres(**settings: str) -> Iterator[PostgresServer]:
    """Yield a server whose commits are on the disk when they are acknowledged."""
    server = PostgresServer({"fsync": "on", "shared_buffers": "128MB", **settings})
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def redis(**settings: str) -> Iterator[RedisServer]:
    """Yield a server; `_` in a setting's name stands for `-`."""
    server = RedisServer({name.replace("_", "-"): value for name, value in settings.items()})
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def worker(url: str, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run `comanda worker` on the shop's jobs in the store `url`, with its errors shown; stop it at the end.

    `environment` is added to ours.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "comanda", "worker", "scripts.bar.shop:app"],
        cwd=ROOT,
        env={**os.environ, "COMANDA_URL": url, "COMANDA_LOG_LEVEL": "ERROR", **(environment or {})},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(60)
