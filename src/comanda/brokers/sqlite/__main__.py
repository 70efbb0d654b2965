"""Checkpoint one file from a process without user code: `python -m comanda.brokers.sqlite FILE`.

Ends when the log has stayed short for a while, or with the process that holds the other end of the standard input.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path

from . import library
from .checkpoint import Checkpointer

EVERY = 0.25
"""Seconds between two looks."""

QUIET = 20
"""Looks in a row that found nothing to do, after which it ends."""


def main(path: Path) -> None:
    """Look after the log of one file."""
    checkpointer = Checkpointer(path, library.APSW)
    quiet = 0
    while quiet < QUIET:
        quiet = 0 if checkpointer.run() else quiet + 1
        if select.select([sys.stdin], [], [], EVERY)[0]:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
