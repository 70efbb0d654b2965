"""Dies before each step of a transactional completion: `python -m tests.e2e.apps.effects URL NAMESPACE LAST`.

Runs the jobs that are ready. The task writes one row on its own connection; from then on every statement there, the
commit, and what follows the commit count as steps, and the process is killed before step LAST.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from comanda import Comanda, current_job
from comanda.testing import run_jobs


class Death:
    """Counts steps, and ends the process before the one whose turn it is."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self, *_: object) -> None:
        """Take a step, or die."""
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: Any, name: str) -> None:
        """Make each call of a method a step."""
        real = getattr(owner, name)

        def stepping(*arguments: Any, **options: Any) -> Any:
            self.step()
            return real(*arguments, **options)

        setattr(owner, name, stepping)


def make(url: str, namespace: str, death: Death | None) -> Comanda:
    """Return the app."""
    app = Comanda(url, namespace=namespace)

    @app.task(name="effect", transactional=True)
    def effect(number: int) -> int:
        connection = current_job().connection
        connection.execute(f"INSERT INTO effects_{namespace} VALUES ({number})")  # noqa: S608 - the test's own
        if death is not None:
            watch(connection, death)
        return number

    return app


def watch(connection: Any, death: Death) -> None:
    """Count what happens on the connection from now on, and what follows its commit."""
    if hasattr(connection, "set_trace_callback"):
        from comanda.brokers.sqlite import SQLiteBroker

        connection.set_trace_callback(death.step)
        death.before(SQLiteBroker, "_ring_all")
        return
    import psycopg

    from comanda.brokers.postgres import PostgresBroker

    for owner, name in (
        *((psycopg.Cursor, "execute"), (psycopg.RawCursor, "execute")),
        *((psycopg.Connection, "commit"), (PostgresBroker, "_ring")),
    ):
        death.before(owner, name)


if __name__ == "__main__":
    run_jobs(make(sys.argv[1], sys.argv[2], Death(int(sys.argv[3]))))
