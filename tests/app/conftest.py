"""Apps over every broker; none leaves a thread behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from comanda import Comanda
from tests.servers.stores import SCHEMES, StoreOf

MakeApp = Callable[..., Comanda]


@pytest.fixture
def make_app(store_of: StoreOf) -> Iterator[MakeApp]:
    """Make an app on the test's own store, `make_app(scheme="sqlite", **settings)`; closed at the end of the test."""
    made: list[Comanda] = []
    before = set(threading.enumerate())  # an app of the whole run's may be at work beside this test

    def make(scheme: str = "sqlite", **settings: Any) -> Comanda:
        store = store_of(scheme)
        made.append(Comanda(store.url, **{"namespace": store.namespace, **settings}))
        return made[-1]

    yield make
    for app in made:
        app.close()
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in left if name.startswith("comanda")] == []


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
