"""Fixtures for pytest, found by it when comanda is installed. Nothing of comanda runs unless a test asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from comanda import Comanda
    from comanda.testing import FakeClock


@pytest.fixture
def comanda_inline() -> Iterator[Callable[[Comanda], Comanda]]:
    """Put an app into inline mode for the rest of the test: `comanda_inline(app)`; returns the app."""
    from comanda.testing import inline

    with ExitStack() as modes:
        yield lambda app: modes.enter_context(inline(app))


@pytest.fixture
def comanda_clock() -> FakeClock:
    """A clock that stands still until the test advances it, for `Comanda(…, clock=comanda_clock)`."""
    from comanda.testing import FakeClock

    return FakeClock()
