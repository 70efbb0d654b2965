"""PgBouncer in transaction mode before a PostgreSQL server.

In CI a missing pgbouncer is a failure; elsewhere the tests that need it say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.servers.process import free_port, kill, unprivileged, wait_until

_SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


class PgBouncer:
    """One pooler before the server of `url`; its own `url` names the same database."""

    def __init__(self, url: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="comanda-pgbouncer-", dir="/tmp"))
        server = urlsplit(url)
        self.port = free_port()
        self.url = server._replace(netloc=f"{server.username}@127.0.0.1:{self.port}").geturl()
        settings = _SETTINGS.format(host=server.hostname, port=server.port, user=server.username, own=self.port)
        (self.directory / "pgbouncer.ini").write_text(settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it lets somebody through."""
        user = unprivileged()
        if user is not None:
            os.chown(self.directory, user, -1)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary(), "pgbouncer.ini"], cwd=self.directory, user=user, stdout=log, stderr=log
            )
        wait_until(self._answers, lambda: (self.directory / "log").read_text()[-2_000:])

    def close(self) -> None:
        """Stop it and remove its files."""
        if self._process is not None:
            kill(self._process)
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2_000:]
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True


def binary() -> str:
    """Return the program; fail in CI, and skip the test elsewhere, where there is none."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        assert "CI" not in os.environ, "pgbouncer is missing: install it before the tests"
        pytest.skip("pgbouncer is not installed")
    return found
