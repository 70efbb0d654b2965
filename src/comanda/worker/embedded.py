"""`app.start_worker()`: a worker that a web process starts and that ends with it."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ..brokers.base import Capability
from ..errors import ConfigurationError, UnknownOption
from ..task import import_name
from . import messages, spawning
from .group import Group
from .handle import EmbeddedWorker
from .in_process import InProcessWorker

if TYPE_CHECKING:
    from ..app import Comanda

_OPTIONS = ("processes", "concurrency", "queues", "strict", "grace", "log_level")


class Inert(EmbeddedWorker):
    """What `start` returns inside a worker's own process: one worker must not start the next."""

    def stop(self, timeout: float | None = None) -> None:
        """Nothing to stop."""


def start(app: Comanda, path: str | None = None, **options: Any) -> EmbeddedWorker:
    """Start a worker for `app` and return it; it ends with this process, or by `stop()`.

    Supervisor and children are processes of their own, one group per host and app: where several web processes or a
    reloader start it, one does and the others stand by. With memory:// jobs run on threads of this process. `path` is
    where the children import the app, `module:attribute` (default: found among the imported modules). Options:
    processes, concurrency, queues, strict, grace, log_level, as for `comanda worker`. Raises UnknownOption for others,
    ConfigurationError when a value does not fit or the app cannot be found.
    """
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise UnknownOption(f"start_worker: there is no option {unknown[0]!r}; known are {', '.join(_OPTIONS)}")
    if spawning.inside_worker():
        return Inert()
    shared = Capability.CROSS_PROCESS in app.broker.capabilities
    work = _work({"app": path or (_path_of(app) if shared else ""), "search": tuple(sys.path), **options})
    directory = app.broker.runtime_directory()
    worker: EmbeddedWorker
    worker = Group(directory, work) if shared and directory is not None else InProcessWorker(app, work)
    atexit.register(worker.stop)
    return worker


def _work(fields: dict[str, Any]) -> messages.Work:
    try:
        return msgspec.convert(fields, messages.Work)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"start_worker: {error}") from None


def _path_of(app: Comanda) -> str:
    """Return where a fresh process finds the app: in a module that declares tasks of it, if there is one."""
    places = sorted(_places(app), key=lambda place: place[0])
    if not places:
        raise ConfigurationError(
            "start_worker: no imported module holds this app, so no other process could import it: "
            "assign it at the top level of a module, or pass its path, start_worker('module:attribute')"
        )
    return places[0][1]


def _places(app: Comanda) -> Iterator[tuple[int, str]]:
    """Yield the modules that hold the app, with a rank: its own tasks' modules first, the main program last."""
    homes = {task.function.__module__ for task in app.tasks.values()}
    for name, module in list(sys.modules.items()):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is app:
                rank = 2 if name == "__main__" else 0 if name in homes else 1
                yield rank, f"{import_name(name)}:{attribute}"
