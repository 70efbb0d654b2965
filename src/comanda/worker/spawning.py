"""How processes of a worker are started: spawned, never forked (R23), in sessions of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

MARK = "COMANDA_WORKER"
"""Set in every process that runs user code for a worker: such a process starts no worker of its own."""


def spawn(module: str, end: socket.socket, *, user_code: bool) -> subprocess.Popen[bytes]:
    """Run `module` in a new process that inherits `end`, whose copy here is closed, and nothing else.

    A session of its own keeps the terminal's Ctrl-C away: the process ends when it is told to, or with its parent.
    """
    with end:
        return subprocess.Popen(
            [_interpreter(), "-m", module, str(end.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[end.fileno()],
            start_new_session=True,
            env={**os.environ, MARK: "1"} if user_code else None,
        )


def inside_worker() -> bool:
    """Return whether this process was started by a worker to run user code."""
    return MARK in os.environ


def extend_search(directories: Iterable[str]) -> None:
    """Let this process import from where its parent does."""
    sys.path += [directory for directory in directories if directory not in sys.path]


def _interpreter() -> str:
    """Return the Python that runs this; inside a server that embeds it (uWSGI), the one beside its packages."""
    if "python" in Path(sys.executable).name:
        return sys.executable
    return str(Path(sys.prefix) / "bin" / "python3")
