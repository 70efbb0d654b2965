"""`manage.py comanda …`: the `comanda` command, with the project's app already named."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
from argparse import REMAINDER, ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comanda.django.conf import WORKER_PATH

_OF_MANAGE = ("--settings", "--pythonpath")
"""Options of manage.py itself, which has obeyed them before it comes here."""


class Command(BaseCommand):
    """Becomes `comanda …`: the same process id, signals and exit codes, and no Django inside the supervisor."""

    help = "The comanda command for this project: worker, info, jobs, queues, doctor and the others."
    requires_system_checks: Sequence[str] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Replace this process; does not return."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, _command(_without_ours(argv[2:])), _environment())  # noqa: S606 - no shell is wanted

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """Show the help of the `comanda` command."""
        self.run_from_argv([prog_name, subcommand, "--help"])

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take any words; only call_command() comes this way."""
        parser.add_argument("words", nargs=REMAINDER)

    def handle(self, *_: Any, words: list[str], **__: Any) -> None:
        """Run the command beside this process, for call_command(). Raises CommandError with its exit code."""
        done = subprocess.run(_command(words), env=_environment(), check=False)
        if done.returncode:
            raise CommandError(f"comanda ended with exit code {done.returncode}", returncode=done.returncode)


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "comanda", *words]


def _without_ours(words: list[str]) -> list[str]:
    """Return the words without manage.py's own options and their values."""
    kept: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word in _OF_MANAGE:
            next(remaining, None)
        elif not word.startswith(tuple(f"{option}=" for option in _OF_MANAGE)):
            kept.append(word)
    return kept


def _environment() -> dict[str, str]:
    """Return what a process needs to find the project: its settings and its modules."""
    return {**os.environ, "COMANDA_APP": WORKER_PATH, "PYTHONPATH": os.pathsep.join(_project_path())}


def _project_path() -> list[str]:
    """Return where this process imports from, without what every Python has: manage.py's directory, --pythonpath."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own |= {*site.getsitepackages(), site.getusersitepackages()}
    own |= {str(Path(path) / "lib-dynload") for path in own}
    directories = [directory or str(Path.cwd()) for directory in sys.path]
    return [found for found in dict.fromkeys(directories) if found not in own and Path(found).is_dir()]
