"""`comanda dev APP`: a worker that starts anew when the code changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import MissingExtra
from .exits import Command
from .output import say
from .targets import wanted_app

GRACE = 2.0
"""Seconds that running jobs get before a reload; the others run again under the new code."""


@click.command("dev", cls=Command)
@click.argument("app_path", metavar="[APP]", required=False)
@click.option(
    "--watch",
    "directories",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Where changes of .py and .toml files count; the working directory by default. Can be repeated.",
)
@click.pass_context
def dev(ctx: click.Context, /, app_path: str | None, directories: tuple[Path, ...]) -> None:
    """Run the jobs of APP, module:attribute (or COMANDA_APP), and start anew when the code changes."""
    path = wanted_app(app_path)
    watch = _watcher()
    os.environ["COMANDA_DEV"] = "1"
    introduced = subprocess.run([sys.executable, "-m", "comanda.cli.introduction", path], check=False)
    if introduced.returncode:
        ctx.exit(introduced.returncode)
    stopping = threading.Event()
    _serve(DevWorker(path), watch(directories or (Path.cwd(),), stopping), stopping)


class DevWorker:
    """The worker of the code as it is now. It ends with this process, even when that is killed."""

    def __init__(self, app_path: str) -> None:
        self._app_path = app_path
        self._ending = False

    def start(self) -> None:
        """Start it."""
        from ..worker import channel, messages, spawning

        self._channel, theirs = channel.pair()
        self._process = spawning.spawn("comanda.worker.supervisor", theirs, user_code=False)
        self._channel.send(messages.Work(app=self._app_path, grace=GRACE))
        self._ending = False
        self._waiting = threading.Thread(target=self._wait, name="comanda-dev-worker", daemon=True)
        self._waiting.start()

    def terminate(self) -> None:
        """Tell it to end; a second time: now. Safe in a signal handler."""
        self._ending = True
        self._process.terminate()

    def stop(self) -> None:
        """Tell it to end and wait until it has."""
        self.terminate()
        self._waiting.join()
        self._channel.close()

    def _wait(self) -> None:
        code = self._process.wait()
        if not self._ending:
            say(f"the worker ended by itself (exit {code}); it starts again when the code changes")


Changes = Iterable[set[tuple[Any, str]]]


def _serve(worker: DevWorker, changes: Changes, stopping: threading.Event) -> None:
    def on_signal(_number: int, _frame: object) -> None:
        stopping.set()
        worker.terminate()

    worker.start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    for changed in changes:
        if stopping.is_set():
            break
        names = sorted({os.path.relpath(path) for _, path in changed})
        say(f"reload: {', '.join(names[:3])}{', …' if len(names) > 3 else ''} changed")
        worker.stop()
        worker.start()
    worker.stop()


def _watcher() -> Callable[[Iterable[Path], threading.Event], Iterator[set[tuple[Any, str]]]]:
    try:
        from watchfiles import PythonFilter, watch
    except ModuleNotFoundError:
        raise MissingExtra("dev", "comanda dev") from None
    code = PythonFilter(extra_extensions=(".toml",))
    return lambda directories, stopping: watch(*directories, watch_filter=code, stop_event=stopping)
