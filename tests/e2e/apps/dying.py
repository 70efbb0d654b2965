"""Dies before each statement of an enqueue: `python -m tests.e2e.apps.dying DIRECTORY HOW`.

HOW: `transaction` enqueues beside the application's own row, `many` three jobs in comanda's own transaction, `one` a
single job. For each statement a process with a file of its own, named for the statement, is killed before it; the last
process lives. Prints how each ended: the signal's number, or 0.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from comanda import Comanda

ORDERS = "CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY)"


class Death:
    """Counts the statements of a connection, and ends the process before the one whose turn it is."""

    def __init__(self, connection: Any, last: int) -> None:
        self._seen = 0
        self._last = last
        connection.set_trace_callback(self._on_statement)

    def _on_statement(self, _sql: str) -> None:
        self._seen += 1
        if self._seen == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def enqueue(path: Path, how: str, last: int) -> None:
    """Enqueue, and die before statement `last`."""
    app = Comanda(f"sqlite:///{path}")

    @app.task(name="note")
    def note(number: int) -> None: ...

    with app.transaction() as connection:
        connection.execute(ORDERS)
    Death(connection, last)
    if how == "transaction":
        with app.transaction() as connection:
            connection.execute("INSERT INTO orders DEFAULT VALUES")
            note.using(connection=connection).enqueue(1)
    elif how == "many":
        app.enqueue_many(note.call(number) for number in range(3))
    else:
        note.enqueue(1)
    app.close()


def main(directory: Path, how: str) -> None:
    """Let one process after the other die, until one comes to the end."""
    for statement in count(1):
        child = os.fork()  # nothing of comanda is in use yet: no thread, no file
        if not child:
            enqueue(directory / f"{statement}.db", how, statement)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        if not status:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
