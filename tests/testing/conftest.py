"""Apps in memory and on files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda import Comanda


@pytest.fixture(params=["memory", "sqlite", "sqlite+apsw"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Comanda]:
    """An app over each broker in turn."""
    made = Comanda("memory://" if request.param == "memory" else f"{request.param}:///{tmp_path}/queue.db")
    yield made
    made.close()
