"""The tasks of an app by name: an explicit table, since a stored name may only select, never import (S3)."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from .errors import ConfigurationError
from .task import Task, import_name

Declare = Callable[[Callable[..., Any], str], Task[..., Any]]


class Registry(Mapping[str, Task[..., Any]]):
    """Declared tasks under their names and aliases, and the functions of listed modules.

    `declare(function, name)` makes the task of a plain function. Listed modules are imported when the table is first
    read whole, as a worker does, not when the app is made: they usually import the app.
    """

    def __init__(self, modules: Sequence[str], declare: Declare) -> None:
        self.modules = tuple(modules)
        self._declare = declare
        self._tasks: dict[str, Task[..., Any]] = {}
        self._plain: dict[Callable[..., Any], Task[..., Any]] = {}
        self._complete = not modules

    def add(self, task: Task[..., Any]) -> None:
        """Enter a task; raise ConfigurationError when another function has one of its names."""
        for name in (task.name, *task.aliases):
            known = self._tasks.get(name)
            if known is not None and not _same(known.function, task.function):
                raise ConfigurationError(
                    f"two functions are declared as task {name!r}: "
                    f"{known.function.__module__}.{known.function.__qualname__} and "
                    f"{task.function.__module__}.{task.function.__qualname__}; give one another name=…"
                )
        for name in (task.name, *task.aliases):
            self._tasks[name] = task

    def of(self, function: Callable[..., Any]) -> Task[..., Any]:
        """Return the task of a plain function; raise ConfigurationError unless its module is listed by the app."""
        task = self._plain.get(function)
        if task is None:
            if not inspect.isfunction(function):
                raise ConfigurationError(f"enqueue takes a function, got {type(function).__name__}")
            module = import_name(function.__module__)
            if module not in self.modules:
                raise ConfigurationError(
                    f"no worker would know {module}.{function.__qualname__}: declare it with @app.task, "
                    f"or list its module, Comanda(…, modules=[{module!r}])"
                )
            task = self._enter(function, f"{module}.{function.__qualname__}")
        return task

    def _enter(self, function: Callable[..., Any], name: str) -> Task[..., Any]:
        task = self._tasks.get(name)
        if task is None:
            task = self._declare(function, name)
            self._tasks[name] = task
        self._plain[function] = task
        return task

    def complete(self) -> None:
        """Import the listed modules and enter their functions."""
        if self._complete:
            return
        self._complete = True
        for module in self.modules:
            for name, function in _functions(_import(module)):
                self._enter(function, f"{module}.{name}")

    def __getitem__(self, name: str) -> Task[..., Any]:
        if name not in self._tasks:
            self.complete()
        return self._tasks[name]

    def __iter__(self) -> Iterator[str]:
        self.complete()
        return iter(dict(self._tasks))

    def __len__(self) -> int:
        self.complete()
        return len(self._tasks)


def _same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Return whether two functions are one definition, imported twice (as `__main__` and by name) or reloaded."""
    return (import_name(one.__module__), one.__qualname__) == (import_name(other.__module__), other.__qualname__)


def _import(name: str) -> ModuleType:
    main = sys.modules.get("__main__")
    if main is not None and import_name("__main__") == name:
        return main
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            raise ConfigurationError(f"Comanda(modules=[…]): there is no module {name!r}") from None
        raise


def _functions(module: ModuleType) -> list[tuple[str, Callable[..., Any]]]:
    """Return the public functions that a module defines itself; what it imported belongs to others."""
    return [
        (name, value)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
