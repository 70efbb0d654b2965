"""Processes that enqueue: `python -m tests.e2e.apps.producing JOBS THREADS [embedded]`.

Each job that `enqueue` has answered for is printed as `accepted ID`; with `embedded`, a worker runs beside this process
and each result is printed as `done ID`. So a test knows what this process was told, whenever it is killed.
"""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.apps.shop import app, note


def say(words: str) -> None:
    """Write a line in one piece, at once."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def produce(number: int, *, wait: bool) -> None:
    """Enqueue one job."""
    job = note.enqueue(number)
    say(f"accepted {job.id}")
    if wait:
        job.result()
        say(f"done {job.id}")


def main(jobs: int, threads: int, *, embedded: bool) -> None:
    """Enqueue `jobs` jobs from `threads` threads."""
    with app.start_worker() if embedded else contextlib.nullcontext(), ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(produce, number, wait=embedded) for number in range(jobs)]:
            future.result()
    say("ready")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), embedded="embedded" in sys.argv)
