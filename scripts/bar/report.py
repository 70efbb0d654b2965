"""What a check of the bar prints and returns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class Report:
    """A title, a line for each thing seen, and the verdict."""

    def __init__(self, title: str) -> None:
        self._failures = 0
        print(title)

    def see(self, good: bool, words: str) -> None:
        """Print what was seen, and whether it is as it should be."""
        self._failures += not good
        print(f"  {'ok  ' if good else 'FAIL'}  {words}")

    def end(self) -> int:
        """Print the verdict; return the exit code."""
        print("holds" if not self._failures else f"does not hold: {self._failures} of what was seen is wrong")
        return min(self._failures, 1)


def comanda(directory: Path, *arguments: str) -> tuple[int, str]:
    """Run `comanda …` in a directory; return its exit code and all it printed."""
    command = [sys.executable, "-m", "comanda", *arguments]
    done = subprocess.run(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout
