"""What the servers of the tests share: ports, users, waiting until one answers."""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

PATIENCE = 60.0
"""Seconds that a server gets to start."""


PORTS = range(10_000, 22_768)
"""Below those that the system gives to clients (32,768 and above): a server that is down for a moment, or not up yet,
must not find its port taken by somebody's connection. A cluster's nodes talk to each other 10,000 higher."""


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def unprivileged() -> int | None:
    """Return the id of the user a server runs as that refuses root; None when we are not root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with -9 and wait for its end."""
    process.kill()
    process.wait(30)


def wait_until(ready: Callable[[], bool], what_it_said: Callable[[], str]) -> None:
    """Ask until a server that cannot tell when it is ready answers; fail with its own words after PATIENCE."""
    until = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < until, what_it_said()
        time.sleep(0.02)
