"""A directory, a gate, a launcher and a fresh app for each test."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.servers.stores import DURABLE, SERVERS, StoreOf

from .processes import Gate, Launcher
from .progress import Progress

Load = Callable[[str], ModuleType]

on_each_store = pytest.mark.parametrize("url", DURABLE, indirect=True)
"""For tests of what must hold wherever the jobs are."""

on_servers = pytest.mark.parametrize("url", SERVERS, indirect=True)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the test alone."""
    for name in (*(name for name in os.environ if name.startswith("COMANDA_")), "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Where tasks wait for the test."""
    with Gate() as opened:
        yield opened


@pytest.fixture
def launcher(tmp_path: Path, gate: Gate) -> Iterator[Launcher]:
    """What starts processes, and kills them in the end."""
    started = Launcher(tmp_path, gate)
    yield started
    started.close()


@pytest.fixture
def url(request: pytest.FixtureRequest, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the jobs are, in this process and in those it starts: a SQLite file, unless `on_each_store` says else."""
    store = store_of(getattr(request, "param", "sqlite"), "shop.db")
    monkeypatch.setenv("COMANDA_URL", store.url)
    monkeypatch.setenv("COMANDA_NAMESPACE", store.namespace)
    return store.url


@pytest.fixture
def load(url: str) -> Iterator[Load]:
    """Import modules of `apps/` anew: their apps are on this test's store, and closed at its end."""
    modules: list[ModuleType] = []

    def fresh(name: str) -> ModuleType:
        sys.modules.pop(f"tests.e2e.apps.{name}", None)
        modules.append(importlib.import_module(f"tests.e2e.apps.{name}"))
        return modules[-1]

    yield fresh
    for module in modules:
        module.app.close()
        sys.modules.pop(module.__name__, None)


@pytest.fixture
def shop(load: Load) -> ModuleType:
    """The app that most of these tests use."""
    return load("shop")


@pytest.fixture
def kitchen(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The app whose tasks behave badly, and `cook`, which does not."""
    monkeypatch.chdir(tmp_path)
    return load("kitchen")


@pytest.fixture
def progress(tmp_path: Path) -> Iterator[Progress]:
    """Where the test sees how far the workers are."""
    pipe = Progress(tmp_path / "progress")
    yield pipe
    pipe.close()
