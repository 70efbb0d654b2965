"""A task's side of the test's gate."""

from __future__ import annotations

import os
import socket

from comanda import current_job


def wait() -> None:
    """Tell the test that this job is here, and wait until it lets it go on; fail when the test is over."""
    job = current_job()
    with socket.create_connection(("127.0.0.1", int(os.environ["E2E_GATE"]))) as connection:
        connection.sendall(f"{job.id} {job.attempt} {os.getpid()}\n".encode())
        if connection.recv(1) != b"!":
            raise ConnectionError("the test has ended")
