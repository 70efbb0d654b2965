"""How far the workers are: one byte through a pipe for each execution of `cook`."""

from __future__ import annotations

import os
import select
from pathlib import Path

from .processes import SOON


class Progress:
    """The pipe into which every execution writes one byte."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait_for(self, count: int) -> None:
        """Return when `count` more jobs have been run."""
        while count > 0:
            ready, _, _ = select.select([self._pipe], [], [], SOON)
            assert ready, f"{count} jobs more should have run"
            count -= len(os.read(self._pipe, count))

    def forget(self) -> None:
        """Drop what was written so far."""
        while select.select([self._pipe], [], [], 0)[0]:
            os.read(self._pipe, 65_536)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._pipe)
