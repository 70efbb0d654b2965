"""Real processes under test: started, listened to, signalled, reaped.

Nothing here waits for time to pass: a test waits for a line of output, for a visit of a task at its gate, or for the
end of a process, and SOON is only how long a failing test takes to say so. Needs Linux (/proc, pidfd).
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[2]

SOON = 20.0
"""Seconds within which anything here happens; only a failing test waits as long."""

SHOP = "tests.e2e.apps.shop:app"
"""What most workers here serve."""

MARK = "E2E_MARK"
"""In the environment of every process that a Launcher starts, and so in that of all its descendants."""

GATE = "E2E_GATE"
"""In the same environments: the port where tasks visit the test, see `gate.py`."""


class Process:
    """A process whose standard output and standard error are read together, line by line."""

    def __init__(self, command: list[str], directory: Path, environment: Mapping[str, str]) -> None:
        self.popen = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.pid = self.popen.pid
        self._lines: list[str] = []
        self._seen = 0
        self._over = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, pattern: str, timeout: float = SOON) -> re.Match[str]:
        """Wait for the next line that matches, after the one that matched last."""
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._seen < len(self._lines):
                    self._seen += 1
                    if found := re.search(pattern, self._lines[self._seen - 1]):
                        return found
                left = until - time.monotonic()
                assert left > 0, f"no line {pattern!r} in:\n{self.output()}"
                assert not self._over, f"it ended without a line {pattern!r}:\n{self.output()}"
                self._changed.wait(left)

    def nth(self, pattern: str, count: int = 1, timeout: float = SOON) -> re.Match[str]:
        """Wait for the line that is the `count`-th to match, from the first line on: for lines in no certain order."""
        until = time.monotonic() + timeout
        with self._changed:
            while len(found := [*filter(None, (re.search(pattern, line) for line in self._lines))]) < count:
                left = until - time.monotonic()
                assert left > 0, f"no {count} lines {pattern!r} in:\n{self.output()}"
                assert not self._over, f"it ended without {count} lines {pattern!r}:\n{self.output()}"
                self._changed.wait(left)
        return found[count - 1]

    def output(self) -> str:
        """Return all lines so far."""
        with self._changed:
            return "\n".join(self._lines)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """Kill -9 it and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    def end(self, timeout: float = SOON) -> int:
        """Wait for its end and for the last line of all who write to its output; return the exit code."""
        await_end(self.pid, timeout)
        self._reader.join(timeout)
        assert not self._reader.is_alive(), f"somebody still holds its output:\n{self.output()}"
        return self.popen.wait()

    def stop(self, timeout: float = SOON) -> int:
        """SIGTERM it, wait for its end, return the exit code."""
        self.send(signal.SIGTERM)
        return self.end(timeout)

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as stream:
            for text in stream:
                with self._changed:
                    self._lines.append(text.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def reap(self) -> None:
        """Let go of it, after everything that writes to its output has been killed."""
        self.popen.wait()
        self._reader.join()


class Launcher:
    """Starts processes in one directory and, at the end, kills whatever is left of them and of their descendants."""

    def __init__(self, directory: Path, gate: Gate) -> None:
        self.directory = directory
        self._mark = uuid.uuid4().hex
        self._gate = gate
        self._started: list[Process] = []

    def start(self, *command: str, **environment: str) -> Process:
        """Start a command; keywords go into its environment."""
        process = Process(list(command), self.directory, self.environment(**environment))
        self._started.append(process)
        return process

    def python(self, *arguments: str, **environment: str) -> Process:
        """Start Python with these arguments."""
        return self.start(sys.executable, *arguments, **environment)

    def comanda(self, *arguments: str, **environment: str) -> Process:
        """Start `comanda …`."""
        return self.python("-m", "comanda", *arguments, **environment)

    def worker(self, app: str, *options: str, **environment: str) -> Process:
        """Start `comanda worker APP …`, and return when its first child is at work."""
        worker = self.comanda("worker", app, *options, **environment)
        worker.line("is at work")
        return worker

    def environment(self, **additions: str) -> dict[str, str]:
        """Return what a process sees: warnings are errors, and no settings but those of the test."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        base = {name: value for name, value in os.environ.items() if name not in ("PYTEST_CURRENT_TEST", "LOG_LEVEL")}
        ours = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}
        return {**base, **ours, MARK: self._mark, GATE: str(self._gate.port), **additions}

    def living(self, command: str) -> set[int]:
        """Return the processes of this launcher, descendants included, whose command line matches."""
        return {pid for pid in self._members() if re.search(command, _command_line(pid))}

    def close(self) -> None:
        """Kill everything and reap it. A process may start another one while it dies: look until there is none."""
        while members := self._members():
            for pid in members:
                kill(pid)
        for process in self._started:
            process.reap()

    def _members(self) -> set[int]:
        mark = f"{MARK}={self._mark}".encode()
        return {pid for pid in _processes() if mark in _read(pid, "environ").split(b"\0")}


class Visit(NamedTuple):
    """A task that stands at the gate."""

    job: str
    attempt: int
    pid: int
    connection: socket.socket

    def let_go(self) -> None:
        """Let it go on."""
        self.connection.sendall(b"!")

    def await_death(self) -> None:
        """Return when its process has died."""
        assert self.connection.recv(1) == b""


class Gate:
    """Where tasks of other processes wait until the test lets them go on (`gate.py` is their side)."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._server = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._server.settimeout(SOON)
        self.port: int = self._server.getsockname()[1]

    def visit(self) -> Visit:
        """Wait for the next task that comes."""
        connection = self._open.enter_context(self._server.accept()[0])
        connection.settimeout(SOON)
        with connection.makefile("r") as stream:
            job, attempt, pid = stream.readline().split()
        return Visit(job, int(attempt), int(pid), connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def await_end(pid: int, timeout: float = SOON) -> None:
    """Return when a process, any, has ended."""
    with _process_descriptor(pid) as descriptor:
        if descriptor is not None:
            ready, _, _ = select.select([descriptor], [], [], timeout)
            assert ready, f"process {pid} did not end within {timeout:g} s"


def kill(*pids: int) -> None:
    """Kill -9 processes, any, at one moment, and return when they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        await_end(pid)


@contextmanager
def _process_descriptor(pid: int) -> Iterator[int | None]:
    """Yield a descriptor that becomes readable when the process ends, None when it is gone already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command_line(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode()


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has just ended, or is somebody else's
        return b""
