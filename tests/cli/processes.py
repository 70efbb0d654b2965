"""Real `python -m comanda …` processes, waited for by the lines they write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class Lines:
    """The lines of a process's output and of its children's, read as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.seen: list[str] = []

    def until(self, *words: str) -> str:
        """Read on until a line has one of `words`, and return it."""
        for line in self._stream:
            self.seen.append(line)
            if any(word in line for word in words):
                return line
        raise AssertionError(f"the output ended without {' or '.join(words)}:\n{''.join(self.seen)}")

    def rest(self) -> str:
        """Read to the end, which comes when the last process that may write has ended."""
        self.seen += list(self._stream)
        return "".join(self.seen)


@contextmanager
def started(*command: str, directory: Path) -> Iterator[tuple[subprocess.Popen[str], Lines]]:
    """Run `comanda …` with both outputs in one; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "comanda", *command],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process, Lines(process.stdout)
        finally:
            process.kill()
            process.wait()


def comanda(
    *command: str, directory: Path, stdout: int | IO[str] = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run `comanda …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "comanda", *command],
        cwd=directory,
        env=environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def environment() -> dict[str, str]:
    """Return the environment without pytest's mark, so that processes behave as a user's do."""
    return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
