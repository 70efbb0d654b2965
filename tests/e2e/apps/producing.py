"""A process that enqueues, as a web server does: `python -m tests.e2e.apps.producing JOBS THREADS`.

Each job that `enqueue` has answered for is printed as `accepted ID`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.apps.shop import note


def produce(number: int) -> None:
    """Enqueue one job, and say so in one write."""
    sys.stdout.write(f"accepted {note.enqueue(number).id}\n")
    sys.stdout.flush()


def main(jobs: int, threads: int) -> None:
    """Enqueue `jobs` jobs from `threads` threads."""
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(produce, number) for number in range(jobs)]:
            future.result()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
