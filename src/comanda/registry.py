"""The tasks of an app by name: an explicit table, since a stored name may only select, never import (S3)."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import threading
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
        self._lock = threading.RLock()  # a listed module may enqueue while it is imported
        self._importing = False
        self._complete = not modules

    def add(self, task: Task[..., Any]) -> None:
        """Enter a task; raise ConfigurationError when another function has one of its names."""
        for name in (task.name, *task.aliases):
            known = self._tasks.get(name)
            if known is not None and not _same(known.function, task.function):
                raise ConfigurationError(_doubled(name, known.function, task.function))
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
        elif not _same(task.function, function):
            raise ConfigurationError(_doubled(name, task.function, function))
        self._plain[function] = task
        return task

    def complete(self) -> None:
        """Import the listed modules and enter their functions; when that fails, the next call tries again."""
        if not self._complete:
            with self._lock:
                self._import_listed()

    def _import_listed(self) -> None:
        if self._complete or self._importing:
            return
        self._importing = True
        try:
            for module in self.modules:
                for name, function in _functions(_import(module)):
                    # A helper whose arguments cannot travel was never meant as a task; enqueueing it would say so.
                    with contextlib.suppress(ConfigurationError):
                        self._enter(function, f"{module}.{name}")
            self._complete = True
        finally:
            self._importing = False

    def forget(self) -> None:
        """After a fork, in the child: a thread that imported in the parent is not here."""
        self._lock = threading.RLock()
        self._importing = False

    @property
    def declared(self) -> int:
        """How many names are known without importing anything."""
        return len(self._tasks)

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
    return _place(one) == _place(other)


def _place(function: Callable[..., Any]) -> tuple[Any, ...]:
    """Return what tells a definition from another: its name, or its code where a name says nothing."""
    module, name = import_name(getattr(function, "__module__", "")), getattr(function, "__qualname__", None)
    if name is None or "<" in name:  # partials, lambdas, nested functions
        code = getattr(function, "__code__", None)
        return (module, id(function)) if code is None else (code.co_filename, code.co_firstlineno, name)
    return (module, name)


def _doubled(name: str, known: Callable[..., Any], new: Callable[..., Any]) -> str:
    one, other = (f"{f.__module__}.{getattr(f, '__qualname__', type(f).__name__)}" for f in (known, new))
    return f"two functions are declared as task {name!r}: {one} and {other}; give one another name=…"


def _import(name: str) -> ModuleType:
    main = sys.modules.get("__main__")
    if main is not None and import_name("__main__") == name:
        return main
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(f"Comanda(modules=[…]): there is no module {name!r}") from None
        raise


def _functions(module: ModuleType) -> list[tuple[str, Callable[..., Any]]]:
    """Return the public functions that a module defines itself; what it imported belongs to others."""
    return [
        (name, value)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
