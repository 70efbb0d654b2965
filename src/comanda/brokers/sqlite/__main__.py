"""Checkpoint one file in a process without user code: `python -m comanda.brokers.sqlite FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from . import library
from .checkpoint import Checkpointer

if __name__ == "__main__":
    Checkpointer(Path(sys.argv[1]), library.APSW).run()
