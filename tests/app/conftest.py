"""Apps over every broker; none leaves a thread behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comanda import Comanda

SCHEMES = ("memory", "sqlite", "sqlite+apsw", "redis")

MakeApp = Callable[..., Comanda]


@pytest.fixture
def make_app(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Iterator[MakeApp]:
    """Make an app on the test's own store, `make_app(scheme="sqlite", **settings)`; closed at the end of the test."""
    made: list[Comanda] = []

    def make(scheme: str = "sqlite", **settings: Any) -> Comanda:
        url = "memory://" if scheme == "memory" else f"{scheme}:///{tmp_path}/queue.db"
        if scheme == "redis":
            url, settings = request.getfixturevalue("redis_url"), {"namespace": namespace, **settings}
        made.append(Comanda(url, **settings))
        return made[-1]

    yield make
    for app in made:
        app.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("comanda")] == []


@pytest.fixture(params=SCHEMES)
def app(request: pytest.FixtureRequest, make_app: MakeApp) -> Comanda:
    """An app over each broker in turn."""
    return make_app(request.param)


@pytest.fixture
def memory_app(make_app: MakeApp) -> Comanda:
    """An app in memory, where the broker makes no difference."""
    return make_app("memory")


@pytest.fixture
def file_app(make_app: MakeApp) -> Comanda:
    """An app on a SQLite file, through the interpreter's library."""
    return make_app("sqlite")
