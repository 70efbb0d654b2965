"""A process that enqueues, as a web server does: `python -m tests.e2e.apps.producing JOBS THREADS [CHUNK]`.

Each job that `enqueue` has answered for is printed as `accepted ID`. With CHUNK each thread enqueues so many at a time.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.apps.shop import app, note


def produce(numbers: range) -> None:
    """Enqueue jobs in one transaction, and say so in one write."""
    if len(numbers) == 1:
        jobs = [note.enqueue(numbers[0])]
    else:
        jobs = app.enqueue_many(note.call(number) for number in numbers)
    sys.stdout.write("".join(f"accepted {job.id}\n" for job in jobs))
    sys.stdout.flush()


def main(jobs: int, threads: int, chunk: int) -> None:
    """Enqueue `jobs` jobs from `threads` threads."""
    with ThreadPoolExecutor(threads) as pool:
        chunks = [range(first, min(first + chunk, jobs)) for first in range(0, jobs, chunk)]
        for future in [pool.submit(produce, numbers) for numbers in chunks]:
            future.result()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
