"""A process that enqueues on and on, whatever becomes of the store, until SIGTERM.

`python -m tests.e2e.apps.persevering FILE THREADS`: each call appends one line to FILE, outside the system under test:
`accepted ID SECONDS`, `uncertain ID SECONDS` or `refused ERROR SECONDS`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from itertools import count

from comanda import BrokerError, EnqueueUncertain
from tests.e2e.apps.kitchen import app, cook

PAUSE = 0.005
"""Seconds between two calls of a thread: a load, not a flood."""

AGAIN = 0.05
"""Seconds after a refusal: a store that is away refuses at once."""


def attempt(number: int) -> tuple[str, str]:
    """Enqueue one job; return what became of the call and the word that goes with it."""
    try:
        return "accepted", cook.enqueue(number).id
    except EnqueueUncertain as error:
        return "uncertain", error.job_id
    except BrokerError as error:
        return "refused", type(error).__name__


def persevere(log: int, over: threading.Event) -> None:
    """Enqueue until it is over."""
    for number in count():
        began = time.monotonic()
        what, word = attempt(number)
        os.write(log, f"{what} {word} {time.monotonic() - began:.3f}\n".encode())
        if over.wait(PAUSE if what == "accepted" else AGAIN):
            return


def main(path: str, threads: int) -> None:
    """Enqueue from several threads until a signal."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    over = threading.Event()
    producers = [threading.Thread(target=persevere, args=(log, over)) for _ in range(threads)]
    for producer in producers:
        producer.start()
    signal.sigwait({signal.SIGTERM})
    over.set()
    for producer in producers:
        producer.join()
    app.close()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(sys.argv[1], int(sys.argv[2]))
