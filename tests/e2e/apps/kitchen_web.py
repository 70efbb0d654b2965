"""A web process, as far as a worker is concerned: starts one, acknowledges jobs, and stays."""

from __future__ import annotations

import signal
import sys

from tests.e2e.apps.kitchen import app, cook


def main(jobs: int) -> None:
    """Enqueue `jobs` jobs, saying which ones were accepted, and wait for a signal."""
    app.start_worker(processes=2, concurrency=4, log_level="WARNING")
    for number in range(jobs):
        sys.stdout.write(f"accepted {cook.enqueue(number).id}\n")
    sys.stdout.write("standing\n")
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(int(sys.argv[1]))
