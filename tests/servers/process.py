"""What the servers of the tests share: ports, users, waiting until one answers."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds that a server gets to start."""


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
