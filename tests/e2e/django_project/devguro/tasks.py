"""The project's tasks."""

from __future__ import annotations

from comanda import Comanda

app = Comanda()


@app.task
def add(left: int, right: int) -> int:
    """Add."""
    return left + right
