"""The command line, one module a command.

program.py   the group of all commands     exits.py    exit codes, and sentences instead of tracebacks
targets.py   from --app and --url to a store           output.py   tables and JSON on stdout, talk on stderr
search.py    search words to a filter      times.py    "5m" and "2026-10-01T08:00+02:00"
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def main() -> None:
    """Run `comanda …` with this process's arguments and end the process with an exit code of `comanda.cli.exits`."""
    from .program import program

    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - closed by our parent
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an old locale shows less and stops nothing
    program(prog_name="comanda")
