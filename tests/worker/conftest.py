"""Apps over every broker that a worker runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda import Comanda

SCHEMES = ("memory", "sqlite", "sqlite+apsw", "redis")


@pytest.fixture(params=SCHEMES)
def app(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Iterator[Comanda]:
    """An empty app, over each broker in turn."""
    if request.param != "redis":
        yield from _app(request.param, tmp_path)
        return
    made = Comanda(request.getfixturevalue("redis_url"), namespace=namespace)
    yield made
    made.close()


@pytest.fixture
def memory_app(tmp_path: Path) -> Iterator[Comanda]:
    """An empty app in memory, where the broker makes no difference."""
    yield from _app("memory", tmp_path)


@pytest.fixture
def file_app(tmp_path: Path) -> Iterator[Comanda]:
    """An empty app on a SQLite file."""
    yield from _app("sqlite", tmp_path)


def _app(scheme: str, directory: Path) -> Iterator[Comanda]:
    made = Comanda("memory://" if scheme == "memory" else f"{scheme}:///{directory}/queue.db")
    yield made
    made.close()
